"""Within autocast blurs, norms and means are computed in float32; elsewhere nothing changes."""

from __future__ import annotations

import pytest
import torch

from equirgz.nn import (
    AntialiasedAvgPool2d,
    AntialiasedMaxPool2d,
    FieldBatchNorm2d,
    FieldLayerNorm2d,
    InvariantReadout,
)
from equirgz.nn.norm import LengthBatchNorm2d, LengthLayerNorm2d
from tests.field_types import regular

IN_TYPE = regular("D4", 2)
LAYERS = {
    "average pool": lambda: AntialiasedAvgPool2d(IN_TYPE),
    "maximum pool": lambda: AntialiasedMaxPool2d(IN_TYPE),
    "layer norm": lambda: FieldLayerNorm2d(IN_TYPE),
    "length norm": lambda: LengthLayerNorm2d(IN_TYPE),
    "length batch norm": lambda: LengthBatchNorm2d(IN_TYPE),
    "mean": lambda: InvariantReadout(IN_TYPE),
    "spectrum": lambda: InvariantReadout(IN_TYPE, "spectrum"),
    "max filter": lambda: InvariantReadout(IN_TYPE, "max_filter"),
}


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) + 1.0


@pytest.mark.parametrize("name", LAYERS)
def test_autocast_computes_these_in_float32(name):
    layer, x = LAYERS[name](), noise(3, 16, 9, 9).bfloat16()
    found, expected = [], []
    for values, autocast, x_own in ((found, True, x), (expected, False, x.float())):
        leaf = x_own.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = layer(leaf)
        (grad,) = torch.autograd.grad(y.square().sum(), leaf)
        values += [y, grad]
    assert found[0].dtype == torch.float32 and torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1].float(), expected[1], rtol=2**-8, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.double()(noise(1, 16, 9, 9).double()).dtype == torch.float64


@pytest.mark.parametrize("name", ["average pool", "maximum pool", "layer norm", "mean"])
def test_a_network_in_half_precision_stays_so(name):
    assert LAYERS[name]().bfloat16()(noise(2, 16, 9, 9).bfloat16()).dtype == torch.bfloat16


def test_batch_statistics_have_more_digits_than_bfloat16():
    norm = FieldBatchNorm2d(IN_TYPE, momentum=1.0)
    x = (1.0 + 0.25 * noise(8, 16, 16, 16)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = norm(x)
    by_field = x.double().unflatten(1, (2, 8)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.norm.running_mean.double(), by_field.mean(1), rtol=1e-5, atol=0)
    torch.testing.assert_close(norm.norm.running_var.double(), by_field.var(1), rtol=1e-4, atol=0)
    assert abs(float(y.detach().float().mean())) < 1e-3
