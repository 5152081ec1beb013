"""Published networks have the published numbers of parameters."""

import pytest
import torch

from equirgz import create_backbone
from equirgz.backbones import measure_cost


@pytest.mark.parametrize(
    ("name", "group", "published", "classifiers"),
    [
        # arXiv 2102.08252: one classifier 84 -> 2
        ("steerable_lenet_published", "C4", 2_503_064, 170),
        ("steerable_lenet_published", "D8", 2_515_736, 170),
        ("steerable_lenet_published", "D16", 2_532_632, 170),
        # arXiv 2111.04742: four classifiers, and three biases that a range cancels
        ("steerable_attention_published", "C4", 429_609, 128 + 3),
        ("steerable_attention_published", "D4", 842_505, 128 + 3),
        # arXiv 2501.14048: one classifier 256 -> 3
        ("steerable_cnn_published", "D4", 1_212_163, 771),
    ],
)
def test_parameters(name, group, published, classifiers):
    image_size = {"steerable_lenet_published": 151, "steerable_attention_published": 150}.get(name, 100)
    backbone = create_backbone(name, group=group, image_size=image_size)
    assert sum(p.numel() for p in backbone.parameters()) == published - classifiers


def test_published_sizes():
    """151-149-74-72-36 pixels, as in the paper."""
    backbone = create_backbone("steerable_lenet_published", group="C4", image_size=151).eval()
    with torch.no_grad():
        assert backbone.forward_maps(torch.zeros(1, 1, 151, 151)).shape == (1, 16, 4, 36, 36)
    assert measure_cost(backbone)["parameters"] == 2_503_064 - 170


def test_range_over_the_batch_depends_on_the_batch():
    torch.manual_seed(0)
    x_BCHW = torch.randn(3, 1, 41, 41)
    for over_batch in (False, True):
        backbone = create_backbone(
            "steerable_attention_published", group="C4", image_size=41, width=0.5, over_batch=over_batch
        ).eval()
        with torch.no_grad():
            together, alone = backbone(x_BCHW)[:1], backbone(x_BCHW[:1])
        assert torch.allclose(together, alone, rtol=1e-4, atol=1e-4) is not over_batch
