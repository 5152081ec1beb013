"""Whether a training without labels keeps the dimensions that its network began with. Legend: M images, F features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.images import scale_bytes
from equirgz.objectives.base import Objective
from equirgz.objectives.selfsupervised.collapse import compute_effective_rank
from equirgz.train.batch_norm import batch_statistics

N_IMAGES = 256  # looked at, evenly from the whole pool
LOST = 0.95  # of the untrained rank; below it is lost


class RankMeter:
    """The effective rank of a backbone's features on the same plain images, before and during a training.

    A loss may fall while features shrink to fewer dimensions (dimensional collapse, arXiv 2110.09348), which
    neither the spread of the projections nor their rank shows. Batch norm takes the statistics of 64 of these images
    at a time, so that running statistics not yet settled play no part; nothing is drawn, and network and buffers are
    left as they were.
    """

    def __init__(self, x_MCHW: Tensor, dtype: torch.dtype) -> None:
        index_m = torch.linspace(0, len(x_MCHW) - 1, min(N_IMAGES, len(x_MCHW))).round().long()
        x_mCHW = x_MCHW.index_select(0, index_m.to(x_MCHW.device))
        self.x_mCHW = (x_mCHW if x_mCHW.is_floating_point() else scale_bytes(x_mCHW)).to(dtype)
        self.parts = -(-len(self.x_mCHW) // 64)
        self.untrained: float | None = None

    def measure(self, backbone: nn.Module) -> float:
        """Return the effective rank of the features, 1 to F."""
        kept = [(buffer, buffer.clone()) for buffer in backbone.buffers()]
        with batch_statistics(backbone):
            feature_mF = torch.cat([backbone(x_BCHW).flatten(1) for x_BCHW in self.x_mCHW.tensor_split(self.parts)])
            for buffer, value in kept:
                buffer.copy_(value)
        return compute_effective_rank(feature_mF)

    def log(self, objective: Objective) -> dict[str, float]:
        """Return ``rank/features`` of now and ``rank/untrained`` of the first call."""
        rank = self.measure(objective.backbone)
        if self.untrained is None:
            self.untrained = rank
        return {"rank/features": rank, "rank/untrained": self.untrained}

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether to measure after ``step`` of ``n_steps`` updates: about ten times, and after the last."""
        return step == n_steps or step % max(25, -(-n_steps // 10)) == 0


def make_rank_meter(objective: Objective, x_MCHW: Tensor, dtype: torch.dtype) -> RankMeter | None:
    """Return the meter of an objective that watches its rank, where there are enough images to tell; else None."""
    return RankMeter(x_MCHW, dtype) if objective.watches_rank and len(x_MCHW) > 1 else None


def describe_loss(row: dict[str, float], n_steps: int) -> str | None:
    """Return one line of warning where the second half of a training has a row of lost rank."""
    rank, untrained = row.get("rank/features"), row.get("rank/untrained")
    if rank is None or 2 * row["step"] < n_steps or not rank < LOST * untrained:
        return None
    return (
        f"lost rank at step {int(row['step'])}: effective rank {rank:.3g} of the features, {untrained:.3g} of the "
        "untrained network's on the same images; take other views or simclr, vicreg or lejepa, or a lower learning rate"
    )
