"""Attention maps of a source as it turns, and how far they turn with it.

An attention map is a trivial field: for an equivariant network ``a(g x) = g a(x)``, that is, the
map of the turned image is the turned map. Legend: A angles, L gates, B batch, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def plot_attention(
    backbone: nn.Module | dict[str, nn.Module],
    image_CHW: Tensor,
    angles_deg: Sequence[float] = (0.0, 45.0, 90.0, 135.0, 180.0),
    *,
    gate: int = -1,
    source_name: str = "",
) -> Any:
    """Return a Figure: the source at each angle, and below it the map of ``gate`` for each network.

    Maps are enlarged to the image and share one scale per network. The number under a map is its
    relative error against the turned map of the first angle (0: it turned with the source).
    """
    from equirgz.report.figures.style import PAGE_IN, figure_style, make_figure

    networks = backbone if isinstance(backbone, dict) else {type(backbone).__name__: backbone}
    image_CHW = torch.as_tensor(image_CHW, dtype=torch.float32)
    require(image_CHW.ndim == 3, "plot_attention", expected="one image (C, H, W)", got=tuple(image_CHW.shape))
    disk_HW = disk_mask(image_CHW.shape[-1])
    in_disk_HW = disk_HW.numpy() > 0
    x_ACHW = torch.cat([_turn(image_CHW[None], float(a)) for a in angles_deg]) * disk_HW
    with figure_style():
        side = PAGE_IN / (len(angles_deg) + 0.3)
        figure = make_figure(PAGE_IN, (side + 0.3) * (1 + len(networks)))
        axes = figure.subplots(1 + len(networks), len(angles_deg), squeeze=False)
        for column, (x_CHW, angle) in enumerate(zip(x_ACHW, angles_deg, strict=True)):
            axes[0, column].imshow(x_CHW.sum(0).numpy(), cmap="magma", vmin=0.0)
            axes[0, column].set_title(f"{angle:g}°")
        axes[0, 0].set_ylabel(source_name or "source")
        for row, (name, network) in enumerate(networks.items(), start=1):
            parameter = next(network.parameters())
            map_A1HW = compute_attention(network, x_ACHW.to(parameter))[gate].float().cpu()
            large_AHW = F.interpolate(map_A1HW, size=image_CHW.shape[-2:], mode="bilinear")[:, 0].numpy()
            inside = large_AHW[:, in_disk_HW]
            limits = {"vmin": float(inside.min()), "vmax": float(inside.max())}
            axes[row, 0].set_ylabel(name)
            for column, angle in enumerate(angles_deg):
                axis = axes[row, column]
                axis.imshow(np.where(in_disk_HW, large_AHW[column], np.nan), cmap="viridis", **limits)
                if column:
                    disk_hw = disk_mask(map_A1HW.shape[-1])
                    expected = _turn(map_A1HW[:1], float(angle) - float(angles_deg[0]))
                    error = relative_l2(map_A1HW[column : column + 1] * disk_hw, expected * disk_hw)
                    axis.set_xlabel(f"error {error:.1g}" if error >= 1e-3 else f"error {error:.0e}")
        for axis in axes.flat:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(False)
    return figure


def _turn(x_BCHW: Tensor, angle_deg: float) -> Tensor:
    quarter = angle_deg / 90.0
    if quarter == round(quarter):
        return turn_lattice(x_BCHW, round(quarter))
    return warp(x_BCHW, angle_deg, mode="bicubic")
