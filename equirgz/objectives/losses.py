"""Losses as pure functions of tensors. Legend: B batch, P projection, K classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def compute_byol_loss(prediction_BP: Tensor, target_BP: Tensor) -> Tensor:
    """Return ``mean_B (2 - 2 cos(prediction, target))``, in [0, 4] (arXiv 2006.07733, eq. 2).

    Equal to the squared distance of the normalised vectors. The target carries no gradient. A zero
    vector counts as cos = 0; NaN gives NaN.
    """
    cos_B = F.cosine_similarity(prediction_BP, target_BP.detach(), dim=-1)
    return (2 - 2 * cos_B).mean()
