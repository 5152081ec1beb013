"""What every backbone is: images in, equivariant maps inside, one feature vector out."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from equirgz.errors import InputError, explain
from equirgz.geometry.group import Group
from equirgz.registry import Registry

BACKBONES: Registry = Registry(
    "backbone",
    (
        "equirgz.backbones.lenet",
        "equirgz.backbones.resnet",
        "equirgz.backbones.attention",
        "equirgz.backbones.transformer",
        "equirgz.backbones.published",
    ),
)


class Backbone(nn.Module):
    """Abstract backbone. A subclass sets ``num_features`` and ``n_stride2`` and defines :meth:`maps`,
    :meth:`read_out` and :meth:`blocks`.

    Attributes
    ----------
    group : symmetry group G of the maps.
    image_size : side of the square input in pixels; other sizes are refused.
    num_features : length of the feature vector.
    is_invariant : whether the features claim to be invariant under the lattice elements of G.
    config : keyword arguments with which ``create_backbone`` builds this network again.
    """

    num_features: int
    is_invariant: bool = True

    def __init__(self, group: Group, in_channels: int, image_size: int) -> None:
        super().__init__()
        if in_channels < 1:
            raise InputError(explain("in_channels", expected="at least 1", got=in_channels))
        self.group, self.in_channels, self.image_size = group, in_channels, image_size
        self.config: dict[str, Any] = {}

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """Return the last maps, (B, fields * |G|, H', W')."""
        raise NotImplementedError

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        """Return features (B, num_features) of the last maps."""
        raise NotImplementedError

    def blocks(self) -> list[nn.Module]:
        """Return the parts that hold parameters, bottom to top (for per-block learning rates)."""
        raise NotImplementedError

    def attention_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return attention maps, one (B, 1, H, W) per gate; an empty list where there are none."""
        return []

    def forward_maps(self, x_BCHW: Tensor) -> Tensor:
        """Return equivariant maps (B, fields, |G|, H', W'); element order: geometry.group."""
        self.check_input(x_BCHW)
        return self.maps(x_BCHW).unflatten(1, (-1, self.group.order))

    def features(self, x_BCHW: Tensor) -> Tensor:
        """Return features (B, num_features) of images whose shape was checked."""
        return self.read_out(self.maps(x_BCHW))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return features h_BF (B, num_features)."""
        self.check_input(x_BCHW)
        return self.features(x_BCHW)

    def to_plain(self) -> nn.Module:
        """Return the same encoder out of ordinary layers (see :mod:`equirgz.backbones.plain`)."""
        from equirgz.backbones.plain import to_plain

        return to_plain(self)

    def check_input(self, x_BCHW: Tensor) -> None:
        """Raise InputError unless the batch is (B, in_channels, image_size, image_size)."""
        shape = (self.in_channels, self.image_size, self.image_size)
        if x_BCHW.dim() != 4 or tuple(x_BCHW.shape[1:]) != shape:
            raise InputError(
                explain(
                    "images",
                    expected=f"(B, {shape[0]}, {shape[1]}, {shape[2]})",
                    got=tuple(x_BCHW.shape),
                    mend="crop or resample them, or build the backbone with that image_size and in_channels",
                )
            )


def valid_image_sizes(n_stride2: int, minimum: int, maximum: int = 400) -> list[int]:
    """Return the sizes that stay exact on the lattice through ``n_stride2`` stages of stride 2.

    With odd kernels the condition is size = 1 mod 2^k: every subsampled grid keeps a central pixel.
    """
    return [size for size in range(minimum, maximum + 1) if (size - 1) % 2**n_stride2 == 0]


def check_image_size(name: str, group: Group, image_size: int, n_stride2: int, minimum: int) -> None:
    """Raise InputError for sizes on which quarter turns or flips could not be exact (or too small)."""
    if image_size < minimum:
        raise InputError(explain(f"{name} image_size", expected=f"at least {minimum}", got=image_size))
    acts_on_lattice = any(group.is_lattice(g) for g in range(1, group.order))
    step = 2**n_stride2
    if not acts_on_lattice or (image_size - 1) % step == 0:
        return
    below = max(minimum, (image_size - 1) // step * step + 1)
    below = below if (below - 1) % step == 0 else math.ceil((minimum - 1) / step) * step + 1
    above = (image_size - 1) // step * step + step + 1
    nearest = sorted({below, above})
    raise InputError(
        explain(
            f"{name} image_size",
            expected=f"1 mod {step} ({n_stride2} stages of stride 2 keep {group} exact only there)",
            got=image_size,
            mend=f"use {' or '.join(map(str, nearest))}",
        )
    )


def scaled_fields(fields: tuple[int, ...], width: float) -> tuple[int, ...]:
    """Return field counts times ``width``, rounded, at least 1."""
    return tuple(max(1, round(count * width)) for count in fields)


@torch.no_grad()
def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
