"""Attention maps of a source as it turns, and how far they turn with it.

An attention map is a trivial field: for an equivariant network ``a(g x) = g a(x)``, that is, the
map of the turned image is the turned map. Legend: A angles, L gates, B batch, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError, require
from equirgz.evaluate.equivariance import relative_l2
from equirgz.evaluate.predict import evaluating
from equirgz.geometry.action import disk_mask, turn_lattice, warp
from equirgz.records import finite_or_none


def compute_attention(backbone: nn.Module, x_BCHW: Tensor) -> list[Tensor]:
    """Return the network's attention maps in eval mode, one (B, 1, H', W') per gate, bottom to top.

    Raises InputError for a network without attention maps.
    """
    maps = []
    if hasattr(backbone, "attention_maps"):
        with evaluating(backbone):
            maps = backbone.attention_maps(x_BCHW)
    if not maps:
        mend = "use attention_lenet, steerable_attention or steerable_transformer"
        got = type(backbone).__name__
        raise InputError("attention", expected="a network with attention maps", got=got, mend=mend)
    return maps


def attention_error(
    backbone: nn.Module, x_BCHW: Tensor, angles_deg: Sequence[float] = (90.0, 180.0, 270.0)
) -> list[dict[str, Any]]:
    """Return dictionaries ``gate``, ``angle_deg``, ``relative_l2``: how far each map is from turning with the image
    (None where a map is zero, or not finite).

    Images and maps are turned by interpolation (bicubic) off the lattice, where a map of few pixels
    cannot turn exactly: compare there between networks, not with zero.
    """
    disk_HW = disk_mask(x_BCHW.shape[-1], like=x_BCHW)
    reference = compute_attention(backbone, x_BCHW * disk_HW)
    rows = []
    for angle in map(float, angles_deg):
        turned = compute_attention(backbone, _turn(x_BCHW, angle) * disk_HW)
        for gate, (got, map_B1HW) in enumerate(zip(turned, reference, strict=True)):
            disk_hw = disk_mask(got.shape[-1], like=got)  # corners of a turned map are not known
            error = relative_l2(got * disk_hw, _turn(map_B1HW, angle) * disk_hw)
            rows.append({"gate": gate, "angle_deg": angle, "relative_l2": finite_or_none(error)})
    return rows


@dataclass(frozen=True)
class AttentionTurns:
    """One source at several angles, and what a gate of each network sees of it.

    angles_deg : A angles. x_AHW : the source at each, channels summed, zero outside ``in_disk_HW``.
    map_AHW, error_A : network -> its maps, enlarged to the image, and how far each is from the turned map of the
        first angle, relative; NaN at the first angle.
    """

    angles_deg: tuple[float, ...]
    x_AHW: np.ndarray
    in_disk_HW: np.ndarray
    map_AHW: dict[str, np.ndarray]
    error_A: dict[str, np.ndarray]


def turn_attention(
    networks: nn.Module | Mapping[str, nn.Module],
    image_CHW: Tensor,
    angles_deg: Sequence[float] = (0.0, 45.0, 90.0, 135.0, 180.0),
    *,
    gate: int = -1,
) -> AttentionTurns:
    """Return the maps of ``gate`` as one source turns; :func:`equirgz.report.panels.attention_panel.plot_attention`
    draws them.

    Raises InputError for anything but one image (C, H, W), and for a network without attention maps.
    """
    networks = networks if isinstance(networks, Mapping) else {type(networks).__name__: networks}
    image_CHW = torch.as_tensor(image_CHW, dtype=torch.float32)
    require(image_CHW.ndim == 3, "turn_attention", expected="one image (C, H, W)", got=tuple(image_CHW.shape))
    angles = tuple(map(float, angles_deg))
    disk_HW = disk_mask(image_CHW.shape[-1])
    x_ACHW = torch.cat([_turn(image_CHW[None], angle) for angle in angles]) * disk_HW
    maps, errors = {}, {}
    for name, network in networks.items():
        map_A1hw = compute_attention(network, x_ACHW.to(next(network.parameters())))[gate].float().cpu()
        maps[name] = F.interpolate(map_A1hw, size=image_CHW.shape[-2:], mode="bilinear")[:, 0].numpy()
        disk_hw = disk_mask(map_A1hw.shape[-1])
        errors[name] = np.array([np.nan] + [
            relative_l2(map_1hw[None] * disk_hw, _turn(map_A1hw[:1], angle - angles[0]) * disk_hw)
            for map_1hw, angle in zip(map_A1hw[1:], angles[1:], strict=True)
        ])  # fmt: skip
    return AttentionTurns(angles, x_ACHW.sum(1).numpy(), disk_HW.numpy() > 0, maps, errors)


def _turn(x_BCHW: Tensor, angle_deg: float) -> Tensor:
    quarter = angle_deg / 90.0
    if quarter == round(quarter):
        return turn_lattice(x_BCHW, round(quarter))
    return warp(x_BCHW, angle_deg, mode="bicubic")
