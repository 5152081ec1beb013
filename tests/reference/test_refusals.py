"""What cannot be converted is refused in one line that says what was expected and found."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from equirgz.backbones import create_backbone
from equirgz.backbones.reference import from_reference, load_engine, to_reference
from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import get_group


@pytest.fixture
def kind(engine):
    return engine.field_type(FieldType.regular(get_group("D4"), 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "odd"),
        ({"kernel_size": 3, "dilation": 2}, "dilation"),
        ({"kernel_size": 3, "groups": 2}, "groups"),
        ({"kernel_size": 3, "padding": 1, "padding_mode": "circular"}, "padding_mode"),
        ({"kernel_size": 5, "sigma": [0.6, 0.9, 0.9]}, "default rings, widths and frequencies"),
    ],
)
def test_convolutions(engine, kind, options, message) -> None:
    layer = engine.nn.R2Conv(kind, kind, **options)
    with pytest.raises(InputError, match=message):
        from_reference(layer)


def test_other_axis_of_reflection() -> None:
    """escnn reflects about the axis that it is told (e2cnn reflects the columns whatever it is told)."""
    engine = load_engine("escnn")
    plane = engine.gspaces.flipRot2dOnR2(N=4, axis=math.pi / 8)
    regular = engine.nn.FieldType(plane, [plane.regular_repr])
    with pytest.raises(InputError, match="reflection of columns"):
        from_reference(engine.nn.R2Conv(engine.nn.FieldType(plane, [plane.trivial_repr]), regular, 5))


def test_mixed_fields_and_unknown_layers(engine, kind) -> None:
    plane = kind.gspace
    mixed = engine.nn.FieldType(plane, [plane.trivial_repr, plane.regular_repr])
    with pytest.raises(InputError, match="all regular or all trivial"):
        from_reference(engine.nn.ReLU(mixed))
    with pytest.raises(InputError, match="one of R2Conv, InnerBatchNorm.*got R2Upsampling"):
        from_reference(engine.nn.R2Upsampling(kind, scale_factor=2))


def test_networks_without_steerable_layers(engine) -> None:
    with pytest.raises(InputError, match="steerable layers.*native"):
        create_backbone("lenet", image_size=33, engine=engine.name)
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    x = torch.randn(1, 1, 5, 5)
    assert torch.equal(to_reference(plain, engine.name)(x), plain(x))


def test_unknown_engine() -> None:
    with pytest.raises(InputError, match="did you mean 'escnn'"):
        to_reference(nn.Identity(), "esccn")
