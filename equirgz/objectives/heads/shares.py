"""Independent probabilities, per source (tags) or per pixel (parts). Legend: B batch, T tags or parts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equirgz.objectives.heads.base import HEADS, Head, mean_of_known
from equirgz.objectives.precision import widen


@HEADS.register("multilabel")
class SharesHead(Head):
    """Binomial cross entropy (nat) against shares s in [0, 1], the mean over all that was asked.

    ``-s log p - (1 - s) log(1 - p)``, p the sigmoid of the raw output; NaN in the targets is not asked.
    """

    def loss(self, raw_B: Tensor, target_B: Tensor) -> Tensor:
        raw_B = widen(raw_B)
        known_B = torch.isfinite(target_B)
        share_B = target_B.nan_to_num().to(raw_B)
        return mean_of_known(F.binary_cross_entropy_with_logits(raw_B, share_B, reduction="none"), known_B)

    def answer(self, raw_B: Tensor) -> Tensor:
        return torch.sigmoid(raw_B)
