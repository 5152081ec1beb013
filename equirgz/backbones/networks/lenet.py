"""LeNet, its steerable forms (arXiv 2102.08252) and the working network of this project."""

from __future__ import annotations

from equirgz.backbones.arguments import scaled_fields
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.backbones.networks.sequential import SequentialBackbone
from equirgz.geometry.group import get_group
from equirgz.registry import explained_by


@BACKBONES.register("lenet")
@explained_by(SequentialBackbone)
def lenet(
    in_channels: int = 1, image_size: int = 65, width: float = 1.0, fields: tuple[int, ...] = (6, 16)
) -> Backbone:
    """LeNet-5 for radio galaxies (arXiv 2102.08252): conv 5x5 pad 1, max-pool 2, twice; 120-84 features."""
    return SequentialBackbone(
        "lenet",
        get_group("C1"),
        in_channels,
        image_size,
        fields=scaled_fields(fields, width),
        padding=1,
        pool="max",
        pool_window=2,
        head="flatten",
    )


@BACKBONES.register("steerable_lenet")
@explained_by(SequentialBackbone)
def steerable_lenet(
    group: str = "D4",
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    fields: tuple[int, ...] = (6, 16),
    kernel_sizes: int | tuple[int, ...] = 5,
    head: str = "invariant",
    readout: str = "mean",
    norm: bool = False,
    dropout: float = 0.0,
    basis: str | None = None,
) -> Backbone:
    """Steerable LeNet (arXiv 2102.08252), made exact: padding that keeps the size, odd pooling windows.

    6 and 16 regular fields, 5x5. ``head="flatten"`` has the published read-out and is not invariant;
    :func:`steerable_lenet_published` reproduces the whole published network.
    """
    return SequentialBackbone(
        "steerable_lenet",
        get_group(group),
        in_channels,
        image_size,
        fields=scaled_fields(fields, width),
        kernel_sizes=kernel_sizes,
        head=head,
        readout=readout,
        norm=norm,
        dropout=dropout,
        basis=basis,
    )


@BACKBONES.register("steerable_lenet_published")
def steerable_lenet_published(
    group: str = "D16", in_channels: int = 1, image_size: int = 151, width: float = 1.0
) -> Backbone:
    """The network of arXiv 2102.08252 as published: padding 1, pooling window 2, flatten head, 151 pixels.

    Its maps measure 151-149-74-72-36 pixels and it is NOT exact on the lattice nor invariant; use
    ``steerable_lenet`` unless you reproduce. D16 has 2 532 632 parameters with the final classifier.
    """
    return SequentialBackbone(
        "steerable_lenet_published",
        get_group(group),
        in_channels,
        image_size,
        fields=scaled_fields((6, 16), width),
        padding=1,
        bias=False,
        pool_window=2,
        head="flatten",
        basis="harmonic",
    )


@BACKBONES.register("steerable_cnn")
@explained_by(SequentialBackbone)
def steerable_cnn(
    group: str = "D4",
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    fields: tuple[int, ...] = (8, 16, 24, 32),
    kernel_sizes: int | tuple[int, ...] = 5,
    pool: str = "antialiased_avg",
    pool_last: bool = False,
    readout: str = "mean_max",
    dropout: float = 0.0,
    basis: str | None = None,
    stem_stride: int = 2,
) -> Backbone:
    """The working network of this project: four normalised steerable stages and an invariant read-out.

    ``width=None`` in ``create_backbone`` keeps these counts for every group; use
    ``match="params:NAME"`` for a fair comparison between groups.
    """
    return SequentialBackbone(
        "steerable_cnn",
        get_group(group),
        in_channels,
        image_size,
        fields=scaled_fields(fields, width),
        kernel_sizes=kernel_sizes,
        norm=True,
        pool=pool,
        pool_last=pool_last,
        readout=readout,
        dropout=dropout,
        basis=basis,
        stem_stride=stem_stride,
    )
