"""From our layers to the libraries': the same network with the same weights in escnn or e2cnn."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.backbones.reference.adapter import ReferenceModule
from equirgz.backbones.reference.engines import Engine, library_of, load_engine
from equirgz.backbones.reference.filters import copy_to_library, refine_layer
from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.nn import AntialiasedAvgPool2d, AntialiasedMaxPool2d, FieldBatchNorm2d, GroupConv2d
from equirgz.nn.conv.steerable import SteerableConv2d
from equirgz.nn.conv.trivial import TrivialConv2d
from equirgz.nn.direct_sum import FieldSequential
from equirgz.nn.reproduction import PixelFieldDropout, SoftDiskMask

Built = tuple[nn.Module, FieldType]  # a library's layer, and what it puts out
_POINTWISE = (nn.Identity, nn.Dropout, nn.Dropout2d)


def create_reference(name: str, engine: str, arguments: dict[str, Any]) -> Backbone:
    """Build registered backbone ``name`` with ``arguments``, its steerable layers in library ``engine``.

    Weights are drawn by our layers, so that one seed gives one network with every engine.
    Raises InputError when the backbone has no steerable convolution (a plain one, or C1 on the pixel
    basis), or one that the library cannot express (any on the pixel basis).
    """
    library = load_engine(engine)
    backbone = to_reference(BACKBONES.create(name, **arguments), library.name)
    ours = [m for m in backbone.modules() if isinstance(m, GroupConv2d | TrivialConv2d)]
    if ours or not any(library_of(m) and type(m).__name__ == "R2Conv" for m in backbone.modules()):
        got = f", whose {ours[0].basis.kind} filters {library.name} does not have" if ours else ""
        raise InputError(
            f"engine {engine!r}: expected a backbone with steerable layers, got {name!r} of group "
            f"{backbone.group}{got}; use engine='native', another group, or basis='harmonic'"
        )
    return backbone


def to_reference(module: nn.Module, engine: str) -> nn.Module:
    """Return a copy of ``module`` whose steerable layers are those of ``engine`` ("escnn" or "e2cnn").

    Outputs are equal to rounding. Inside an ``nn.Sequential``, neighbouring layers become one
    SequentialModule of the library. What the library lacks (dropout of whole fields, odd-window
    antialiased pooling and any plain layer) stays ours, and so does the maximum over the group,
    which both libraries return in float32 whatever they are given. ``module`` is left as it is.
    """
    library = load_engine(engine)
    training = module.training
    converted, _ = _convert(copy.deepcopy(module), library, None)
    return converted.train(training)


def _convert(module: nn.Module, engine: Engine, stack: FieldType | None) -> tuple[nn.Module, FieldType | None]:
    """Return the converted module and what it puts out, as far as that is known."""
    if isinstance(module, nn.Sequential):
        return _convert_sequence(module, engine, stack)
    built = _build(module, engine, stack)
    if built is not None:
        return _adapt([module], [built[0]], engine), built[1]
    for name, child in list(module.named_children()):
        module._modules[name] = _convert(child, engine, None)[0]
    return module, stack if isinstance(module, _POINTWISE) else None


def _convert_sequence(
    sequence: nn.Sequential, engine: Engine, stack: FieldType | None
) -> tuple[nn.Sequential, FieldType | None]:
    layers: list[nn.Module] = []
    sources: list[nn.Module] = []
    run: list[nn.Module] = []

    def close_run() -> None:
        if run:
            layers.append(_adapt(sources, run, engine))
            sources.clear()
            run.clear()

    for layer in sequence:
        built = None if isinstance(layer, nn.Sequential) else _build(layer, engine, stack)
        if built is None:
            close_run()
            layer, stack = _convert(layer, engine, stack)
            layers.append(layer)
        else:
            sources.append(layer)
            run.append(built[0])
            stack = built[1]
    close_run()
    kind = FieldSequential if isinstance(sequence, FieldSequential) else nn.Sequential
    return kind(*layers), stack


def _adapt(sources: list[nn.Module], run: list[nn.Module], engine: Engine) -> ReferenceModule:
    """Move a run of library layers to the place, dtype and mode of ``sources``, and copy the weights."""
    body = run[0] if len(run) == 1 else engine.nn.SequentialModule(*run)
    tensors = [t for source in sources for t in (*source.parameters(), *source.buffers()) if t.is_floating_point()]
    if tensors:
        body.to(device=tensors[0].device, dtype=tensors[0].dtype)
    sampled = []
    for source, layer in zip(sources, run, strict=True):
        if isinstance(source, GroupConv2d | TrivialConv2d):
            sampled.append((layer, source, copy_to_library(source, layer)))
            layer.weights.requires_grad_(source.weight.requires_grad)
        elif isinstance(source, AntialiasedMaxPool2d | AntialiasedAvgPool2d):
            sampled.append((layer, source, None))
            refine_layer(layer, source, None)
        elif isinstance(source, FieldBatchNorm2d):
            _inner_norm(layer).load_state_dict(source.norm.state_dict())
    return ReferenceModule(engine, body, engine.describe(body.in_type), sampled)


def _inner_norm(layer: nn.Module) -> nn.BatchNorm3d:
    """Return the one BatchNorm3d inside a library's InnerBatchNorm of equal fields."""
    return next(m for m in layer.modules() if isinstance(m, nn.BatchNorm3d))


def _build(layer: nn.Module, engine: Engine, stack: FieldType | None) -> Built | None:
    """Return the library's layer for ``layer`` on inputs ``stack``, or None where there is none."""
    builder = _BUILDERS.get(type(layer))
    return None if builder is None else builder(layer, engine, stack)


def _build_conv(layer: SteerableConv2d, engine: Engine, stack: FieldType | None) -> Built | None:
    if layer.basis.kind != "harmonic":
        return None
    return _make_r2conv(layer, engine, layer.in_type, layer.out_type)


def _make_r2conv(layer: nn.Module, engine: Engine, source: FieldType, target: FieldType) -> Built:
    """Build an R2Conv with a basis of its own: the libraries let all equal layers of a process share
    one, so that casting one layer to float64 would break the others."""
    conv = engine.nn.R2Conv(
        engine.field_type(source),
        engine.field_type(target),
        kernel_size=layer.kernel_size,
        padding=layer.padding,
        stride=layer.stride,
        bias=layer.bias is not None,
        initialize=False,
    )
    for name, child in list(conv.named_children()):
        conv._modules[name] = copy.deepcopy(child)
    return conv, target


def _build_norm(layer: FieldBatchNorm2d, engine: Engine, stack: FieldType | None) -> Built:
    stack = layer.in_type
    norm = layer.norm
    options = {"eps": norm.eps, "momentum": norm.momentum, "affine": norm.affine}
    return engine.nn.InnerBatchNorm(engine.field_type(stack), **options), stack


def _build_relu(layer: nn.ReLU, engine: Engine, stack: FieldType | None) -> Built | None:
    return stack and (engine.nn.ReLU(engine.field_type(stack), inplace=layer.inplace), stack)


def _build_elu(layer: nn.ELU, engine: Engine, stack: FieldType | None) -> Built | None:
    return stack and (
        engine.nn.ELU(engine.field_type(stack), alpha=layer.alpha, inplace=layer.inplace),
        stack,
    )


def _build_max_pool(layer: nn.MaxPool2d, engine: Engine, stack: FieldType | None) -> Built | None:
    if stack is None:
        return None
    kind = engine.layer("PointwiseMaxPool2D", "PointwiseMaxPool")
    options = {k: getattr(layer, k) for k in ("kernel_size", "stride", "padding", "dilation", "ceil_mode")}
    return kind(engine.field_type(stack), **options), stack


def _build_avg_pool(layer: nn.AvgPool2d, engine: Engine, stack: FieldType | None) -> Built | None:
    if stack is None:
        return None
    kind = engine.layer("PointwiseAvgPool2D", "PointwiseAvgPool")
    options = {k: getattr(layer, k) for k in ("kernel_size", "stride", "padding", "ceil_mode")}
    return kind(engine.field_type(stack), **options), stack


def _build_antialiased_max(layer: AntialiasedMaxPool2d, engine: Engine, stack: FieldType | None) -> Built | None:
    if stack is None or layer.window_padding != 0:
        return None
    kind = engine.layer("PointwiseMaxPoolAntialiased2D", "PointwiseMaxPoolAntialiased")
    options = {"kernel_size": layer.window, "stride": layer.stride, "sigma": layer.sigma}
    return kind(engine.field_type(stack), **options), stack


def _build_antialiased_avg(layer: AntialiasedAvgPool2d, engine: Engine, stack: FieldType | None) -> Built | None:
    if stack is None:
        return None
    kind = engine.layer("PointwiseAvgPoolAntialiased2D", "PointwiseAvgPoolAntialiased")
    pool = kind(engine.field_type(stack), sigma=layer.sigma, stride=layer.stride, padding=layer.padding)
    same_window = pool.filter.shape[-1] == layer.kernel_HW.shape[-1]
    return (pool, stack) if same_window else None


def _build_field_dropout(layer: PixelFieldDropout, engine: Engine, stack: FieldType | None) -> Built | None:
    return stack and (engine.nn.FieldDropout(engine.field_type(stack), p=layer.p), stack)


def _build_dropout(layer: nn.Dropout, engine: Engine, stack: FieldType | None) -> Built | None:
    return stack and (engine.nn.PointwiseDropout(engine.field_type(stack), p=layer.p), stack)


def _build_mask(layer: SoftDiskMask, engine: Engine, stack: FieldType | None) -> Built | None:
    if stack is None or layer.sigma_px != 2.0:
        return None
    return engine.nn.MaskModule(engine.field_type(stack), layer.size, margin=layer.margin_percent), stack


_BUILDERS: dict[type, Callable[[Any, Engine, FieldType | None], Built | None]] = {
    GroupConv2d: _build_conv,
    TrivialConv2d: _build_conv,
    FieldBatchNorm2d: _build_norm,
    nn.ReLU: _build_relu,
    nn.ELU: _build_elu,
    nn.MaxPool2d: _build_max_pool,
    nn.AvgPool2d: _build_avg_pool,
    AntialiasedMaxPool2d: _build_antialiased_max,
    AntialiasedAvgPool2d: _build_antialiased_avg,
    PixelFieldDropout: _build_field_dropout,
    nn.Dropout: _build_dropout,
    SoftDiskMask: _build_mask,
}
