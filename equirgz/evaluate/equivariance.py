"""How far a network is from the symmetry it claims.

For features the law is ``h(g x) = h(x)``; for maps of regular fields ``m(g x) = g m(x)``, where g
turns space and permutes the fibre (:func:`equirgz.geometry.action.apply_element_to_maps`). Errors
are relative: ``|h(g x) - h(x)| / |h(x)|`` over the whole batch. Quarter turns and flips are exact,
so their error is the network's own; at other angles the images and maps are interpolated, and only
smooth images (:func:`make_smooth_images`) tell something.
Legend: B batch, C channel, H W pixels, F fields or features, G group elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from equirgz.backbones.base import Backbone
from equirgz.errors import InputError
from equirgz.evaluate.predict import evaluating
from equirgz.geometry.action import apply_element_to_maps, disk_mask, warp
from equirgz.geometry.group import Group, get_group
from equirgz.records import finite_or_none


def make_smooth_images(
    n: int,
    size: int,
    seed: int = 0,
    *,
    angle_deg: float = 0.0,
    reflect: bool = False,
    sigma_px: float = 3.0,
    channels: int = 1,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Return (n, channels, size, size) sums of Gaussians, turned and reflected WITHOUT interpolation.

    Each image has 8 round Gaussians of random weight (both signs), centre (inside 0.6 of the disk's radius) and
    width (``sigma_px`` to twice that), evaluated at the turned centres: the same ``seed`` with
    another angle is the same source, turned as :func:`equirgz.geometry.action.warp` turns, exactly.
    So what a network answers differently is the network's error and no interpolation's.
    """
    rng = np.random.default_rng(seed)
    shape = (n, channels, 8)
    radius = 0.6 * (size - 1) / 2 * np.sqrt(rng.random(shape))
    phase = 2 * np.pi * rng.random(shape)
    width = np.minimum(sigma_px * (1 + rng.random(shape)), max(size / 12.0, 0.8))
    weight = rng.normal(size=shape)
    column, row_up = radius * np.cos(phase), radius * np.sin(phase)
    if reflect:
        column = -column
    turn = np.deg2rad(angle_deg)
    column, row_up = (
        column * np.cos(turn) - row_up * np.sin(turn),
        column * np.sin(turn) + row_up * np.cos(turn),
    )
    axis = np.arange(size) - (size - 1) / 2
    along_row = np.exp(-0.5 * ((axis - column[..., None]) / width[..., None]) ** 2)
    along_column = np.exp(-0.5 * ((-axis - row_up[..., None]) / width[..., None]) ** 2)
    image = np.einsum("ncb,ncbh,ncbw->nchw", weight, along_column, along_row)
    peak = np.abs(image.sum(1, keepdims=True)).max((-2, -1), keepdims=True)
    return torch.as_tensor(image / peak, dtype=dtype)


def relative_l2(got: Tensor, expected: Tensor) -> float:
    """Return ``|got - expected| / |expected|`` in float64.

    NaN where either is not finite, and for 0 / 0: of outputs that are zero everywhere nothing is known.
    """
    difference = float(torch.linalg.vector_norm((got - expected).double()))
    scale = float(torch.linalg.vector_norm(expected.double()))
    if scale == 0:
        return float("inf") if difference > 0 else float("nan")
    return difference / scale


def equivariance_error(
    backbone: nn.Module,
    x_BCHW: Tensor,
    angles_deg: Sequence[float] = (90.0, 180.0, 270.0),
    reflect: Sequence[bool] = (False,),
    *,
    layers: bool = False,
) -> list[dict[str, Any]]:
    """Return the error of features and maps under each turn, as dictionaries.

    Keys: ``what`` ("features", "maps", or the name of a block), ``angle_deg``, ``reflect``,
    ``relative_l2`` (None where it is not finite or, the output being zero, not defined). Features are
    compared at every angle, with the images turned bicubically where the lattice is left. Maps
    (``backbone.forward_maps``) and, with ``layers``, the outputs of ``backbone.blocks()`` are compared
    at the elements of ``backbone.group`` alone, whose action on the fibre is known; of a network
    without symmetry (C1), whose channels would just turn with the image if it were equivariant, the
    blocks are compared at every angle. The network is in eval mode meanwhile, and put back.

    Raises InputError when the images are not (B, C, H, H).
    """
    if x_BCHW.ndim != 4 or x_BCHW.shape[-1] != x_BCHW.shape[-2]:
        raise InputError("equivariance_error", expected="(B, C, H, H)", got=tuple(x_BCHW.shape))
    disk_HW = disk_mask(x_BCHW.shape[-1], like=x_BCHW)
    turned = (
        (float(a), bool(f), warp(x_BCHW, float(a), bool(f), mode="bicubic") * disk_HW)
        for f in reflect
        for a in angles_deg
    )
    rows = measure_turned(backbone, x_BCHW * disk_HW, turned, layers=layers)
    return [{**row, "relative_l2": finite_or_none(row["relative_l2"])} for row in rows]


def measure_turned(
    backbone: nn.Module,
    x_BCHW: Tensor,
    turned: Iterable[tuple[float, bool, Tensor]],
    *,
    layers: bool = False,
) -> list[dict[str, Any]]:
    """Compare the answers to ``x_BCHW`` and to each (angle_deg, reflect, turned images), as dictionaries."""
    group = network_group(backbone)
    with evaluating(backbone):
        reference = compute_outputs(backbone, x_BCHW, layers)
        rows = []
        for angle, reflects, g_x in turned:
            outputs = compute_outputs(backbone, g_x, layers)
            for what, expected in reference.items():
                error = _error(group, angle, reflects, outputs[what], expected)
                if error is not None:
                    rows.append({"what": what, "angle_deg": angle, "reflect": reflects, "relative_l2": error})
    return rows


def network_group(backbone: nn.Module) -> Group:
    """Return the group a network claims: its ``group`` (Group or name), C1 where it has none."""
    return get_group(getattr(backbone, "group", "C1"))


def find_element(group: Group, angle_deg: float, reflect: bool) -> int | None:
    """Return the element of ``group`` with this angle and reflection, or None."""
    for g in range(group.order):
        apart = (group.angle_deg(g) - angle_deg + 180.0) % 360.0 - 180.0
        if group.is_reflection(g) == reflect and abs(apart) < 1e-6:
            return g
    return None


def compute_outputs(backbone: nn.Module, x_BCHW: Tensor, layers: bool) -> dict[str, Tensor]:
    """Return features (B, F), maps (B, F, G, H, W) and block outputs (B, C, H, W) by name."""
    blocks: dict[str, Tensor] = {}
    hooks = []
    if layers and hasattr(backbone, "blocks"):
        for i, block in enumerate(backbone.blocks()):
            name = f"block {i}: {type(block).__name__}"
            hooks.append(block.register_forward_hook(lambda _, __, out, name=name: _keep(blocks, name, out)))
    outputs = {}
    try:
        if _has_plain_forward(backbone):  # one pass gives both
            backbone.check_input(x_BCHW)
            maps_BCHW = backbone.maps(x_BCHW)
            outputs["features"] = backbone.read_out(maps_BCHW)
            outputs["maps"] = maps_BCHW.unflatten(1, (-1, backbone.group.order))
        else:
            outputs["features"] = backbone(x_BCHW).flatten(1)
    finally:
        for hook in hooks:
            hook.remove()
    if "maps" not in outputs and hasattr(backbone, "forward_maps"):
        outputs["maps"] = backbone.forward_maps(x_BCHW)
    return {**blocks, **outputs}


def _has_plain_forward(backbone: nn.Module) -> bool:
    kind = type(backbone)
    return isinstance(backbone, Backbone) and all(
        getattr(kind, method) is getattr(Backbone, method) for method in ("forward", "features", "forward_maps")
    )


def _keep(blocks: dict[str, Tensor], name: str, out: Any) -> None:
    out = out[0] if isinstance(out, (tuple, list)) else out
    if isinstance(out, Tensor) and out.ndim >= 4:
        blocks[name] = out


def _error(group: Group, angle_deg: float, reflect: bool, got: Tensor, expected: Tensor) -> float | None:
    if expected.ndim == 2:
        return relative_l2(got, expected)
    g = find_element(group, angle_deg, reflect)
    if g is None:
        scalar = group.order == 1 and expected.ndim == 4
        return relative_l2(got, warp(expected, angle_deg, reflect, mode="bicubic")) if scalar else None
    if expected.ndim == 5:
        return relative_l2(got, apply_element_to_maps(expected, group, g, "bicubic"))
    # A block's channels are regular fields or trivial ones; the law that holds better is meant.
    errors = [relative_l2(got, apply_element_to_maps(expected[:, :, None], group, g, "bicubic")[:, :, 0])]
    if group.order > 1 and expected.shape[1] % group.order == 0:
        fields = apply_element_to_maps(expected.unflatten(1, (-1, group.order)), group, g, "bicubic")
        errors.append(relative_l2(got, fields.flatten(1, 2)))
    return min(errors)
