"""Every supported layer of both libraries against ours: outputs, input and weight gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from parity import LIMIT, assert_parity, relative
from torch import nn

from equirgz.backbones.reference import from_reference, refine_samples, to_reference
from equirgz.backbones.reference.filters import sampled_basis
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import get_group
from equirgz.nn import AntialiasedAvgPool2d, FieldBatchNorm2d
from equirgz.nn.reproduction import PixelFieldDropout

GROUPS = ("C1", "C2", "C3", "C4", "C8", "D1", "D2", "D3", "D4", "D6")


def typed_call(engine, layer):
    return lambda x: layer(engine.nn.GeometricTensor(x, layer.in_type)).tensor


def compare(engine, layer, channels: int, size: int, dtype: torch.dtype) -> torch.nn.Module:
    layer = layer.to(dtype)
    native = from_reference(layer)
    x = torch.randn(3, channels, size, size, dtype=dtype)
    assert_parity(typed_call(engine, layer), native, layer, native, x, LIMIT[dtype])
    return native


def stacks(group: str, regular_in: bool, regular_out: bool) -> tuple[FieldType, FieldType]:
    symmetry = get_group(group)
    kinds = {True: FieldType.regular, False: FieldType.trivial}
    return kinds[regular_in](symmetry, 2), kinds[regular_out](symmetry, 3)


@pytest.mark.parametrize("dtype", LIMIT, ids=str)
@pytest.mark.parametrize("regular_out", [True, False], ids=["to_regular", "to_trivial"])
@pytest.mark.parametrize("regular_in", [True, False], ids=["from_regular", "from_trivial"])
@pytest.mark.parametrize("group", GROUPS)
def test_convolution(engine, group, regular_in, regular_out, dtype) -> None:
    source, target = stacks(group, regular_in, regular_out)
    layer = engine.nn.R2Conv(
        engine.field_type(source), engine.field_type(target), kernel_size=5, padding=1, stride=2, bias=True
    )
    layer.bias.data.normal_()
    layer.to(dtype)
    before = sampled_basis(layer).clone()
    refine_samples(layer)
    assert relative(sampled_basis(layer), before) < 1e-6
    compare(engine, layer, source.size, 11, dtype)


@pytest.mark.parametrize("kernel_size", [1, 3, 7, 9])
@pytest.mark.parametrize("group", ["C8", "D4"])
def test_convolution_with_other_kernels(engine, group, kernel_size) -> None:
    source, target = stacks(group, True, True)
    layer = engine.nn.R2Conv(engine.field_type(source), engine.field_type(target), kernel_size=kernel_size, bias=False)
    native = compare(engine, layer, source.size, 11, torch.float32)
    assert native.weight.numel() == layer.weights.numel()


def test_float64_without_any_refinement() -> None:
    """e2cnn computes in float64 from the start when asked to, and so agrees to 1e-9 untouched."""
    from equirgz.backbones.reference import load_engine

    engine = load_engine("e2cnn")
    source, target = stacks("D6", True, True)
    torch.set_default_dtype(torch.float64)
    try:
        layer = engine.nn.R2Conv(engine.field_type(source), engine.field_type(target), 5, padding=2)
        compare(engine, layer, source.size, 9, torch.float64)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("regular", [True, False], ids=["regular", "trivial"])
def test_inner_batch_norm(engine, regular, training) -> None:
    stack = FieldType("D3", "4 regular" if regular else "4 trivial")
    layer = engine.nn.InnerBatchNorm(engine.field_type(stack), eps=1e-3, momentum=0.3)
    with torch.no_grad():
        for tensor in (*layer.parameters(), *layer.buffers()):
            if tensor.is_floating_point() and tensor.dim() == 1:
                tensor.uniform_(0.5, 2.0)
    layer.train(training)
    native = compare(engine, layer, stack.size, 7, torch.float32)
    assert native.training == training
    inner = next(m for m in layer.modules() if isinstance(m, torch.nn.BatchNorm3d))
    ours = next(m for m in native.modules() if isinstance(m, torch.nn.BatchNorm2d))
    for name in ("running_mean", "running_var"):  # moved equally by the pass above
        torch.testing.assert_close(getattr(ours, name), getattr(inner, name))


def pointwise_layers(engine, field_type):
    nn = engine.nn
    max_pool = engine.layer("PointwiseMaxPool2D", "PointwiseMaxPool")
    blurred_max = engine.layer("PointwiseMaxPoolAntialiased2D", "PointwiseMaxPoolAntialiased")
    blurred_mean = engine.layer("PointwiseAvgPoolAntialiased2D", "PointwiseAvgPoolAntialiased")
    return {
        "relu": nn.ReLU(field_type),
        "elu": nn.ELU(field_type, alpha=0.7),
        "max_pool": max_pool(field_type, kernel_size=3, stride=2, padding=1),
        "antialiased_max": blurred_max(field_type, kernel_size=2),
        "antialiased_max_wide": blurred_max(field_type, kernel_size=3, sigma=0.66, stride=1),
        "avg_pool": engine.layer("PointwiseAvgPool2D", "PointwiseAvgPool")(field_type, kernel_size=2, padding=1),
        "antialiased_avg": blurred_mean(field_type, sigma=0.66, stride=2),
        "antialiased_avg_unpadded": blurred_mean(field_type, sigma=0.6, stride=2, padding=0),
        "antialiased_avg_padded_more": blurred_mean(field_type, sigma=0.6, stride=1, padding=3),
        "adaptive_avg": engine.layer("PointwiseAdaptiveAvgPool2D", "PointwiseAdaptiveAvgPool")(field_type, 3),
        "adaptive_max": engine.layer("PointwiseAdaptiveMaxPool2D", "PointwiseAdaptiveMaxPool")(field_type, 3),
        "group_pooling": nn.GroupPooling(field_type),
        "mask": nn.MaskModule(field_type, 13, margin=5.0),
        "dropout_in_eval": nn.PointwiseDropout(field_type, 0.3).eval(),
        "field_dropout_in_eval": nn.FieldDropout(field_type, 0.3).eval(),
    }


@pytest.mark.parametrize("dtype", LIMIT, ids=str)
@pytest.mark.parametrize(
    "name",
    [
        *("relu", "elu", "max_pool", "antialiased_max", "antialiased_max_wide", "avg_pool", "antialiased_avg"),
        *("antialiased_avg_unpadded", "antialiased_avg_padded_more"),
        *("adaptive_avg", "adaptive_max", "group_pooling", "mask", "dropout_in_eval", "field_dropout_in_eval"),
    ],
)
def test_layer_without_weights(engine, name, dtype) -> None:
    stack = FieldType.regular(get_group("D4"), 2)
    layer = pointwise_layers(engine, engine.field_type(stack))[name]
    refine_samples(layer.to(dtype))
    if name == "group_pooling":  # the libraries return float32 for every dtype; ours keeps it
        x = torch.randn(3, stack.size, 13, 13, dtype=dtype)
        assert typed_call(engine, layer)(x).dtype == torch.float32 and from_reference(layer)(x).dtype == dtype
        dtype = torch.float32
    compare(engine, layer, stack.size, 13, dtype)


@pytest.mark.parametrize("padding", [0, 1, None])
def test_antialiased_average_keeps_its_padding_there_and_back(engine, padding) -> None:
    stack = FieldType.regular(get_group("C4"), 2)
    kind = engine.layer("PointwiseAvgPoolAntialiased2D", "PointwiseAvgPoolAntialiased")
    layer = engine.nn.SequentialModule(kind(engine.field_type(stack), sigma=0.6, stride=2, padding=padding))
    native = from_reference(layer)
    norm = FieldBatchNorm2d(stack)  # it tells the next layer what its input is
    back = to_reference(nn.Sequential(norm, *native), engine.name)
    assert not any(isinstance(m, AntialiasedAvgPool2d) for m in back.modules())
    x = torch.randn(1, stack.size, 13, 13)
    size = 13 + 2 * (2 if padding is None else padding) - 5
    assert native(x).shape[-1] == native[0].to_plain()(x).shape[-1] == size // 2 + 1
    assert relative(native(x), typed_call(engine, layer)(x)) < 1e-5
    assert relative(back.eval()(x), native(norm.eval()(x))) < 1e-5
    assert relative(native[0].to_plain()(x), native(x)) < 1e-6


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_dropout_has_the_same_law(engine, p) -> None:
    """FieldDropout shares one draw per pixel over the group; PointwiseDropout draws each number."""
    stack = FieldType.regular(get_group("C4"), 3)
    x = torch.ones(8, stack.size, 40, 40)
    for kind, shared in ((engine.nn.FieldDropout, True), (engine.nn.PointwiseDropout, False)):
        layer = kind(engine.field_type(stack), p)
        native = from_reference(layer)
        assert isinstance(native, PixelFieldDropout) == shared and native.p == p and native.training
        for y in (native(x), typed_call(engine, layer)(x)):
            kept = y > 0
            torch.testing.assert_close(y[kept], torch.full_like(y[kept], 1 / (1 - p)))
            assert abs(float(kept.double().mean()) - (1 - p)) < 0.02
            same = (kept.unflatten(1, (3, 4)).float().std(2) == 0).double().mean()
            assert (same == 1.0) == shared


def test_sequence_keeps_names_order_and_mode(engine) -> None:
    source = FieldType.trivial(get_group("D2"), 1)
    middle = FieldType.regular(get_group("D2"), 3)
    nn = engine.nn
    regular = engine.field_type(middle)
    body = nn.SequentialModule(
        nn.MaskModule(engine.field_type(source), 15),
        nn.R2Conv(engine.field_type(source), regular, 3, padding=1),
        nn.InnerBatchNorm(regular),
        nn.ReLU(regular, inplace=True),
        nn.R2Conv(regular, regular, 3, bias=False),
        nn.GroupPooling(regular),
    )
    native = compare(engine, body, 1, 15, torch.float32)
    kinds = [type(layer).__name__ for layer in native]
    assert kinds == ["SoftDiskMask", "GroupConv2d", "FieldBatchNorm2d", "ReLU", "GroupConv2d", "GroupPooling"]
    assert from_reference(body.eval()).training is False


def test_element_order_and_direction_agree(engine) -> None:
    """The library's own action on a regular field is our geometry.action, for every element."""
    from equirgz.geometry.action import apply_element_to_maps

    for name in ("C4", "D4", "D1"):
        group = get_group(name)
        stack = FieldType.regular(group, 2)
        field_type = engine.field_type(stack)
        x = torch.randn(1, stack.size, 5, 5)
        typed = engine.nn.GeometricTensor(x, field_type)
        for g, element in enumerate(field_type.gspace.fibergroup.elements):
            theirs = typed.transform(element).tensor
            ours = apply_element_to_maps(x.unflatten(1, (2, group.order)), group, g).flatten(1, 2)
            np.testing.assert_allclose(theirs.numpy(), ours.numpy(), atol=1e-5)
