"""One stage after the other: convolution, norm, ReLU, pooling; the network behind LeNet and steerable_cnn."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from equirgz.backbones.arguments import check_whole
from equirgz.backbones.base import Backbone
from equirgz.backbones.networks.heads import FlattenHead
from equirgz.errors import InputError, check_choice, explain
from equirgz.geometry.group import Group
from equirgz.nn import (
    AntialiasedAvgPool2d,
    AntialiasedMaxPool2d,
    FieldDropout,
    InvariantReadout,
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
    readout : spatial pooling of the invariant head: "mean", "max" or "mean_max".
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
        check_choice(f"{name} pool", pool, _POOLS)
        check_choice(f"{name} head", head, ("invariant", "flatten"))
        n_stages = len(fields)
        if n_stages < 1:
            raise InputError(
                explain(f"{name} fields", expected="at least one stage", got="none", mend="use (6, 16)")
            )
        kernels = kernel_sizes if isinstance(kernel_sizes, tuple | list) else (kernel_sizes,) * n_stages
        kernels = tuple(check_whole(f"{name} kernel_sizes", kernel) for kernel in kernels)
        if len(kernels) != n_stages:
            mend = "give one odd number for all stages, or one per stage"
            raise InputError(
                explain(f"{name} kernel_sizes", expected=f"{n_stages} numbers", got=len(kernels), mend=mend)
            )
        if stem_stride not in (1, 2):
            raise InputError(explain(f"{name} stem_stride", expected="1 or 2", got=stem_stride, mend="use 2"))
        n_pools = n_stages - (not pool_last)
        n_stride2 = n_pools + (stem_stride == 2)

        def map_size(size: int) -> int:
            """Return the side of the last maps, 0 where nothing is left of an image of side ``size``."""
            for stage, kernel in enumerate(kernels):
                stride = stem_stride if stage == 0 else 1
                size = (size + 2 * (kernel // 2 if padding is None else padding) - kernel) // stride + 1
                size = _pooled_size(size, pool, pool_window) if stage < n_pools else size
                if size < 1:
                    return 0
            return size

        if head == "invariant" and padding is None and pool_window % 2 == 1:
            self.check_size(name, n_stride2, 2**n_stride2 + 1)
        else:
            self.check_size(name, 0, next(size for size in itertools.count(1) if map_size(size)))
        self.is_invariant = head == "invariant"
        self.stages = nn.ModuleList()
        previous = in_channels
        for stage, (count, kernel) in enumerate(zip(fields, kernels, strict=True)):
            stride = stem_stride if stage == 0 else 1
            layers: list[nn.Module] = [
                make_conv(
                    group,
                    previous,
                    count,
                    kernel,
                    lifting=stage == 0,
                    stride=stride,
                    padding=padding,
                    bias=bias and not norm,
                    basis=basis,
                )
            ]
            layers += [make_norm(group, count)] if norm else []
            layers.append(nn.ReLU())
            if stage < n_pools:
                layers.append(_make_pool(pool, count * group.order, pool_window))
            if check_dropout(dropout):
                layers.append(FieldDropout(group, dropout))
            self.stages.append(nn.Sequential(*layers))
            previous = count
        if head == "flatten":
            self.head: nn.Module = FlattenHead(group, previous, map_size(self.image_size))
            self.num_features = self.head.layers[-1].out_features
        else:
            self.head = InvariantReadout(group, readout)
            self.num_features = previous * self.head.features_per_field

    def maps(self, x_BCHW: Tensor) -> Tensor:
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        return x_BCHW

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        return self.head(maps_BCHW)

    def blocks(self) -> list[nn.Module]:
        return [*self.stages, self.head] if any(True for _ in self.head.parameters()) else list(self.stages)


def _make_pool(pool: str, channels: int, window: int) -> nn.Module:
    if pool == "antialiased_avg":
        return AntialiasedAvgPool2d(channels)
    if pool == "antialiased_max":
        return AntialiasedMaxPool2d(channels, window)
    return nn.MaxPool2d(window, 2, window // 2 if window % 2 else 0)


def _pooled_size(size: int, pool: str, window: int) -> int:
    if pool == "antialiased_max" and window % 2 == 0:
        size -= window - 1
    elif pool == "max" and window % 2 == 0:
        return size // 2
    return (size - 1) // 2 + 1
