"""Networks with attention gates: plain (arXiv 2012.01248) and equivariant (arXiv 2111.04742)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.backbones.arguments import scaled_fields
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group
from equirgz.nn import AttentionGate, DiskMask, FieldSequential, GroupPooling, InvariantReadout, make_conv, make_norm
from equirgz.registry import explained_by


class AttentionGateNet(Backbone):
    """Four stages of (3, 3, 3, 2) convolutions with stride-2 max-pooling between them, and three gates.

    The group-pooled maps of stages 1 to 3 are each weighted by a gate that looks at the group-pooled
    maps of stage 4; the features are the read-outs of the weighted maps, concatenated: their spatial
    means, F1 + F2 + F3 numbers, unless ``readout`` says otherwise. Three stages of stride 2: exact sizes are 1 mod 8.

    Parameters
    ----------
    kernel_size : odd side of all filters, pixels.
    normalise : how a gate's scores become weights, "range", "sigmoid" or "softmax".
    basis : "harmonic" or "pixel"; None: pixel for C1, harmonic otherwise.
    readout : how each weighted stack of maps is read (:class:`equirgz.nn.InvariantReadout`).
    """

    def __init__(
        self,
        name: str,
        group: Group,
        in_channels: int,
        image_size: int,
        fields: tuple[int, ...],
        kernel_size: int,
        normalise: str,
        basis: str | None,
        bias: bool,
        exact: bool = True,
        readout: str = "mean",
    ) -> None:
        super().__init__(group, in_channels, image_size)
        self.check_size(name, *((3, 17) if exact else (0, 8)))
        self.mask = DiskMask(image_size)
        self.stages = nn.ModuleList()
        previous = FieldType.trivial(group, self.in_channels)
        for count, repeats in zip(fields, (3, 3, 3, 2), strict=True):
            layers: list[nn.Module] = []
            out_type = FieldType.regular(group, count)
            for _ in range(repeats):
                conv = make_conv(previous, out_type, kernel_size, bias=bias, basis=basis)
                layers += [conv, nn.ReLU(), make_norm(out_type)]
                previous = out_type
            self.stages.append(FieldSequential(*layers))
            self.add_level(f"stages.{len(self.stages) - 1}", out_type, 2 ** (len(self.stages) - 1))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.group_pooling = nn.ModuleList(GroupPooling(stage.out_type) for stage in self.stages)
        *gated, gating = (pool.out_type for pool in self.group_pooling)
        self.gates = nn.ModuleList(AttentionGate(type_, gating, normalise=normalise) for type_ in gated)
        # Maxima over the group commute with a gate that is not negative; other read-outs see the fields themselves.
        self.reads_fields = readout in ("spectrum", "max_filter")
        read = [stage.out_type for stage in self.stages][:-1] if self.reads_fields else gated
        self.readouts = nn.ModuleList(InvariantReadout(type_, readout) for type_ in read)
        self.num_features = sum(readout.num_features for readout in self.readouts)

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        maps = []
        x_BCHW = self.mask(x_BCHW)
        for index, stage in enumerate(self.stages):
            x_BCHW = stage(self.pool(x_BCHW) if index else x_BCHW)
            maps.append(x_BCHW)
        return maps

    def maps(self, x_BCHW: Tensor) -> Tensor:
        return self.stage_maps(x_BCHW)[-1]

    def _gated(self, x_BCHW: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        stages = self.stage_maps(x_BCHW)
        pooled = [pool(maps) for pool, maps in zip(self.group_pooling, stages, strict=True)]
        pairs = [gate(maps, pooled[-1]) for gate, maps in zip(self.gates, pooled[:-1], strict=True)]
        alphas = [alpha for _, alpha in pairs]
        if self.reads_fields:
            return [alpha * maps for alpha, maps in zip(alphas, stages[:-1], strict=True)], alphas
        return [y for y, _ in pairs], alphas

    def features(self, x_BCHW: Tensor) -> Tensor:
        read = [readout(maps) for readout, maps in zip(self.readouts, self._gated(x_BCHW)[0], strict=True)]
        return torch.cat(read, 1)

    def attention_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return one map per gate, at image size, in [0, 1] for the range normalisation."""
        self.check_input(x_BCHW)
        size = (self.image_size, self.image_size)
        return [F.interpolate(a, size=size, mode="bilinear", align_corners=True) for a in self._gated(x_BCHW)[1]]

    def blocks(self) -> list[nn.Module]:
        own = [self.readouts] if any(True for _ in self.readouts.parameters()) else []
        return [*self.stages, self.gates, *own]


@BACKBONES.register("attention_lenet")
@explained_by(AttentionGateNet)
def attention_lenet(
    in_channels: int = 1, image_size: int = 65, width: float = 1.0, normalise: str = "range"
) -> Backbone:
    """Attention-gated CNN (arXiv 2012.01248): 3x3 filters, 6, 16, 32, 64 channels, three gates.

    The published normalisation takes the range over the whole batch; here it is per image, so that a
    prediction does not depend on the other images of its batch.
    """
    fields = scaled_fields((6, 16, 32, 64), width)
    return AttentionGateNet(
        "attention_lenet", get_group("C1"), in_channels, image_size, fields, 3, normalise, None, bias=True
    )


@BACKBONES.register("steerable_attention")
@explained_by(AttentionGateNet)
def steerable_attention(
    group: str = "D4",
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    kernel_size: int = 5,
    normalise: str = "range",
    basis: str | None = None,
    readout: str = "mean",
) -> Backbone:
    """Equivariant features with attention gates (arXiv 2111.04742): 6, 16, 32, 64 regular fields, 5x5."""
    fields = scaled_fields((6, 16, 32, 64), width)
    return AttentionGateNet(
        "steerable_attention",
        get_group(group),
        in_channels,
        image_size,
        fields,
        kernel_size,
        normalise,
        basis,
        bias=False,
        readout=readout,
    )
