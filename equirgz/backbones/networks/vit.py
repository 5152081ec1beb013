"""A steerable vision transformer: tokens are regular fields, attention runs over positions (after arXiv 2505.15441)."""

from __future__ import annotations

import itertools
import math

import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.backbones.arguments import check_positive, check_whole, scaled_fields
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.errors import InputError, check_choice
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group
from equirgz.nn import (
    DiskMask,
    FieldSequential,
    GroupSelfAttention,
    InvariantReadout,
    PointwiseMLP,
    PositionSelfAttention,
    PowerSpectrum,
    estimate_attention_bytes,
    estimate_position_bytes,
    make_conv,
    make_norm,
    make_pointwise_conv,
)
from equirgz.nn.attention.positions import MIB, check_heads
from equirgz.registry import explained_by

ATTENTIONS = {"positions": PositionSelfAttention, "joint": GroupSelfAttention}
PATCH_SIZES = (2, 4, 8, 16, 32)


class ViTBlock(nn.Module):
    """x + attention(norm x), then x + mlp(norm x), of regular fields, or of trivial ones (a plain block).

    Shape: (B, in_type.size, S, S) -> the same.
    """

    def __init__(
        self,
        in_type: FieldType,
        map_size: int,
        heads: int,
        mlp_ratio: float,
        norm: str,
        attention: str,
        **options: object,
    ) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.norm1 = make_norm(in_type, norm)
        self.attention = ATTENTIONS[attention](in_type, map_size, heads, **options)
        self.norm2 = make_norm(in_type, norm)
        self.mlp = PointwiseMLP(in_type, max(1, round(mlp_ratio * in_type.count)))

    def forward(self, x_BCSS: Tensor) -> Tensor:
        x_BCSS = x_BCSS + self.attention(self.norm1(x_BCSS))
        return x_BCSS + self.mlp(self.norm2(x_BCSS))

    def received(self, x_BCSS: Tensor) -> Tensor:
        """Return the attention that each position receives, (B, 1, S, S)."""
        return self.attention.received(self.norm1(x_BCSS))


class SteerableViT(Backbone):
    """Patches by one strided steerable convolution, transformer blocks on their map, invariant read-out.

    The filters of patches overlap by one pixel and so have a central one; the grid keeps the central pixel of
    the image: exact sizes are 1 mod ``patch_size`` and maps measure (size - 1) / patch_size + 1.

    Parameters
    ----------
    fields : regular fields of a token, a multiple of ``heads``; ``width`` scales them.
    heads : of attention.
    depth : number of blocks.
    patch_size : 2, 4, 8, 16 or 32; pixels from one token to the next.
    mlp_ratio : fields inside an MLP for each field outside.
    equivariant_blocks : how many blocks, the first ones, hold regular fields; None: all. The others are plain
        ones of as many channels, with |G| times the weights.
    plain_features : what plain blocks see: "invariant" (the power of each irrep; all stays exact) or "regular"
        (the fields as ordinary channels, which gives up the symmetry).
    attention : "positions" (over P positions, scores summed over the group) or "joint" (over |G| P pairs of
        position and element, :class:`equirgz.nn.GroupSelfAttention`).
    max_frequency : highest angular frequency of the positional functions.
    memory_budget_mib : MiB that attention may keep per image and block.
    norm : "group" (statistics of each image, so that tokens keep how bright they are beside one another), "layer" (of
        each token, as published: empty sky then is as loud as the source) or "batch".
    readout : "mean", "max", "mean_max", "spectrum" or "max_filter" (:class:`equirgz.nn.InvariantReadout`).
    basis : "harmonic" or "pixel"; None: pixel for C1, harmonic otherwise.
    """

    def __init__(
        self,
        name: str,
        group: Group,
        in_channels: int,
        image_size: int,
        *,
        fields: int,
        heads: int,
        depth: int,
        patch_size: int,
        mlp_ratio: float,
        equivariant_blocks: int | None,
        plain_features: str,
        attention: str,
        max_frequency: int,
        memory_budget_mib: float,
        norm: str,
        readout: str,
        basis: str | None,
    ) -> None:
        super().__init__(group, in_channels, image_size)
        mlp_ratio = check_positive(f"{name} mlp_ratio", mlp_ratio, "such as 4")
        depth = check_whole(f"{name} depth", depth)
        equivariant_blocks = _check_blocks(name, equivariant_blocks, depth)
        check_choice(f"{name} plain_features", plain_features, ("invariant", "regular"))
        self.attention = check_choice(f"{name} attention", attention, ATTENTIONS)
        if isinstance(patch_size, bool) or patch_size not in PATCH_SIZES:
            expected = f"one of {', '.join(map(str, PATCH_SIZES))} pixels"
            raise InputError(f"{name} patch_size", expected=expected, got=repr(patch_size), mend="use 8")
        self.patch_size = int(patch_size)
        self.check_size(name, int(math.log2(self.patch_size)), self.patch_size + 1)
        options: dict[str, object] = {"max_frequency": check_whole(f"{name} max_frequency", max_frequency, 0)}
        self.memory_budget_mib = check_positive(f"{name} memory_budget_mib", memory_budget_mib, "such as 64")
        options["memory_budget_mib"] = self.memory_budget_mib
        self._tokens = (fields, heads, equivariant_blocks, depth)
        map_size = (self.image_size - 1) // self.patch_size + 1
        self._check_memory(name, map_size)
        in_type, out_type = FieldType.trivial(group, self.in_channels), FieldType.regular(group, fields)
        self.mask = DiskMask(self.image_size)
        side = self.patch_size + 1
        self.embed = FieldSequential(
            make_conv(in_type, out_type, side, stride=self.patch_size, bias=True, basis=basis),
            make_norm(out_type, norm),
        )
        self.add_level("embed", out_type, self.patch_size)
        self.transformer = nn.ModuleList(
            ViTBlock(out_type, map_size, heads, mlp_ratio, norm, attention, **options)
            for _ in range(equivariant_blocks)
        )
        self.plain_features: nn.Module = nn.Identity()
        if equivariant_blocks < depth:
            if plain_features == "invariant":
                self.plain_features = _invariants(out_type, norm)
                out_type = self.plain_features.out_type
            else:
                self.is_invariant = group.order == 1
                out_type = FieldType.trivial("C1", out_type.size)
        self.plain = nn.ModuleList(
            ViTBlock(out_type, map_size, heads, mlp_ratio, norm, "positions", **options)
            for _ in range(depth - equivariant_blocks)
        )
        self.norm = make_norm(out_type, norm)
        self.map_mask = DiskMask(map_size, margin_px=-0.5)
        self.out_type = out_type
        self.add_level("norm", FieldType(group, out_type.fields), self.patch_size)
        self.readout = InvariantReadout(out_type, readout)
        self.num_features = self.readout.num_features

    def _bytes(self, map_size: int) -> tuple[int, int]:
        """Return what one image keeps for one block of attention as chosen, and over positions."""
        fields, heads, equivariant_blocks, _ = self._tokens
        positions = estimate_position_bytes(map_size, heads)
        if self.attention == "joint" and equivariant_blocks:
            return max(positions, estimate_attention_bytes(self.group, map_size, fields, heads)), positions
        return positions, positions

    def _check_memory(self, name: str, map_size: int) -> None:
        """Raise InputError where joint attention needs more than the budget, and attention over positions does not."""
        needed_mib, positions_mib = (n / MIB for n in self._bytes(map_size))
        if positions_mib <= self.memory_budget_mib < needed_mib:
            raise InputError(
                f"{name} attention='joint', memory per image",
                expected=f"at most {self.memory_budget_mib:g} MiB",
                got=f"{needed_mib:.1f} MiB ({self._tokens[1]} heads, {self.group.order} elements of {self.group} x the "
                f"positions of a {map_size} x {map_size} map)",
                mend=f"use attention='positions' ({positions_mib:.1f} MiB), a larger patch_size, or "
                f"memory_budget_mib={math.ceil(needed_mib)}",
            )

    @property
    def image_sizes(self) -> list[int]:
        """The exact sides (see :class:`Backbone`) whose attention stays within ``memory_budget_mib``."""

        def fits(size: int) -> bool:
            return self._bytes((size - 1) // self.patch_size + 1)[0] <= MIB * self.memory_budget_mib

        return list(itertools.takewhile(fits, super().image_sizes))

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        embedded_BCSS = self.embed(self.mask(x_BCHW))
        x_BCSS = embedded_BCSS
        for block in self.transformer:
            x_BCSS = block(x_BCSS)
        x_BCSS = self.plain_features(x_BCSS)
        for block in self.plain:
            x_BCSS = block(x_BCSS)
        return [embedded_BCSS, self.map_mask(self.norm(x_BCSS))]

    def maps(self, x_BCHW: Tensor) -> Tensor:
        return self.stage_maps(x_BCHW)[-1]

    def forward_maps(self, x_BCHW: Tensor) -> Tensor:
        """Return equivariant maps (B, fields, |G|, S, S); of invariant features (B, channels, 1, S, S)."""
        self.check_input(x_BCHW)
        return self.maps(x_BCHW).unflatten(1, (-1, self.out_type.field_size))

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        return self.readout(maps_BCHW)

    def attention_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return one map per block at image size: the attention a position receives, averaged over heads and
        queries (and group elements); 1 is an even share of the map's positions, 0 none."""
        self.check_input(x_BCHW)
        x_BCSS, maps = self.embed(self.mask(x_BCHW)), []
        positions = float(self.map_mask.mask_HW.sum())
        for number, block in enumerate((*self.transformer, *self.plain)):
            x_BCSS = self.plain_features(x_BCSS) if number == len(self.transformer) else x_BCSS
            size = (self.image_size, self.image_size)
            share_B1SS = positions * block.received(x_BCSS)
            maps.append(F.interpolate(share_B1SS, size=size, mode="bilinear", align_corners=True))
            x_BCSS = block(x_BCSS)
        return maps

    def blocks(self) -> list[nn.Module]:
        parts = [self.embed, *self.transformer, self.plain_features, *self.plain, self.norm, self.readout]
        return [part for part in parts if any(True for _ in part.parameters())]


def _check_blocks(name: str, equivariant_blocks: object, depth: int) -> int:
    """Return how many blocks are equivariant; raise InputError unless 0 to ``depth``."""
    if equivariant_blocks is None:
        return depth
    what = f"{name} equivariant_blocks"
    if check_whole(what, equivariant_blocks, 0) > depth:
        mend = f"use {depth}, or a larger depth"
        raise InputError(what, expected=f"0 to {depth}, the depth", got=equivariant_blocks, mend=mend)
    return int(equivariant_blocks)


def _invariants(in_type: FieldType, norm: str) -> nn.Module:
    """Return a layer from regular fields to as many invariant channels: the powers of twice as many fields, mixed."""
    spectrum = PowerSpectrum(2 * in_type)
    mix = make_pointwise_conv(spectrum.out_type, FieldType.trivial(in_type.group, in_type.size), bias=True)
    return FieldSequential(make_norm(in_type, norm), make_pointwise_conv(in_type, 2 * in_type), spectrum, mix)


@BACKBONES.register("steerable_vit")
@explained_by(SteerableViT)
def steerable_vit(
    group: str = "D4",
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    fields: int = 24,
    heads: int = 4,
    depth: int = 2,
    patch_size: int = 8,
    mlp_ratio: float = 4.0,
    equivariant_blocks: int | None = None,
    plain_features: str = "invariant",
    attention: str = "positions",
    max_frequency: int = 2,
    memory_budget_mib: float = 64.0,
    norm: str = "group",
    readout: str = "mean",
    basis: str | None = None,
) -> Backbone:
    """Vision transformer of regular fields, cheap by design, exact on the lattice for every C_N and D_N.

    Attention runs over positions with scores summed over the group (:class:`equirgz.nn.PositionSelfAttention`),
    and all other layers are block-diagonal in its irreps. ``group="C1"`` is the plain ViT. 65 pixels with
    patches of 8 give a 9 x 9 map.
    """
    heads = check_whole("steerable_vit heads", heads)
    check_heads("steerable_vit", check_whole("steerable_vit fields", fields), heads)
    return SteerableViT(
        "steerable_vit",
        get_group(group),
        in_channels,
        image_size,
        fields=heads * scaled_fields((fields // heads,), width)[0],
        heads=heads,
        depth=depth,
        patch_size=patch_size,
        mlp_ratio=mlp_ratio,
        equivariant_blocks=equivariant_blocks,
        plain_features=plain_features,
        attention=attention,
        max_frequency=max_frequency,
        memory_budget_mib=memory_budget_mib,
        norm=norm,
        readout=readout,
        basis=basis,
    )
