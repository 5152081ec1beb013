"""U-Nets (arXiv 1505.04597): maps as fine as the image, for masks, images and scores; plain and steerable.

Down by an antialiased pool from n = 2m - 1 pixels to m, up again by exact upsampling with a skip connection, so that
the maps have every pixel of the image and turn with it exactly on the lattice. A task's head reads them
(:class:`equirgz.objectives.heads.maps.MapLayers`, :class:`equirgz.objectives.heads.maps.ScoreNetwork`).
Legend: B batch, C channels, F features, G group elements, E embedding.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

from equirgz.backbones.arguments import check_whole, check_width, scaled_fields
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.errors import InputError, check_choice, require
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group
from equirgz.nn import (
    AntialiasedAvgPool2d,
    FieldDropout,
    FieldModulation,
    FieldSequential,
    InvariantReadout,
    NoiseEmbedding,
    UpBlock,
    make_conv,
    make_norm,
)
from equirgz.nn.dropout import check_dropout
from equirgz.nn.factory import NORMS
from equirgz.nn.modulation import check_noise_level
from equirgz.registry import explained_by


class UNet(Backbone):
    """``convolutions`` 3x3 ones per level, each with norm and ReLU, down and up through ``len(fields)`` levels.

    With n levels, exact sizes are 1 mod 2^(n - 1). ``forward``, ``forward_maps`` and ``maps`` take a second argument,
    the noise level of each image, where the network was built with ``conditioned=True``: after each level, every field
    is scaled and shifted by functions of its logarithm, which commutes with the group. Left out, nothing is scaled.

    Parameters
    ----------
    fields : regular fields of each level, the finest first; the map is halved between levels.
    convolutions : per level on the way down, 1 or more; on the way up one per level.
    dropout : share of the fields dropped at the two coarsest levels, in training.
    norm : "batch", or "group": statistics of each image, for batches of very different noise; None: "group" where
        conditioned, else "batch".
    conditioned : whether the network takes noise levels.
    readout : of the features, from the finest maps (:class:`equirgz.nn.InvariantReadout`).
    basis : "harmonic" or "pixel"; None: pixel for C1, harmonic otherwise.
    """

    def __init__(
        self,
        name: str,
        group: Group,
        in_channels: int,
        image_size: int,
        *,
        fields: tuple[int, ...],
        convolutions: int,
        dropout: float,
        norm: str | None,
        conditioned: bool,
        readout: str,
        basis: str | None,
    ) -> None:
        super().__init__(group, in_channels, image_size)
        if len(fields) < 2:
            raise InputError(f"{name} fields", expected="at least two levels", got=len(fields), mend="use (16, 32)")
        norm = check_choice(f"{name} norm", norm or ("group" if conditioned else "batch"), NORMS)
        dropout, convolutions = check_dropout(dropout), check_whole(f"{name} convolutions", convolutions)
        self.check_size(name, len(fields) - 1, 2 ** (len(fields) - 1) + 1, up_again=True)
        types = [FieldType.regular(group, count) for count in fields]
        given = [FieldType.trivial(group, self.in_channels), *types]
        self.down = nn.ModuleList()
        for level, (in_type, out_type) in enumerate(zip(given, types, strict=False)):
            layers: list[nn.Module] = [AntialiasedAvgPool2d(in_type)] if level else []
            for step in range(convolutions):
                conv = make_conv(out_type if step else in_type, out_type, 3, basis=basis)
                layers += [conv, make_norm(out_type, norm), nn.ReLU()]
            coarse = level >= len(fields) - 2
            self.down.append(
                FieldSequential(*layers, *([FieldDropout(out_type, dropout)] if dropout and coarse else []))
            )
        self.add_level(f"down.{len(fields) - 1}", types[-1], 2 ** (len(fields) - 1))
        pairs = list(zip(types[1:], types, strict=False))[::-1]
        for step, (_, fine) in enumerate(pairs):
            self.add_level(f"up.{step}", fine, 2 ** (len(fields) - 2 - step))
        self.up = nn.ModuleList(UpBlock(coarse, fine, fine, basis=basis, norm=norm) for coarse, fine in pairs)
        self.embedding = NoiseEmbedding() if conditioned else None
        self.modulations = nn.ModuleList()
        if self.embedding is not None:
            ends = [*types, *(fine for _, fine in pairs)]
            self.modulations.extend(FieldModulation(each, self.embedding.length) for each in ends)
        self.head = InvariantReadout(types[0], readout)
        self.num_features = self.head.num_features

    def stage_maps(self, x_BCHW: Tensor, noise_level_B: Tensor | None = None) -> list[Tensor]:
        """Return the maps on the way up: the coarsest first, those as fine as the images last."""
        modulate, skips = self._modulation(x_BCHW, noise_level_B), []
        for level, block in enumerate(self.down):
            x_BCHW = modulate(block(x_BCHW), level)
            skips.append(x_BCHW)
        maps = [x_BCHW]
        for step, block in enumerate(self.up):
            maps.append(modulate(block(maps[-1], skips[-2 - step]), len(self.down) + step))
        return maps

    def maps(self, x_BCHW: Tensor, noise_level_B: Tensor | None = None) -> Tensor:
        """Return maps as fine as the images, (B, fields * |G|, H, W)."""
        return self.stage_maps(x_BCHW, noise_level_B)[-1]

    def _modulation(self, x_BCHW: Tensor, noise_level_B: Tensor | None) -> Callable[[Tensor, int], Tensor]:
        if noise_level_B is None:
            return lambda maps_BCHW, _: maps_BCHW
        mend = "build the backbone with conditioned=True"
        require(self.embedding is not None, "noise level", expected="none for this network", got="one", mend=mend)
        embedding_BE = self.embedding(check_noise_level(noise_level_B, len(x_BCHW)).to(x_BCHW))
        return lambda maps_BCHW, place: self.modulations[place](maps_BCHW, embedding_BE)

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        return self.head(maps_BCHW)

    def blocks(self) -> list[nn.Module]:
        own = [] if self.embedding is None else [self.embedding, self.modulations]
        head = [self.head] if any(True for _ in self.head.parameters()) else []
        return [*self.down, *self.up, *own, *head]


_FIELDS = (16, 32, 64, 128)


@BACKBONES.register("unet")
@explained_by(UNet)
def unet(
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    fields: tuple[int, ...] = _FIELDS,
    convolutions: int = 2,
    dropout: float = 0.0,
    norm: str | None = None,
    conditioned: bool = False,
    readout: str = "mean",
) -> Backbone:
    """The plain twin of ``steerable_unet``: ordinary convolutions, the same levels, skips and heads."""
    return UNet(
        "unet",
        get_group("C1"),
        in_channels,
        image_size,
        fields=scaled_fields(fields, width),
        convolutions=convolutions,
        dropout=dropout,
        norm=norm,
        conditioned=conditioned,
        readout=readout,
        basis=None,
    )


@BACKBONES.register("steerable_unet")
@explained_by(UNet)
def steerable_unet(
    group: str = "D4",
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    fields: tuple[int, ...] = _FIELDS,
    convolutions: int = 2,
    dropout: float = 0.0,
    norm: str | None = None,
    conditioned: bool = False,
    readout: str = "mean",
    basis: str | None = None,
) -> Backbone:
    """U-Net over regular fields of C_N or D_N; ``fields`` are divided by sqrt |G|, so that the number of pairs
    (input field, output field, group element) is that of ``unet``."""
    symmetry = get_group(group)
    return UNet(
        "steerable_unet",
        symmetry,
        in_channels,
        image_size,
        fields=scaled_fields(fields, check_width(width) / math.sqrt(symmetry.order)),
        convolutions=convolutions,
        dropout=dropout,
        norm=norm,
        conditioned=conditioned,
        readout=readout,
        basis=basis,
    )
