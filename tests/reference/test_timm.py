"""Networks of timm made invariant from outside: what ``canonicalise`` promises for any network, on somebody else's.

timm imports torchvision for its data sets and transforms, which no network here needs, and which beside a CPU torch
breaks other packages' imports: empty modules of that name stand in for these tests, and are gone again afterwards.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from torch import nn

from equirgz.backbones import canonicalise
from equirgz.geometry.action import apply_element
from equirgz.geometry.group import get_group

EXACT = 1e-12
SIZE = 32
NETWORKS = {"resnet18": {"zero_init_last": False}, "vit_tiny_patch16_224": {"img_size": SIZE, "patch_size": 8}}


class _Names(type):
    """A class of which every attribute is its own name, as the members of an enumeration are."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Empty(ModuleType):
    """A module in which every name is an empty class."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Names(name, (nn.Module,), {})


@pytest.fixture(scope="module")
def timm() -> Iterator[ModuleType]:
    """Return timm, imported without torchvision."""
    names = ["torchvision"]
    names += [f"torchvision.{part}" for part in ("datasets", "ops", "ops.misc", "transforms", "transforms.functional")]
    names += ["torchvision.models", "torchvision.models.feature_extraction"]
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setitem(sys.modules, name, _Empty(name))
        for name in names[1:]:
            parent, _, child = name.rpartition(".")
            setattr(sys.modules[parent], child, sys.modules[name])
        import timm

        yield timm


def _network(timm: ModuleType, name: str) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, in_chans=1, num_classes=3, **NETWORKS[name])


def _largest_difference(network: nn.Module) -> float:
    """Return by how much the outputs of turned and mirrored images differ, over the largest output."""
    network, group = network.double().eval(), get_group("D4")
    x_BCHW = torch.randn(2, 1, SIZE, SIZE, dtype=torch.float64)
    with torch.no_grad():
        y_BK = network(x_BCHW)
        turned = [network(apply_element(x_BCHW, group, g)) for g in range(group.order)]
    return float(max((y - y_BK).abs().max() for y in turned) / y_BK.abs().max())


@pytest.mark.parametrize("how", ["learned", "average"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_timm_is_made_exactly_invariant(timm, name, how):
    assert _largest_difference(canonicalise(_network(timm, name), "D4", SIZE, how=how)) <= EXACT


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_timm_alone_is_not_invariant(timm, name):
    assert _largest_difference(_network(timm, name)) > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_of_a_network_of_timm_still_learns(timm, name):
    wrapped = canonicalise(_network(timm, name), "D4", SIZE, how="learned").train()
    wrapped(torch.randn(4, 1, SIZE, SIZE)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in wrapped.parameters())
