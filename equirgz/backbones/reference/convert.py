"""From the libraries' layers to ours: the same network with the same weights in plain PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from equirgz.backbones.reference.adapter import ReferenceModule, TypedLayer
from equirgz.backbones.reference.engines import Engine, library_of, load_engine
from equirgz.backbones.reference.filters import basis_change, copy_to_native, refine_layer
from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.nn import AntialiasedAvgPool2d, AntialiasedMaxPool2d, FieldBatchNorm2d, GroupConv2d, GroupPooling
from equirgz.nn.conv.trivial import TrivialConv2d
from equirgz.nn.direct_sum import FieldSequential
from equirgz.nn.reproduction import PixelFieldDropout, SoftDiskMask


def from_reference(module: nn.Module) -> nn.Module:
    """Return ``module`` with every layer of escnn or e2cnn replaced by ours, with equal weights.

    A layer or SequentialModule of a library gives a module of ours that takes and returns tensors,
    as do networks that :func:`to_reference` made. In a network of your own, whose ``forward`` wraps
    and unwraps typed tensors, each library layer is replaced by one of ours that accepts both, and
    all else (linear heads, plain layers) is copied; ``module`` is left as it is.

    Supported: R2Conv between trivial and regular fields, InnerBatchNorm, ReLU, ELU, max, average,
    adaptive and antialiased pooling, MaskModule, PointwiseDropout, FieldDropout, GroupPooling and
    SequentialModule, over C_N and D_N. Outputs and gradients agree to rounding.

    Raises InputError for other layers, mixed fields, even kernels, dilation, grouped convolution,
    padding other than zeros, a reflection axis other than the columns', or filters outside our basis.
    """
    return _convert(module).train(module.training)


def native_twin(module: nn.Module) -> nn.Module:
    """Return ``module`` itself where no layer of it is a library's, else :func:`from_reference` of it.

    The ``config`` of a twin asks for the native engine, so that it builds the twin and not ``module``.
    """
    if not any(isinstance(part, ReferenceModule) for part in module.modules()):
        return module
    twin = from_reference(module)
    if getattr(module, "config", None):
        twin.config = {**module.config, "engine": "native"}
    return twin


def refine_samples(module: nn.Module) -> nn.Module:
    """Sample every filter basis, Gaussian and mask of a library's ``module`` anew, in place; return it.

    escnn samples its filters in float32 whatever the dtype of the layer, and so do both libraries
    under PyTorch's default dtype, so that their float64 outputs are right to 1e-7 only. The filters
    move by less than 1e-6 of their norm. In eval mode the libraries hold on to the filters that
    they have: call this in train mode, or switch mode after it.
    """
    for layer in module.modules():
        if library_of(layer) is None:
            continue
        if type(layer).__name__ == "R2Conv":
            engine = load_engine(library_of(layer))
            native = _empty_twin(layer, engine.describe(layer.in_type), engine)
            refine_layer(layer, native, basis_change(layer, native))
        elif "Antialiased" in type(layer).__name__:
            refine_layer(layer, _convert_library(layer), None)
        elif type(layer).__name__ == "MaskModule":
            layer.mask.data.copy_(_convert_library(layer).mask_HW.expand_as(layer.mask))
    return module


def _convert(module: nn.Module) -> nn.Module:
    if isinstance(module, ReferenceModule):
        return _convert(module.body)
    if library_of(module) is not None:
        return _convert_library(module)
    if isinstance(module, nn.Sequential) and not any(library_of(child) for child in module):
        return _convert_sequence(module)
    memo = _shared_objects(module)
    for child in _outermost_replaced(module):
        native = _convert(child)
        memo[id(child)] = TypedLayer(native, child.out_type) if library_of(child) else native
    return copy.deepcopy(module, memo)


def _convert_sequence(sequence: nn.Sequential) -> nn.Sequential:
    """Convert each child; SequentialModules inside are spliced in, so that names are those of our networks."""
    layers: list[nn.Module] = []
    for child in sequence:
        native = _convert(child)
        layers += list(native) if isinstance(child, ReferenceModule) and isinstance(native, nn.Sequential) else [native]
    kind = FieldSequential if isinstance(sequence, FieldSequential) else nn.Sequential
    return kind(*layers)


def _outermost_replaced(module: nn.Module) -> list[nn.Module]:
    """Return the children, at any depth, that are converted as a whole."""
    found: list[nn.Module] = []
    for child in module.children():
        whole = isinstance(child, ReferenceModule | nn.Sequential) or library_of(child) is not None
        if isinstance(child, nn.Sequential) and any(library_of(layer) for layer in child):
            whole = False
        found += [child] if whole else _outermost_replaced(child)
    return found


def _shared_objects(module: nn.Module) -> dict[int, Any]:
    """Return a deepcopy memo that shares field types and groups, which the libraries cannot all copy."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            items = value if isinstance(value, list | tuple) else [value]
            memo.update({id(item): item for item in items if library_of(item) and not isinstance(item, nn.Module)})
    return memo


def _convert_library(module: nn.Module) -> nn.Module:
    engine = load_engine(library_of(module))
    kind = type(module).__name__
    if kind == "SequentialModule":
        return nn.Sequential(*(_convert_library(child).train(child.training) for child in module.children()))
    converter = _CONVERTERS.get(kind.removesuffix("2D"))
    if converter is None:
        supported = ", ".join([*_CONVERTERS, "SequentialModule"])
        raise InputError(f"layer of {engine.name}", expected=f"one of {supported}", got=kind)
    native = converter(module, engine.describe(module.in_type), engine)
    tensors = [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]
    return native.to(device=tensors[0].device, dtype=tensors[0].dtype) if tensors else native


def _number(value: Any, what: str) -> int:
    """Return the one number behind ``3`` or ``(3, 3)``; raise InputError where rows and columns differ."""
    numbers = set(value) if isinstance(value, list | tuple) else {value}
    if len(numbers) != 1:
        raise InputError(what, expected="the same along rows and columns", got=value)
    return int(numbers.pop())


def _empty_twin(module: nn.Module, source: FieldType, engine: Engine) -> nn.Module:
    """Return our convolution of the same shape as an R2Conv, with weights of its own."""
    target = engine.describe(module.out_type)
    for what, valid in (("dilation", 1), ("groups", 1), ("padding_mode", "zeros")):
        value = getattr(module, what, valid)
        value = value if isinstance(value, str) else _number(value, f"R2Conv {what}")
        if value != valid:
            raise InputError(f"R2Conv {what}", expected=valid, got=value)
    options: dict[str, Any] = {
        "kernel_size": _number(module.kernel_size, "R2Conv kernel_size"),
        "stride": _number(module.stride, "R2Conv stride"),
        "padding": _number(module.padding, "R2Conv padding"),
        "bias": module.bias is not None,
    }
    kind = GroupConv2d if target.is_regular else TrivialConv2d
    native = kind(source, target, **options)
    native.to(device=module.weights.device, dtype=module.weights.dtype)
    return native


def _from_r2conv(module: nn.Module, source: FieldType, engine: Engine) -> nn.Module:
    native = _empty_twin(module, source, engine)
    copy_to_native(module, native)
    native.weight.requires_grad_(module.weights.requires_grad)
    if native.bias is not None:
        native.bias.requires_grad_(module.bias.requires_grad)
    return native


def _from_inner_norm(module: nn.Module, source: FieldType, engine: Engine) -> nn.Module:
    inner = next(m for m in module.modules() if isinstance(m, nn.BatchNorm3d))
    options = (inner.eps, inner.momentum, inner.affine, inner.track_running_stats)
    plain = nn.BatchNorm2d(source.count, *options)
    tensors = [t for t in inner.state_dict().values() if t.is_floating_point()]
    if tensors:
        plain.to(device=tensors[0].device, dtype=tensors[0].dtype)
    plain.load_state_dict(inner.state_dict())
    if source.is_trivial:
        return plain
    native = FieldBatchNorm2d(source)
    native.norm = plain
    return native


def _from_max_pool(module: nn.Module, source: FieldType, engine: Engine) -> nn.Module:
    return nn.MaxPool2d(module.kernel_size, module.stride, module.padding, module.dilation, ceil_mode=module.ceil_mode)


def _from_antialiased_max(module: nn.Module, source: FieldType, engine: Engine) -> nn.Module:
    if _number(module.padding, "pooling padding") or _number(module.dilation, "pooling dilation") != 1:
        raise InputError(type(module).__name__, expected="padding 0, dilation 1", got=str(module))
    window = _number(module.kernel_size, "pooling window")
    native = AntialiasedMaxPool2d(source, window, stride=_number(module.stride, "pooling stride"))
    native.window_padding = 0
    return _with_kernel_of(native, module)


def _from_antialiased_avg(module: nn.Module, source: FieldType, engine: Engine) -> nn.Module:
    native = _with_kernel_of(AntialiasedAvgPool2d(source, stride=_number(module.stride, "pooling stride")), module)
    native.padding = _number(module.padding, "pooling padding")
    return native


def _with_kernel_of(native: Any, module: nn.Module) -> Any:
    """Give ``native`` the Gaussian of the library's pool, whose sigma is read off its samples."""
    kernel_HW = module.filter[0, 0].double()
    centre = kernel_HW.shape[-1] // 2
    native.half_width = native.padding = centre
    native.sigma = float((0.5 / (kernel_HW[centre, centre] / kernel_HW[centre, centre + 1]).log()).sqrt())
    native.sigma = round(native.sigma, 6)
    native.kernel_HW = native.exact_kernel().to(module.filter)
    return native


def _from_mask(module: nn.Module, source: FieldType, engine: Engine) -> nn.Module:
    return SoftDiskMask(module.mask.shape[-1], module.margin, getattr(module, "sigma", 2.0))


_CONVERTERS: dict[str, Callable[[nn.Module, FieldType, Engine], nn.Module]] = {
    "R2Conv": _from_r2conv,
    "InnerBatchNorm": _from_inner_norm,
    "ReLU": lambda m, source, engine: nn.ReLU(),
    "ELU": lambda m, source, engine: nn.ELU(m.alpha),
    "PointwiseMaxPool": _from_max_pool,
    "PointwiseMaxPoolAntialiased": _from_antialiased_max,
    "PointwiseAvgPool": lambda m, s, e: nn.AvgPool2d(m.kernel_size, m.stride, m.padding, m.ceil_mode),
    "PointwiseAvgPoolAntialiased": _from_antialiased_avg,
    "PointwiseAdaptiveAvgPool": lambda m, source, engine: nn.AdaptiveAvgPool2d(m.output_size),
    "PointwiseAdaptiveMaxPool": lambda m, source, engine: nn.AdaptiveMaxPool2d(m.output_size),
    "MaskModule": _from_mask,
    "PointwiseDropout": lambda m, source, engine: nn.Dropout(m.p),
    "FieldDropout": lambda m, source, engine: PixelFieldDropout(source, m.p),
    "GroupPooling": lambda m, source, engine: GroupPooling(source),
}
