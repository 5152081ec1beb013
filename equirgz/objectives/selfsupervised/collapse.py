"""Meters of representation collapse. Legend: B batch, P projection, F features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

COLLAPSE_SPREAD = 0.1
COLLAPSE_RANK = 1.2
COLLAPSE_FEATURE_SPREAD = 0.005


@torch.no_grad()
def compute_spread(z_BP: Tensor) -> float:
    """Return ``sqrt(P) * mean_P std_B(z / |z|)``: 1 for isotropic directions, 0 once collapsed.

    The meter of SimSiam (arXiv 2011.10566, section 4.1). NaN where B < 2.
    """
    z_BP = F.normalize(z_BP.float(), dim=-1)
    return float(z_BP.std(0).mean() * z_BP.shape[-1] ** 0.5)


@torch.no_grad()
def compute_effective_rank(z_BP: Tensor) -> float:
    """Return ``exp(H(s / sum s))``, s the singular values of the centred z: 1 up to min(B - 1, P).

    H is the Shannon entropy in nat (Roy & Vetterli 2007). All-equal rows count as rank 1; NaN gives
    NaN.
    """
    z_BP = z_BP.float()
    if not bool(torch.isfinite(z_BP).all()):
        return float("nan")
    singular_R = torch.linalg.svdvals(z_BP - z_BP.mean(0))
    total = singular_R.sum()
    if float(total) <= 1e-6 * float(z_BP.abs().max()) or float(total) == 0.0:
        return 1.0
    share_R = singular_R / total
    return float(torch.exp(-torch.xlogy(share_R, share_R).sum()))


def compute_collapse_meters(z_BP: Tensor, h_BF: Tensor, least_rank: float = COLLAPSE_RANK) -> dict[str, float]:
    """Return the meters of projections z and features h, and ``collapsed`` = 1 where one is too low.

    The features are measured as well because a projector's batch norm magnifies what little is left
    of collapsed features until its projections look healthy. Untrained networks on radio galaxies
    have feature spreads of 0.05 to 0.9. With labels, ``least_rank`` is 0: two classes well apart lie on one line.
    """
    found = {
        "spread": compute_spread(z_BP),
        "effective_rank": compute_effective_rank(z_BP),
        "feature_spread": compute_spread(h_BF),
        "feature_rank": compute_effective_rank(h_BF),
    }
    collapsed = (
        found["spread"] < COLLAPSE_SPREAD
        or found["effective_rank"] < least_rank
        or found["feature_spread"] < COLLAPSE_FEATURE_SPREAD
    )
    return found | {"collapsed": float(collapsed)}
