"""Published steerable networks as they were published, for reproduction; none is exact on the lattice.

``steerable_lenet_published`` (arXiv 2102.08252) lives in :mod:`equirgz.backbones.networks.lenet`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.backbones.arguments import scaled_fields
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.backbones.networks.attention import AttentionGateNet
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group
from equirgz.nn import AttentionGate, FieldSequential, GroupConv2d, GroupPooling, make_norm
from equirgz.nn.dropout import check_dropout
from equirgz.nn.reproduction import SoftDiskMask


class PublishedGate(AttentionGate):
    """The gate as published: no bias on the gating signal, and a range over the WHOLE batch if asked for."""

    def __init__(self, in_type: FieldType, gating_type: FieldType, over_batch: bool) -> None:
        super().__init__(in_type, gating_type)
        self.over_batch = over_batch
        self.phi = nn.Conv2d(gating_type.size, self.phi.out_channels, 1, bias=False)

    def attention(self, x_BCHW: Tensor, gating_BDHW: Tensor) -> Tensor:
        if not self.over_batch:
            return super().attention(x_BCHW, gating_BDHW)
        size = x_BCHW.shape[-2:]
        lifted = nn.functional.interpolate(self.phi(gating_BDHW), size=size, mode="bilinear", align_corners=True)
        q_B1HW = self.psi(torch.relu(self.theta(x_BCHW) + lifted))
        return (q_B1HW - q_B1HW.min()) / (q_B1HW.max() - q_B1HW.min())


class PublishedAttentionNet(AttentionGateNet):
    """AttentionGateNet with max-pooling 2 and a soft-edged mask (arXiv 2111.04742).

    The paper sums the weighted maps over space; here they are averaged, and the classifier that
    follows takes up the constant.
    """

    is_invariant = False

    def __init__(
        self,
        group: Group,
        in_channels: int,
        image_size: int,
        fields: tuple[int, ...],
        kernel_size: int,
        over_batch: bool,
    ) -> None:
        name = "steerable_attention_published"
        super().__init__(
            name,
            group,
            in_channels,
            image_size,
            fields,
            kernel_size,
            "range",
            "harmonic",
            bias=False,
            exact=False,
        )
        self.mask = SoftDiskMask(image_size)
        self.pool = nn.MaxPool2d(2)
        *gated, gating = (pool.out_type for pool in self.group_pooling)
        self.gates = nn.ModuleList(PublishedGate(type_, gating, over_batch) for type_ in gated)


@BACKBONES.register("steerable_attention_published")
def steerable_attention_published(
    group: str = "D16",
    in_channels: int = 1,
    image_size: int = 150,
    width: float = 1.0,
    kernel_size: int = 5,
    over_batch: bool = False,
) -> Backbone:
    """The network of arXiv 2111.04742 as published: maps of 150, 75, 37 and 18 pixels, not exact there.

    ``over_batch=True`` takes the range of the gates over the whole batch, as published; a prediction
    then depends on the other images of its batch. With the five small classifiers of the paper, and
    the three biases that a range cancels, D16 has 3 319 881 parameters. Use ``steerable_attention``
    unless you reproduce.

    Parameters
    ----------
    kernel_size : odd side of all filters, pixels.
    over_batch : take the range of the gates over the whole batch.
    """
    fields = scaled_fields((6, 16, 32, 64), width)
    return PublishedAttentionNet(get_group(group), in_channels, image_size, fields, kernel_size, over_batch)


class PublishedCnn(Backbone):
    """Three steerable stages and a flattened, normalised latent of 256 numbers (arXiv 2501.14048)."""

    is_invariant = False

    def __init__(
        self, group: Group, in_channels: int, image_size: int, fields: tuple[int, ...], dropout: float
    ) -> None:
        super().__init__(group, in_channels, image_size)
        self.check_size("steerable_cnn_published", 0, 2 ** len(fields))
        side = self.image_size // 2 ** len(fields)
        self.stages = nn.ModuleList()
        previous = FieldType.trivial(group, self.in_channels)
        for stage, count in enumerate(fields):
            out_type = FieldType.regular(group, count)
            conv = GroupConv2d(previous, out_type, 3 if stage else 5, bias=True)
            layers = (conv, make_norm(out_type), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(check_dropout(dropout)))
            self.stages.append(FieldSequential(*layers))
            self.add_level(f"stages.{stage}", out_type, 2 ** (stage + 1))
            previous = out_type
        self.group_pooling = GroupPooling(previous)
        self.head = nn.Sequential(nn.Linear(previous.count * side**2, 256), nn.LayerNorm(256))
        nn.init.normal_(self.head[0].weight, std=0.005)
        nn.init.zeros_(self.head[0].bias)
        self.num_features = 256

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            maps.append(x_BCHW)
        return maps

    def maps(self, x_BCHW: Tensor) -> Tensor:
        return self.stage_maps(x_BCHW)[-1]

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        return self.head(self.group_pooling(maps_BCHW).flatten(1))

    def blocks(self) -> list[nn.Module]:
        return [*self.stages, self.head]


@BACKBONES.register("steerable_cnn_published")
def steerable_cnn_published(
    group: str = "D4", in_channels: int = 1, image_size: int = 100, width: float = 1.0, dropout: float = 0.2
) -> Backbone:
    """The equivariant network of SIDDA (arXiv 2501.14048): 8, 16, 32 regular fields, 5x5 then 3x3.

    Plain max-pooling 2 and a flattened latent: only roughly invariant. The 256 features are the
    layer-normalised latent; with a classifier of 3 classes, D4 at 100 pixels has 1 212 163
    parameters. Dropout acts on single numbers, so it breaks the symmetry in training.

    Parameters
    ----------
    dropout : probability of dropping a number after each stage.
    """
    fields = scaled_fields((8, 16, 32), width)
    return PublishedCnn(get_group(group), in_channels, image_size, fields, dropout)
