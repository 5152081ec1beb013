"""THE definition of turning, reflecting and masking an image; everything else calls it.

A positive angle turns as ``torch.rot90(x, 1, (-2, -1))`` does: counter-clockwise when row 0 is
drawn on top. A reflection flips the last axis (columns). ``warp`` applies, to each image,

    y(p) = x(M^f R(-angle) S^-1 (p - shift)),      S = [[1, k_c], [k_r, 1]] diag(scale)

that is: reflect, then rotate, then magnify, then shear, then shift, in ONE bilinear interpolation,
about the central point of the image. Quarter turns with nothing else take an exact path that only
moves pixels. Legend: B batch, C channel, H W pixels.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group
from equirgz.geometry.sampler import sample, sampler_for

_LATTICE_TOLERANCE_DEG = 1e-5


@lru_cache(maxsize=32)
def _disk_mask(size: int, margin_px: float) -> Tensor:
    with torch.device("cpu"), torch.inference_mode(False):  # kept for all callers, wherever the first one is
        axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
        radius = torch.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
        return (radius <= (size - 1) / 2 - margin_px + 1e-6).to(torch.float32)


def disk_mask(size: int, margin_px: float = 0.0, like: Tensor | None = None) -> Tensor:
    """Return the (size, size) mask that is 1 inside the inscribed disk and 0 outside.

    The radius is ``(size - 1) / 2 - margin_px`` pixels about the central point, so the mask is
    invariant under every element of D_4, and corners give no hint of a rotation.
    """
    mask = _disk_mask(int(size), float(margin_px))
    return mask.clone() if like is None else mask.to(device=like.device, dtype=like.dtype)


def turn_lattice(x_BCHW: Tensor, quarter_turns: int, reflect: bool = False) -> Tensor:
    """Reflect (optionally) and then turn by ``quarter_turns`` x 90 degrees, exactly."""
    flipped = torch.flip(x_BCHW, (-1,)) if reflect else x_BCHW
    return torch.rot90(flipped, quarter_turns % 4, (-2, -1))


def warp(
    x_BCHW: Tensor,
    angle_deg_B: Tensor | float = 0.0,
    reflect_B: Tensor | bool = False,
    scale_B: Tensor | float = 1.0,
    shift_px_B2: Tensor | None = None,
    mode: str = "bilinear",
    shear_B2: Tensor | None = None,
    out_size: int | None = None,
) -> Tensor:
    """Reflect, rotate, magnify, shear and shift each image in one interpolation (law: module docstring).

    Parameters
    ----------
    x_BCHW : square images; outside the image counts as 0. NaN spreads to its neighbours. Of bytes (uint8) the
        result is float32, in the same units.
    angle_deg_B : degrees, one per image or one for all.
    reflect_B : whether to flip the columns first.
    scale_B : magnification; 1.1 makes the source 10 % larger. Of shape (B, 2): columns and rows apart.
    shift_px_B2 : (columns, rows) in pixels by which the content moves.
    mode : ``"bilinear"`` or ``"nearest"`` or ``"bicubic"``.
    shear_B2 : (k_c, k_r): columns move by k_c per row downwards, rows by k_r per column.
    out_size : side of the result, about the same centre; None: the side of the input.

    Raises InputError when the images are not square.
    """
    batch, _, height, width = x_BCHW.shape
    if height != width:
        raise InputError(f"warp: expected square images, got {height} x {width}; crop them first")
    # The parameters are read on the CPU: given there, the device is never waited for.
    angle_B = _on_cpu(angle_deg_B).expand(batch)
    reflect_B = torch.as_tensor(reflect_B, device="cpu").bool().expand(batch)
    scale_B2 = _on_cpu(scale_B)
    scale_B2 = (scale_B2[..., None] if scale_B2.ndim < 2 else scale_B2).expand(batch, 2)
    shift_B2 = _on_cpu(0.0 if shift_px_B2 is None else shift_px_B2).expand(batch, 2)
    shear_B2 = _on_cpu(0.0 if shear_B2 is None else shear_B2).expand(batch, 2)
    quarter_B = torch.round(angle_B / 90.0)
    exact_B = (
        ((angle_B - 90.0 * quarter_B).abs() < _LATTICE_TOLERANCE_DEG)
        & (scale_B2 == 1.0).all(1)
        & (shift_B2 == 0).all(1)
        & (shear_B2 == 0).all(1)
    )
    out_size = height if out_size is None else out_size
    margin = height - out_size
    if margin:
        exact_B = exact_B & (margin > 0) & (margin % 2 == 0)
    source_BCHW = x_BCHW
    if margin > 0 and margin % 2 == 0:
        inner = slice(margin // 2, height - margin // 2)
        source_BCHW = x_BCHW[..., inner, inner]
    if bool(exact_B.all()):
        return as_floats(_turn_each(source_BCHW, quarter_B, reflect_B))
    inverse_B22 = _inverse_matrix(angle_B, reflect_B, scale_B2, shear_B2)
    y_BCHW = _interpolate(x_BCHW, inverse_B22, shift_B2, mode, out_size)
    if bool(exact_B.any()):
        index_b = torch.nonzero(exact_B)[:, 0].to(x_BCHW.device)
        turned_BCHW = _turn_each(source_BCHW[index_b], quarter_B[exact_B], reflect_B[exact_B])
        y_BCHW[index_b] = turned_BCHW.to(y_BCHW.dtype)
    return y_BCHW


def as_floats(x_BCHW: Tensor) -> Tensor:
    """Return bytes as float32 in the same units, all else as it is."""
    return x_BCHW.float() if x_BCHW.dtype == torch.uint8 else x_BCHW


def _on_cpu(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64, device="cpu")


def _turn_each(x_BCHW: Tensor, quarter_B: Tensor, reflect_B: Tensor) -> Tensor:
    kind_B = (quarter_B.long() % 4) + 4 * reflect_B.long()
    kinds = torch.unique(kind_B).tolist()
    if len(kinds) == 1:
        return turn_lattice(x_BCHW, kinds[0] % 4, kinds[0] >= 4).contiguous()
    y_BCHW = torch.empty_like(x_BCHW)
    for kind in kinds:
        index_b = torch.nonzero(kind_B == kind)[:, 0].to(x_BCHW.device)
        y_BCHW[index_b] = turn_lattice(x_BCHW[index_b], kind % 4, kind >= 4)
    return y_BCHW


def _inverse_matrix(angle_B: Tensor, reflect_B: Tensor, scale_B2: Tensor, shear_B2: Tensor) -> Tensor:
    """Return M^f R(-angle) S^-1 on (column, row-down) coordinates, (B, 2, 2)."""
    radians_B = torch.deg2rad(angle_B)
    cos_B, sin_B = torch.cos(radians_B), torch.sin(radians_B)
    # Rows grow downwards, so a turn as rot90 does it samples at the angle below.
    linear_B22 = torch.stack([torch.stack([cos_B, -sin_B], -1), torch.stack([sin_B, cos_B], -1)], -2)
    linear_B22[:, 0] *= torch.where(reflect_B, -1.0, 1.0)[:, None].to(linear_B22)
    linear_B22 = linear_B22 / scale_B2[:, None, :]
    column_B, row_B = shear_B2.unbind(1)
    one_B = torch.ones_like(column_B)
    unshear_B22 = torch.stack([torch.stack([one_B, -column_B], -1), torch.stack([-row_B, one_B], -1)], -2)
    return linear_B22 @ (unshear_B22 / (1.0 - column_B * row_B)[:, None, None])


def _interpolate(x_BCHW: Tensor, inverse_B22: Tensor, shift_B2: Tensor, mode: str, out_size: int) -> Tensor:
    kernels = sampler_for(x_BCHW, mode)
    if kernels is not None and not (inverse_B22.requires_grad or shift_B2.requires_grad):
        return sample(kernels, x_BCHW, inverse_B22, shift_B2, mode, out_size)
    if x_BCHW.dtype == torch.uint8:
        x_BCHW = as_floats(_cut_to_what_is_read(x_BCHW, inverse_B22, shift_B2, out_size))
    size = x_BCHW.shape[-1]
    # The grid is a sum over its axes, so only one pass over the pixels is made, in their own type.
    axis_W = (torch.arange(out_size, dtype=torch.float64) - (out_size - 1) / 2) * (2.0 / size)
    offset_B2 = torch.einsum("bij,bj->bi", inverse_B22, shift_B2 * (2.0 / size))
    inverse_2B2, offset_2B1 = inverse_B22.transpose(0, 1), offset_B2.T[:, :, None]
    column_2BW = inverse_2B2[:, :, :1] * axis_W
    row_2BH = inverse_2B2[:, :, 1:] * axis_W - offset_2B1
    parts_22BW = torch.stack([column_2BW, row_2BH]).to(device=x_BCHW.device, dtype=x_BCHW.dtype)
    grid_2BHW = parts_22BW[1][..., None] + parts_22BW[0][:, :, None]
    grid_BHW2 = grid_2BHW.permute(1, 2, 3, 0)
    return F.grid_sample(x_BCHW, grid_BHW2, mode=mode, padding_mode="zeros", align_corners=False)


def _cut_to_what_is_read(x_BCHW: Tensor, inverse_B22: Tensor, shift_B2: Tensor, out_size: int) -> Tensor:
    """Return the central square that holds every pixel which a result of ``out_size`` pixels is interpolated from."""
    reach_B2 = inverse_B22.abs().sum(2) * (out_size - 1) / 2 + torch.einsum("bij,bj->bi", inverse_B22, shift_B2).abs()
    size = x_BCHW.shape[-1]
    margin = max(0, math.floor((size - 1) / 2 - float(reach_B2.max()) - 2))
    return x_BCHW[..., margin : size - margin, margin : size - margin]


def apply_element(x_BCHW: Tensor, group: Group, g: int, mode: str = "bilinear") -> Tensor:
    """Return the images acted on by element ``g``: exact for lattice elements, else interpolated."""
    if group.is_lattice(g) and x_BCHW.shape[-1] == x_BCHW.shape[-2]:
        return turn_lattice(x_BCHW, round(group.angle_deg(g) / 90.0), group.is_reflection(g)).contiguous()
    return warp(x_BCHW, group.angle_deg(g), group.is_reflection(g), mode=mode)


def apply_element_to_maps(x_BFGHW: Tensor, group: Group, g: int, mode: str = "bilinear") -> Tensor:
    """Act with ``g`` on regular-field maps (B, fields, |G|, H, W): turn space, permute the fibre.

    The law is ``(g . f)(p, h) = f(g^-1 p, g^-1 h)``.
    """
    batch, fields, order, height, width = x_BFGHW.shape
    if order not in (1, group.order):
        raise InputError(f"maps of {group}: expected {group.order} or 1 group elements, got {order}")
    turned = apply_element(x_BFGHW.reshape(batch, fields * order, height, width), group, g, mode)
    turned = turned.reshape(x_BFGHW.shape)
    if order == 1:
        return turned
    source_G = group.product_GG[group.inverse_G[g]]
    return turned[:, :, torch.as_tensor(source_G, device=x_BFGHW.device)]


def apply_element_to_fields(x_BCHW: Tensor, field_type: FieldType, g: int, mode: str = "bilinear") -> Tensor:
    """Act with ``g`` on a tensor of ``field_type``: turn space, then mix the channels of each field.

    The law is ``(g . f)(p) = rho(g) f(g^-1 p)``. For lattice elements of fields whose channels are permuted,
    numbers only move. Raises InputError unless the tensor has ``field_type.size`` channels.
    """
    if x_BCHW.dim() != 4 or x_BCHW.shape[1] != field_type.size:
        expected = f"(B, {field_type.size}, H, W) for {field_type}"
        raise InputError("fields", expected=expected, got=tuple(x_BCHW.shape))
    turned_BCHW = apply_element(x_BCHW, field_type.group, g, mode)
    acted = []
    for part in field_type.parts:
        x_BFDHW = turned_BCHW[:, part.channels].unflatten(1, (part.count, part.representation.size))
        if part.representation.permutes:
            source_D = torch.from_numpy(part.representation.source_D(g)).to(x_BCHW.device)
            y_BFDHW = x_BFDHW.index_select(2, source_D)
        else:
            matrix_DD = torch.from_numpy(part.representation.matrix_GDD[g]).to(x_BFDHW)
            y_BFDHW = torch.einsum("de,bfehw->bfdhw", matrix_DD, x_BFDHW)
        acted.append(y_BFDHW.flatten(1, 2))
    return torch.cat(acted, 1)
