"""A steerable transformer: self-attention over positions and group elements behind a convolutional stem."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.backbones.arguments import check_positive, check_whole, scaled_fields
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group
from equirgz.nn import (
    AntialiasedAvgPool2d,
    DiskMask,
    FieldSequential,
    InvariantReadout,
    estimate_attention_bytes,
    make_conv,
    make_norm,
)
from equirgz.nn.attention.joint import GroupSelfAttention, make_pointwise
from equirgz.nn.norm import FieldLayerNorm2d
from equirgz.registry import explained_by


class TransformerBlock(nn.Module):
    """x + attention(norm x), then x + mlp(norm x); the MLP is two 1x1 group convolutions around a GELU.

    Shape: (B, in_type.size, S, S) -> the same. Equivariant as :class:`equirgz.nn.GroupSelfAttention`.
    """

    def __init__(self, in_type: FieldType, map_size: int, heads: int, mlp_ratio: float, **options: object) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        hidden = FieldType.regular(in_type.group, max(1, round(mlp_ratio * in_type.count)))
        self.norm1 = FieldLayerNorm2d(in_type)
        self.attention = GroupSelfAttention(in_type, map_size, heads, **options)
        self.norm2 = FieldLayerNorm2d(in_type)
        self.mlp = FieldSequential(
            make_pointwise(in_type, hidden, bias=True), nn.GELU(), make_pointwise(hidden, in_type, bias=True)
        )

    def forward(self, x_BCSS: Tensor) -> Tensor:
        x_BCSS = x_BCSS + self.attention(self.norm1(x_BCSS))
        return x_BCSS + self.mlp(self.norm2(x_BCSS))

    def received(self, x_BCSS: Tensor) -> Tensor:
        """Return the attention that each position receives, (B, 1, S, S)."""
        return self.attention.received(self.norm1(x_BCSS))


class SteerableTransformer(Backbone):
    """Strided steerable stem, transformer blocks on its map, invariant read-out.

    The stem lifts with stride 2 and halves the map once more after each of its stages, so that k stages
    stand for k + 1 strides of 2: exact sizes are 1 mod 2^(k+1) and maps measure (size - 1) / 2^(k+1) + 1.

    Parameters
    ----------
    stem_fields : regular fields of each stage of the stem.
    head_fields : regular fields of each head.
    heads : of each attention.
    depth : transformer blocks.
    mlp_ratio : hidden fields of the MLP as a multiple of its fields.
    window : how far a position attends, pixels of the map; None: everywhere.
    max_frequency : highest angular frequency of the positional functions.
    memory_budget_mib : most that the attention of one block may hold per image, MiB; more is refused.
    readout : "mean", "max", "mean_max", "spectrum" or "max_filter" (:class:`equirgz.nn.InvariantReadout`).
    basis : of the convolutions: "harmonic" or "pixel"; None: pixel for C1, harmonic otherwise.
    """

    def __init__(
        self,
        name: str,
        group: Group,
        in_channels: int,
        image_size: int,
        *,
        stem_fields: tuple[int, ...],
        fields: int,
        heads: int,
        depth: int,
        mlp_ratio: float,
        readout: str,
        basis: str | None,
        memory_budget_mib: float,
        **options: object,
    ) -> None:
        super().__init__(group, in_channels, image_size)
        memory_budget_mib = check_positive(f"{name} memory_budget_mib", memory_budget_mib, "such as 64")
        mlp_ratio = check_positive(f"{name} mlp_ratio", mlp_ratio, "such as 2")
        depth = check_whole(f"{name} depth", depth)
        if options.get("window") is not None:
            options["window"] = check_whole(f"{name} window", options["window"])
        options["max_frequency"] = check_whole(f"{name} max_frequency", options.get("max_frequency", 2), 0)
        self.memory_budget_mib = memory_budget_mib
        self._attention = (fields, heads, options.get("window"))
        if not stem_fields:
            mend = "use (8, 16)"
            raise InputError(f"{name} stem_fields", expected="at least one stem stage", got="none", mend=mend)
        n_stride2 = len(stem_fields) + 1
        self.check_size(name, n_stride2, 2**n_stride2 + 1)
        self.mask = DiskMask(image_size)
        self.stem = nn.ModuleList()
        previous, map_size = FieldType.trivial(group, self.in_channels), (image_size - 1) // 2 + 1
        for stage, count in enumerate(stem_fields):
            out_type = FieldType.regular(group, count)
            conv = make_conv(previous, out_type, 5, stride=1 if stage else 2, basis=basis)
            pool = AntialiasedAvgPool2d(out_type)
            self.stem.append(FieldSequential(conv, make_norm(out_type), nn.ReLU(), pool))
            self.add_level(f"stem.{stage}", out_type, 2 ** (stage + 2))
            previous, map_size = out_type, (map_size - 1) // 2 + 1
        out_type = FieldType.regular(group, fields)
        self.embed = FieldSequential(make_conv(previous, out_type, 3, basis=basis), make_norm(out_type))
        options["memory_budget_mib"] = memory_budget_mib
        self.transformer = nn.ModuleList(
            TransformerBlock(out_type, map_size, heads, mlp_ratio, **options) for _ in range(depth)
        )
        self.norm = FieldLayerNorm2d(out_type)
        self.add_level("norm", out_type, 2**n_stride2)
        self.map_mask = DiskMask(map_size, margin_px=-0.5)
        self.readout = InvariantReadout(out_type, readout)
        self.num_features = self.readout.num_features

    @property
    def image_sizes(self) -> list[int]:
        """The exact sides (see :class:`Backbone`) whose attention stays within ``memory_budget_mib``."""

        def fits(size: int) -> bool:
            map_size = (size - 1) // 2 ** (len(self.stem) + 1) + 1
            needed = estimate_attention_bytes(self.group, map_size, *self._attention)
            return needed <= 2**20 * self.memory_budget_mib

        return list(itertools.takewhile(fits, super().image_sizes))

    def _stem_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        x_BCHW, maps = self.mask(x_BCHW), []
        for stage in self.stem:
            x_BCHW = stage(x_BCHW)
            maps.append(x_BCHW)
        return maps

    def _embedded(self, x_BCHW: Tensor) -> Tensor:
        return self.embed(self._stem_maps(x_BCHW)[-1])

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        maps = self._stem_maps(x_BCHW)
        x_BCSS = self.embed(maps[-1])
        for block in self.transformer:
            x_BCSS = block(x_BCSS)
        return [*maps, self.map_mask(self.norm(x_BCSS))]

    def maps(self, x_BCHW: Tensor) -> Tensor:
        return self.stage_maps(x_BCHW)[-1]

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        return self.readout(maps_BCHW)

    def attention_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return one map per block at image size: the attention a position receives, averaged over heads,
        queries and group elements; 1 is an even share of the map's positions, 0 none."""
        self.check_input(x_BCHW)
        x_BCSS, maps = self._embedded(x_BCHW), []
        positions = float(self.map_mask.mask_HW.sum())
        for block in self.transformer:
            share_B1SS = positions * block.received(x_BCSS)
            size = (self.image_size, self.image_size)
            maps.append(F.interpolate(share_B1SS, size=size, mode="bilinear", align_corners=True))
            x_BCSS = block(x_BCSS)
        return maps

    def blocks(self) -> list[nn.Module]:
        own = [self.readout] if any(True for _ in self.readout.parameters()) else []
        return [*self.stem, self.embed, *self.transformer, self.norm, *own]


@BACKBONES.register("steerable_transformer")
@explained_by(SteerableTransformer)
def steerable_transformer(
    group: str = "D4",
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    stem_fields: tuple[int, ...] = (8, 16),
    head_fields: int = 6,
    heads: int = 4,
    depth: int = 2,
    mlp_ratio: float = 2.0,
    window: int | None = None,
    max_frequency: int = 2,
    memory_budget_mib: float = 64.0,
    readout: str = "mean_max",
    basis: str | None = None,
) -> Backbone:
    """Steerable convolutions down to a coarse map, then self-attention over its positions and the group
    (after arXiv 2010.00977), exact on the lattice.

    65 pixels give a 9 x 9 map; a third stem stage gives 5 x 5. Attention runs over positions in the
    inscribed disk times group elements; one block keeps ``estimate_attention_bytes`` per image, refused
    with the numbers beyond ``memory_budget_mib`` (MiB per image and block). ``window`` (pixels of the
    map) attends locally. ``width`` scales ``stem_fields`` and ``head_fields``.
    """
    heads = check_whole("steerable_transformer heads", heads)
    return SteerableTransformer(
        "steerable_transformer",
        get_group(group),
        in_channels,
        image_size,
        stem_fields=scaled_fields(stem_fields, width),
        fields=heads * scaled_fields((head_fields,), width)[0],
        heads=heads,
        depth=depth,
        mlp_ratio=mlp_ratio,
        readout=readout,
        basis=basis,
        window=window,
        max_frequency=max_frequency,
        memory_budget_mib=memory_budget_mib,
    )
