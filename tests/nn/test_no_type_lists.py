"""Export and cost ask the layers: no list of layer types, which every new layer would have to enter."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from torch import nn

import equirgz.nn
from equirgz.backbones import BACKBONES, Backbone, create_backbone, measure_cost
from equirgz.geometry.group import get_group
from equirgz.nn import PointwiseConv2d
from equirgz.nn.multiply_adds import count_multiply_adds

PACKAGE = Path(equirgz.nn.__file__).parents[1]
OWN = set(dir(nn)) | set(equirgz.nn.__all__)


FILES = ("backbones/plain.py", "backbones/cost.py", "nn/multiply_adds.py", "evaluate/audit.py")


@pytest.mark.parametrize("file", FILES)
def test_no_isinstance_of_layers(file):
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            named = {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node.args[1])}
            assert not named & OWN, f"{file}:{node.lineno}"


class Doubling(nn.Module):
    """A layer that this package has never heard of."""

    def forward(self, x_BCHW):
        return 2 * x_BCHW

    def multiply_adds(self, height, width):
        return 1000 * height * width

    def to_plain(self):
        twin = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(twin.weight, 2.0)
        return twin


class DoublingBackbone(Backbone):
    def __init__(self) -> None:
        super().__init__(get_group("C1"), 1, 5)
        self.check_size("doubling", 0, 1)
        self.layer, self.num_features = Doubling(), 1
        self.scale = nn.Conv2d(1, 1, 1)

    def maps(self, x_BCHW):
        return self.scale(self.layer(x_BCHW))

    def read_out(self, maps_BCHW):
        return maps_BCHW.mean((-2, -1))

    def blocks(self):
        return [self.scale]


def test_a_new_layer_is_exported_and_counted_without_a_change_anywhere():
    network = DoublingBackbone().eval()
    assert measure_cost(network)["multiply_adds"] == 1000 * 25 + 25
    plain = network.to_plain()
    assert type(plain.network.layer) is nn.Conv2d
    x_BCHW = torch.randn(2, 1, 5, 5)
    torch.testing.assert_close(plain(x_BCHW), network(x_BCHW))


def test_layers_of_torch_are_counted():
    x, conv = torch.zeros(1, 4, 8, 6), nn.Conv2d(4, 6, (3, 5), groups=2)
    assert count_multiply_adds(conv, x, conv(x)) == conv(x).numel() * 2 * 15
    linear = nn.Linear(3, 5)
    assert count_multiply_adds(linear, torch.zeros(1, 3), linear(torch.zeros(1, 3))) == 15
    assert count_multiply_adds(nn.ReLU(), x, x) == 0


def test_the_cost_of_a_network_is_that_of_its_ordinary_twin():
    """Blurs aside, which are not counted: the sum over the convolutions of ``to_plain`` is the same.

    Networks of layers that are block-diagonal in irreps multiply less than their dense twins, and are left out.
    """
    for name in BACKBONES.names("steerable_*"):
        size = 33 if "published" not in name else BACKBONES.get(name).__defaults__[2]
        network = create_backbone(name, group="C4", image_size=size, width=0.25).eval()
        if any(isinstance(module, PointwiseConv2d) for module in network.modules()):
            continue
        counted = {"sum": 0}

        def count(module, inputs, output, counted=counted):
            if getattr(module, "groups", 1) == 1:
                counted["sum"] += count_multiply_adds(module, inputs[0], output)

        plain = network.to_plain()
        for module in plain.modules():
            if not any(True for _ in module.children()):
                module.register_forward_hook(count)
        plain(torch.zeros(1, 1, size, size))
        assert counted["sum"] == measure_cost(network)["multiply_adds"], name
