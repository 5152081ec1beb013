"""From equivariant maps to a value per pixel. Legend: B batch, O outputs, G group elements, H W pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError, require
from equirgz.geometry.field_type import FieldType
from equirgz.nn.decoder import InvariantHead2d
from equirgz.nn.modulation import check_noise_level


class MapLayers(nn.Module):
    """The invariant head of the decoder layers, and linear interpolation to the side of the network's input.

    ``raw(g x) = g raw(x)`` as exactly as the maps keep it: pooled over the group, fields are trivial, and corners lie
    on corners (on odd grids strides keep them there), so that quarter turns and flips only move pixels.
    Raises InputError for a backbone without maps.
    """

    def __init__(self, backbone: nn.Module, n_outputs: int, dropout: float = 0.0, what: str = "maps") -> None:
        super().__init__()
        require(0 <= dropout < 1, "dropout", expected="a share in [0, 1)", got=dropout)
        self.image_size = int(backbone.image_size)
        self.dropout = nn.Dropout3d(dropout) if dropout else nn.Identity()
        self.head = InvariantHead2d(FieldType.regular(backbone.group, count_fields(backbone, what)), n_outputs)

    def forward(self, maps_BFGHW: Tensor) -> Tensor:
        """Return raw outputs (B, O, H, W)."""
        raw_BOHW = self.head(self.dropout(maps_BFGHW).flatten(1, 2))
        return F.interpolate(raw_BOHW, size=(self.image_size,) * 2, mode="bilinear", align_corners=True)


class ScoreNetwork(nn.Module):
    """The gradient of the log density of noisy images: ``s(x, sigma) = -noise(x, sigma) / sigma``.

    ``noise = (sigma z - F(z, sigma)) / sqrt(1 + sigma^2)`` with ``z = x / sqrt(1 + sigma^2)`` and F the map layers on a
    backbone that takes noise levels (arXiv 2206.00364): F = 0 is right for white images of unit variance, and F has a
    scale of about 1 at all levels where images have. ``s(g x, sigma) = g s(x, sigma)`` for every g of the backbone's
    group, exactly on the lattice. The input is x + sigma n, of the variance-exploding kind; a variance-preserving one
    is z.

    Shapes: (B, C, H, W), sigma (B,) above 0 -> (B, C, H, W); ``layers`` are new ones where none are given. Raises
    InputError for a backbone that takes no noise levels; ``create_backbone("steerable_unet", conditioned=True)`` does.
    """

    def __init__(self, backbone: nn.Module, layers: MapLayers | None = None) -> None:
        super().__init__()
        check_conditioned(backbone)
        self.backbone = backbone
        self.layers = MapLayers(backbone, backbone.in_channels, what="score") if layers is None else layers

    def forward(self, x_BCHW: Tensor, noise_level_B: Tensor) -> Tensor:
        sigma_B111 = check_noise_level(noise_level_B, len(x_BCHW)).to(x_BCHW)[:, None, None, None]
        z_BCHW = x_BCHW * torch.rsqrt(1 + sigma_B111.square())
        raw_BCHW = self.layers(self.backbone.forward_maps(z_BCHW, noise_level_B))
        return -estimate_noise(raw_BCHW, z_BCHW, sigma_B111) / sigma_B111


def estimate_noise(raw: Tensor, z: Tensor, sigma: Tensor) -> Tensor:
    """Return the noise that layers' outputs F = ``raw`` stand for: ``(sigma z - F) / sqrt(1 + sigma^2)``."""
    return (sigma * z - raw) * torch.rsqrt(1 + sigma.square())


def check_conditioned(backbone: nn.Module) -> None:
    """Raise InputError for a backbone that takes no noise levels."""
    mend = "use create_backbone('steerable_unet', conditioned=True)"
    conditioned = getattr(backbone, "embedding", None) is not None
    require(conditioned, "score", expected="a backbone of noise levels", got=type(backbone).__name__, mend=mend)


@torch.no_grad()
def count_fields(backbone: nn.Module, what: str) -> int:
    """Return the number of fields of a backbone's maps, from one blank image in eval mode; modes are restored."""
    if not hasattr(backbone, "forward_maps"):
        raise InputError(what, expected="a backbone with forward_maps", got=type(backbone).__name__)
    modes = [(part, part.training) for part in backbone.modules()]
    like = next(backbone.parameters())
    size = (1, backbone.in_channels, backbone.image_size, backbone.image_size)
    try:
        return backbone.eval().forward_maps(torch.zeros(size, dtype=like.dtype, device=like.device)).shape[1]
    finally:
        for part, training in modes:
            part.training = training
