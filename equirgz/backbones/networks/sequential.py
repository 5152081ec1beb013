"""One stage after the other: convolution, norm, ReLU, pooling; the network behind LeNet and steerable_cnn."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import Tensor, nn

from equirgz.backbones.arguments import check_whole
from equirgz.backbones.base import Backbone
from equirgz.backbones.networks.heads import HEADS, make_head
from equirgz.errors import InputError, check_choice
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group
from equirgz.nn import (
    AntialiasedAvgPool2d,
    AntialiasedMaxPool2d,
    FieldDropout,
    FieldSequential,
    make_conv,
    make_norm,
)
from equirgz.nn.dropout import check_dropout

_POOLS = ("antialiased_max", "antialiased_avg", "max")


class SequentialBackbone(Backbone):
    """Stages of (group convolution, optional field batch norm, ReLU, stride-2 pooling, dropout).

    Parameters
    ----------
    fields : output fields of each stage (times ``width``).
    kernel_sizes : one odd size for all stages, or one per stage.
    padding : of each convolution; None keeps the size (exact), 1 is the published choice.
    norm : field batch norm after each convolution.
    pool : "antialiased_max" (window 3), "antialiased_avg" or "max" (window 3, no blur).
    pool_last : whether the last stage also pools.
    pool_window : 3 is exact on the lattice; 2 is the published choice.
    head : "invariant" or "flatten".
    readout : of the invariant head: "mean", "max", "mean_max", "spectrum" or "max_filter"
        (:class:`equirgz.nn.InvariantReadout`).
    dropout : probability of dropping whole fields after each stage.
    basis : "harmonic" or "pixel"; None: pixel for C1, harmonic otherwise.
    stem_stride : 2 lets the lifting convolution itself subsample, before the pooling after it.
    """

    def __init__(
        self,
        name: str,
        group: Group,
        in_channels: int,
        image_size: int,
        *,
        fields: tuple[int, ...],
        kernel_sizes: int | tuple[int, ...] = 5,
        padding: int | None = None,
        norm: bool = False,
        bias: bool = True,
        pool: str = "antialiased_max",
        pool_last: bool = True,
        pool_window: int = 3,
        head: str = "invariant",
        readout: str = "mean",
        dropout: float = 0.0,
        basis: str | None = None,
        stem_stride: int = 1,
    ) -> None:
        super().__init__(group, in_channels, image_size)
        self.is_invariant = check_choice(f"{name} head", head, HEADS) == "invariant"
        geometry = _Stages(
            kernels=_check_kernels(name, fields, kernel_sizes),
            padding=padding,
            pool=check_choice(f"{name} pool", pool, _POOLS),
            pool_window=pool_window,
            n_pools=len(fields) - (not pool_last),
            stem_stride=_check_stem_stride(name, stem_stride),
        )
        if self.is_invariant and padding is None and pool_window % 2 == 1:
            self.check_size(name, geometry.n_stride2, 2**geometry.n_stride2 + 1)
        else:
            self.check_size(name, 0, next(size for size in itertools.count(1) if geometry.map_size(size)))
        self.stages = nn.ModuleList()
        in_type, reduction = FieldType.trivial(group, self.in_channels), 1
        for stage, count in enumerate(fields):
            out_type = FieldType.regular(group, count)
            layers: list[nn.Module] = [
                make_conv(
                    in_type,
                    out_type,
                    geometry.kernels[stage],
                    stride=geometry.stride(stage),
                    padding=padding,
                    bias=bias and not norm,
                    basis=basis,
                )
            ]
            layers += [make_norm(out_type)] if norm else []
            layers.append(nn.ReLU())
            layers += [_make_pool(pool, out_type, pool_window)] if stage < geometry.n_pools else []
            layers += [FieldDropout(out_type, dropout)] if check_dropout(dropout) else []
            self.stages.append(FieldSequential(*layers))
            reduction *= geometry.stride(stage) * (2 if stage < geometry.n_pools else 1)
            self.add_level(f"stages.{stage}", out_type, reduction)
            in_type = out_type
        self.head, self.num_features = make_head(name, head, in_type, geometry.map_size(self.image_size), readout)

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            maps.append(x_BCHW)
        return maps

    def maps(self, x_BCHW: Tensor) -> Tensor:
        return self.stage_maps(x_BCHW)[-1]

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        return self.head(maps_BCHW)

    def blocks(self) -> list[nn.Module]:
        return [*self.stages, self.head] if any(True for _ in self.head.parameters()) else list(self.stages)


@dataclass(frozen=True)
class _Stages:
    """What the stages do to the side of an image."""

    kernels: tuple[int, ...]
    padding: int | None
    pool: str
    pool_window: int
    n_pools: int
    stem_stride: int

    @property
    def n_stride2(self) -> int:
        """How often the side is halved."""
        return self.n_pools + (self.stem_stride == 2)

    def stride(self, stage: int) -> int:
        """Return the stride of the convolution of ``stage``."""
        return self.stem_stride if stage == 0 else 1

    def map_size(self, size: int) -> int:
        """Return the side of the last maps, 0 where nothing is left of an image of side ``size``."""
        for stage, kernel in enumerate(self.kernels):
            padding = kernel // 2 if self.padding is None else self.padding
            size = (size + 2 * padding - kernel) // self.stride(stage) + 1
            size = self._pooled(size) if stage < self.n_pools else size
            if size < 1:
                return 0
        return size

    def _pooled(self, size: int) -> int:
        if self.pool == "antialiased_max" and self.pool_window % 2 == 0:
            size -= self.pool_window - 1
        elif self.pool == "max" and self.pool_window % 2 == 0:
            return size // 2
        return (size - 1) // 2 + 1


def _check_kernels(name: str, fields: tuple[int, ...], kernel_sizes: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return one kernel size per stage; raise InputError for no stage, or another number of sizes."""
    n_stages = len(fields)
    if n_stages < 1:
        raise InputError(f"{name} fields", expected="at least one stage", got="none", mend="use (6, 16)")
    kernels = kernel_sizes if isinstance(kernel_sizes, tuple | list) else (kernel_sizes,) * n_stages
    kernels = tuple(check_whole(f"{name} kernel_sizes", kernel) for kernel in kernels)
    if len(kernels) != n_stages:
        mend = "give one odd number for all stages, or one per stage"
        raise InputError(f"{name} kernel_sizes", expected=f"{n_stages} numbers", got=len(kernels), mend=mend)
    return kernels


def _check_stem_stride(name: str, stem_stride: int) -> int:
    if stem_stride not in (1, 2):
        raise InputError(f"{name} stem_stride", expected="1 or 2", got=stem_stride, mend="use 2")
    return stem_stride


def _make_pool(pool: str, in_type: FieldType, window: int) -> nn.Module:
    if pool == "antialiased_avg":
        return AntialiasedAvgPool2d(in_type)
    if pool == "antialiased_max":
        return AntialiasedMaxPool2d(in_type, window)
    return nn.MaxPool2d(window, 2, window // 2 if window % 2 else 0)
