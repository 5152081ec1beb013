"""A published D16 LeNet, written in a library as a user would, handed to ``from_reference``."""

from __future__ import annotations

import pytest
import torch
from parity import assert_parity, library_convs, native_convs
from torch import nn

from equirgz.backbones import create_backbone
from equirgz.backbones.reference import from_reference
from equirgz.backbones.reference.engines import Engine
from equirgz.geometry.group import get_group


class LeNet(nn.Module):
    """Two steerable layers with antialiased pooling, group pooling, three linear layers (arXiv 2102.08252)."""

    def __init__(self, engine: Engine, group: str, image_size: int) -> None:
        super().__init__()
        library = engine.nn
        pool = engine.layer("PointwiseMaxPoolAntialiased2D", "PointwiseMaxPoolAntialiased")
        self.wrap = library.GeometricTensor
        self.plane = engine.gspace(get_group(group))
        self.kind_in = library.FieldType(self.plane, [self.plane.trivial_repr])
        kind_1 = library.FieldType(self.plane, 6 * [self.plane.regular_repr])
        kind_2 = library.FieldType(self.plane, 16 * [self.plane.regular_repr])
        self.first = library.R2Conv(self.kind_in, kind_1, kernel_size=5, padding=1, bias=False)
        self.relu_1 = library.ReLU(kind_1, inplace=True)
        self.pool_1 = pool(kind_1, kernel_size=2)
        self.second = library.R2Conv(kind_1, kind_2, kernel_size=5, padding=1, bias=False)
        self.relu_2 = library.ReLU(kind_2, inplace=True)
        self.pool_2 = pool(kind_2, kernel_size=2)
        self.group_pool = library.GroupPooling(kind_2)
        side = image_size
        for _ in range(2):
            side = (side - 4) // 2 + 1
        self.head = nn.Sequential(nn.Linear(16 * side**2, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(84, 2)
        self.to(torch.get_default_dtype())  # layers of one process share their basis, in the dtype of the last cast

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        x = self.wrap(x_BCHW, self.kind_in)
        x = self.pool_1(self.relu_1(self.first(x)))
        x = self.pool_2(self.relu_2(self.second(x)))
        return self.last(self.drop(self.head(self.group_pool(x).tensor.flatten(1))))


@pytest.mark.parametrize(("group", "image_size"), [("D16", 151), ("C8", 63)])
def test_outputs_and_gradients(engine, group, image_size) -> None:
    theirs = LeNet(engine, group, image_size)
    if (group, image_size) == ("D16", 151):
        assert sum(p.numel() for p in theirs.parameters()) == 2_532_632
    for m in theirs.modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    ours = from_reference(theirs)
    assert library_convs(ours) == [] and len(native_convs(ours)) == 2
    assert [type(m).__name__ for m in ours.children()][0] == "TypedLayer" and ours.plane is theirs.plane
    x = torch.randn(2, 1, image_size, image_size)
    assert_parity(theirs, ours, theirs, ours, x, 1e-5)
    with torch.no_grad():
        ours.last.weight.zero_()  # a copy: the library's network keeps its own head
        assert theirs.last.weight.abs().sum() > 0


def test_equals_the_registered_network(engine) -> None:
    """The registered ``steerable_lenet_published`` with the library's weights gives the library's numbers."""
    theirs = LeNet(engine, "D4", 63).eval()
    ours = from_reference(theirs)
    registered = create_backbone("steerable_lenet_published", group="D4", image_size=63).eval()
    tensors = [*(conv.weight for conv in native_convs(ours)), *(p for p in ours.head.parameters())]
    for mine, source in zip(registered.parameters(), tensors, strict=True):
        mine.data.copy_(source)
    x = torch.randn(2, 1, 63, 63)
    torch.testing.assert_close(theirs.last(registered(x)), theirs(x), rtol=1e-4, atol=1e-5)


def test_float64_from_the_start() -> None:
    """Built under PyTorch's float64 default, e2cnn agrees to 1e-9 with nothing refined (before the group maximum)."""
    from equirgz.backbones.reference import load_engine

    engine = load_engine("e2cnn")
    torch.set_default_dtype(torch.float64)
    try:
        theirs = LeNet(engine, "D8", 47)
        parts = [theirs.first, theirs.relu_1, theirs.pool_1, theirs.second, theirs.relu_2, theirs.pool_2]
        body = engine.nn.SequentialModule(*parts)
        ours = from_reference(body)
        x = torch.randn(2, 1, 47, 47)
        assert_parity(lambda x: body(engine.nn.GeometricTensor(x, theirs.kind_in)).tensor, ours, body, ours, x, 1e-9)
    finally:
        torch.set_default_dtype(torch.float32)
