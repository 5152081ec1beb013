"""Whether two networks are the same: names, types and settings of layers, shapes of weights, outputs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group

# Settings that choose a way of computing the same numbers.
_SAME_NUMBERS = frozenset({"path", "inplace", "training"})


def describe_layer(module: nn.Module) -> tuple[str, dict[str, str]]:
    """Return the type of a layer and its public settings: numbers, texts, groups, field types, and tuples of them."""
    public = {k: v for k, v in vars(module).items() if not k.startswith("_") and k != "training"}
    return type(module).__qualname__, {k: repr(v) for k, v in public.items() if _is_setting(v)}


def _is_setting(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_setting, value))
    return value is None or isinstance(value, (bool, int, float, str, Group, FieldType))


def find_other_layer(network: nn.Module, expected: nn.Module) -> str | None:
    """Return a phrase on the first layer of ``network`` that ``expected`` has not or has otherwise, or None."""
    own, wanted = dict(network.named_modules()), dict(expected.named_modules())
    for name in [*own, *wanted]:
        where = f"layer {name!r}" if name else "the network"
        if name not in wanted:
            return f"{where} ({type(own[name]).__name__}), which was added"
        if name not in own:
            return f"no {where} of its own ({type(wanted[name]).__name__})"
        if type(own[name]) is not type(wanted[name]):
            kinds = type(own[name]), type(wanted[name])
            full = kinds[0].__name__ == kinds[1].__name__
            got, other = (f"{k.__module__}.{k.__qualname__}" if full else k.__name__ for k in kinds)
            return f"{where} of type {got} instead of {other}"
        for key, value in describe_layer(wanted[name])[1].items():
            found = repr(getattr(own[name], key, None))
            if key not in _SAME_NUMBERS and found != value:
                return f"{where} with {key} {found} instead of {value}"
    tied = dict(expected.named_parameters()).keys() - dict(network.named_parameters()).keys()
    return f"{min(tied)} tied to another weight" if tied else None


def find_other_weight(weights: dict[str, Any], expected: dict[str, Tensor]) -> str | None:
    """Return a phrase on the first entry of ``weights`` that does not fit, or None."""
    for name in sorted(weights.keys() | expected.keys()):
        got = weights.get(name)
        if got is not None and type(got) not in (Tensor, nn.Parameter):
            return f"{name} in a {type(got).__name__}"
        found = "no such entry" if got is None else f"{tuple(got.shape)}"
        wanted = f"{tuple(expected[name].shape)}" if name in expected else "no such entry"
        if found != wanted:
            return f"{name} {found} instead of {wanted}"
        if got.is_floating_point() and not bool(torch.isfinite(got).all()):
            return f"{name} with NaN or infinite numbers"
    return None


def probe(network: nn.Module) -> Tensor:
    """Return the features of two images of fixed random numbers, as the network stands."""
    tensor = next(p for p in network.parameters() if p.is_floating_point())
    with torch.no_grad():
        return network(network.make_example().to(device=tensor.device, dtype=tensor.dtype))


def is_same(h_BF: Tensor, other_BF: Tensor) -> bool:
    """Return whether two probes agree to rounding, relative to the largest feature."""
    tolerance = math.sqrt(torch.finfo(h_BF.dtype).eps) / 4  # 9e-5 in float32, 4e-9 in float64
    off = float((h_BF - other_BF).abs().max()) if h_BF.shape == other_BF.shape else math.inf
    return off <= tolerance * float(h_BF.abs().max())
