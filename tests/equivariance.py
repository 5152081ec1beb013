"""ONE test tool for equivariance: ``assert_equivariant(module, group, size=65)``.

It acts with every element of the group that keeps the pixel lattice (quarter turns and flips),
in float32 and float64, and compares

    features  h(g x) = h(x)          module(x) -> (B, F)
    maps      m(g x) = g m(x)        module.forward_maps(x) -> (B, fields, |G|, H, W)
    fields    y(g x) = g y(x)        layer(x), for a layer with in_type and out_type (or those given)

relative to the largest value. It returns the table of errors when it passes and raises
AssertionError with the failing lines marked. For a bare layer, pass ``maps=layer`` (and
``features=None``): any function from images (or maps) to (B, fields, |G|, H, W).
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from equirgz.geometry.action import apply_element_to_fields, apply_element_to_maps, warp
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-7}


def assert_equivariant(
    module: nn.Module | None,
    group: Group | str | None = None,
    size: int | None = None,
    *,
    in_channels: int = 1,
    batch: int = 2,
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64),
    tolerance: dict[torch.dtype, float] | None = None,
    features: str | Callable | None = "forward",
    maps: str | Callable | None = "forward_maps",
    in_group: Group | str | None = None,
    in_type: FieldType | None = None,
    out_type: FieldType | None = None,
    seed: int = 0,
) -> list[tuple[str, str, int, float]]:
    """Check every lattice element; return lines (dtype, what, g, relative error).

    ``features`` and ``maps`` are method names of ``module`` (a missing one is left out) or
    functions of (module, x); None leaves that check out. With ``in_group`` the input is a regular
    field of that group, (B, in_channels, |G|, H, W), and is acted on as one.
    With ``in_type`` the input is a tensor of that type, and with ``out_type`` the output of ``module`` is;
    nothing else is checked then. A layer that has both is checked by them.
    The module is copied for each dtype and is in eval mode; its own state is not touched.
    """
    if (features, maps, in_group) == ("forward", "forward_maps", None):
        in_type = in_type or getattr(module, "in_type", None)
        out_type = out_type or getattr(module, "out_type", None)
    typed = in_type is not None and out_type is not None
    group = in_type.group if typed else _as_group(group if group is not None else module.group)
    size = size if size is not None else module.image_size
    limits = TOLERANCE | (tolerance or {})
    lines = []
    for dtype in dtypes:
        copied = copy.deepcopy(module).to(dtype).eval()
        checks = {"features": _bind(copied, features), "maps": _bind(copied, maps)}
        if typed:
            checks = {"fields": _bind(copied, "forward")}
        checks = {what: call for what, call in checks.items() if call is not None}
        assert checks, "nothing to check: the module has neither features nor maps"
        x = _make_input(batch, in_type.size if typed else in_channels, in_group, size, dtype, seed)
        with torch.no_grad():
            expected = {what: call(x) for what, call in checks.items()}
            for g in (g for g in range(group.order) if group.is_lattice(g)):
                g_x = apply_element_to_fields(x, in_type, g) if typed else _act(x, group, g, in_group)
                for what, call in checks.items():
                    acted = expected[what]
                    if what == "maps":
                        acted = apply_element_to_maps(acted, group, g)
                    elif what == "fields":
                        acted = apply_element_to_fields(acted, out_type, g)
                    lines.append((str(dtype).removeprefix("torch."), what, g, _relative(call(g_x), acted)))
    failed = [not line[-1] <= limits[getattr(torch, line[0])] for line in lines]
    if any(failed):
        table = "\n".join(
            f"{'FAIL' if bad else 'ok  '} {dtype:8s} {what:8s} g={g:<3d} {group.angle_deg(g):5.0f} deg"
            f"{' reflected' if group.is_reflection(g) else ''}  {error:.2e}"
            for bad, (dtype, what, g, error) in zip(failed, lines, strict=True)
        )
        raise AssertionError(f"not equivariant under {group} at {size} px:\n{table}")
    return lines


def _as_group(group: Group | str) -> Group:
    return group if isinstance(group, Group) else get_group(group)


def _bind(module: nn.Module, how: str | Callable | None) -> Callable[[Tensor], Tensor] | None:
    if how is None:
        return None
    if callable(how):
        return lambda x: how(module, x)
    method = getattr(module, how, None)
    return None if method is None else (module if how == "forward" else method)


def _make_input(
    batch: int, channels: int, in_group: Group | str | None, size: int, dtype: torch.dtype, seed: int
) -> Tensor:
    order = () if in_group is None else (_as_group(in_group).order,)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, *order, size, size, generator=generator, dtype=torch.float64).to(dtype)


def _act(x: Tensor, group: Group, g: int, in_group: Group | str | None) -> Tensor:
    if in_group is not None:
        return apply_element_to_maps(x, group, g)
    return warp(x, group.angle_deg(g), group.is_reflection(g))


def _relative(got: Tensor, expected: Tensor) -> float:
    if got.shape != expected.shape:
        return float("inf")
    return float((got - expected).abs().max() / expected.abs().max().clamp_min(1e-30))
