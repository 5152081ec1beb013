"""Confident guesses as labels. Legend: B batch, K classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from equirgz.objectives.precision import full_precision


@full_precision
def compute_fixmatch_loss(strong_logits_BK: Tensor, probability_BK: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return FixMatch's unlabelled loss (nat) and mask_B of the sources that count (arXiv 2001.07685, eq. 4).

    ``mean_B [max p >= threshold] CE(strong logits, argmax p)``: the mean is over ALL sources. The
    weak view's probabilities p carry no gradient.
    """
    confidence_B, pseudo_label_B = probability_BK.detach().max(1)
    mask_B = confidence_B >= threshold
    loss_B = F.cross_entropy(strong_logits_BK, pseudo_label_B, reduction="none")
    return (loss_B * mask_B).mean(), mask_B
