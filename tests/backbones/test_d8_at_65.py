"""The networks that users import first, with D8 at 65 pixels: invariant under a quarter turn and a flip."""

import pytest
import torch

from equirgz import create_backbone
from equirgz.geometry.action import turn_lattice
from tests.backbones.test_contract import images, shake

LIMIT = {torch.float32: 1e-5, torch.float64: 1e-12}  # as promised; 1.5e-6 is seen without AVX-512


@pytest.mark.parametrize("dtype", LIMIT, ids=str)
@pytest.mark.parametrize(
    ("name", "width"), [("steerable_lenet", 0.4), ("steerable_resnet18", 0.1), ("steerable_attention", 0.2)]
)
def test_features_do_not_change(name, width, dtype):
    torch.manual_seed(0)
    backbone = shake(create_backbone(name, group="D8", image_size=65, width=width)).eval().to(dtype)
    x_BCHW = images(backbone, 1, dtype)
    with torch.no_grad():
        h_BF = backbone(x_BCHW)
        for quarter_turns, reflect in ((1, False), (0, True)):
            turned = backbone(turn_lattice(x_BCHW, quarter_turns, reflect))
            assert (turned - h_BF).norm() < LIMIT[dtype] * h_BF.norm()
        louder = backbone(1.5 * x_BCHW)
    assert (louder - h_BF).norm() > 1e-3 * h_BF.norm()
