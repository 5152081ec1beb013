"""The test tool itself: it passes what is equivariant, marks what is not, and cannot be fooled by size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from equirgz.geometry.group import get_group
from tests.equivariance import assert_equivariant
from tests.evaluate.networks import PlainConv, ToyD4


def test_an_equivariant_network_passes_and_returns_its_table() -> None:
    torch.manual_seed(0)
    net = ToyD4()
    lines = assert_equivariant(net)
    assert len(lines) == 2 * 8 * 2  # dtypes x elements x (features, maps)
    assert max(line[-1] for line in lines) < 1e-5
    assert max(line[-1] for line in lines if line[0] == "float64") < 1e-12
    assert net.weight.dtype == torch.float32 and net.training


def test_a_plain_convolution_fails_with_every_failing_line_marked() -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError) as caught:
        assert_equivariant(PlainConv())
    table = str(caught.value).splitlines()
    assert "D4 at 17 px" in table[0]
    assert sum(line.startswith("FAIL") and "maps" in line for line in table) == 2 * 7
    assert sum(line.startswith("ok") and "g=0" in line for line in table) == 4


def test_a_subgroup_and_a_bare_layer() -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 1, 3, 3)

    class MirrorConv(nn.Module):
        """Symmetric under the flip of columns alone."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(weight + weight.flip(-1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.conv2d(x, self.weight, padding=1)[:, :, None]

    layer = MirrorConv()
    assert_equivariant(layer, "D1", 9, features=None, maps="forward")
    with pytest.raises(AssertionError, match="FAIL"):
        assert_equivariant(layer, "C4", 9, features=None, maps="forward")


def test_an_even_size_with_stride_fails_and_an_odd_one_passes() -> None:
    class Strided(ToyD4):
        def forward_maps(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward_maps(x)[..., ::2, ::2]

    torch.manual_seed(0)
    assert_equivariant(Strided(), size=17)
    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(Strided(), size=16)


def test_regular_input_is_acted_on_as_a_regular_field() -> None:
    group = get_group("D4")

    class Identity(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    class FirstElement(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.arange(8.0, dtype=x.dtype)[:, None, None]

    assert_equivariant(Identity(), group, 7, in_group=group, features=None, maps="forward")
    with pytest.raises(AssertionError):
        assert_equivariant(FirstElement(), group, 7, in_group=group, features=None, maps="forward")
