"""How far two batches of features are apart, as losses with gradients, on the device of the features.

The numbers that are reported of two whole sets are those of :mod:`equirgz.metrics.distance`, in numpy; the tests
hold the two to each other. Legend: B batch, F features; x source, y target.
"""

from __future__ import annotations

import torch
from geomloss import SamplesLoss
from torch import Tensor

from equirgz.objectives.precision import full_precision, widen


@torch.no_grad()
def compute_dynamic_blur(x_BF: Tensor, y_BF: Tensor, share: float = 0.05, floor: float = 0.01) -> float:
    """Return ``max(share * max_ij |x_i - y_j|, floor)``: the blur of SIDDA (arXiv 2501.14048). NaN gives floor."""
    return max(floor, share * float(torch.cdist(widen(x_BF), widen(y_BF)).max()))  # this order: NaN gives floor


@full_precision
def compute_sinkhorn_loss(x_BF: Tensor, y_BF: Tensor, blur: float, p: int = 2, scaling: float = 0.9) -> Tensor:
    """Return the debiased Sinkhorn divergence of two equally weighted samples (arXiv 1810.08278).

    ``S = OT_e(x, y) - OT_e(x, x) / 2 - OT_e(y, y) / 2`` with cost ``|x - y|^p / p`` and entropic
    regularisation ``e = blur^p``. Zero for equal samples; for two single points their cost.
    ``scaling`` in (0, 1) is the factor between iterations: nearer to 1 is slower and more exact.
    NaN gives NaN. At p = 2 it is :func:`equirgz.metrics.distance.sinkhorn.sinkhorn_divergence`.
    """
    if not bool(torch.isfinite(x_BF).all() & torch.isfinite(y_BF).all()):
        return (x_BF.sum() + y_BF.sum()) * float("nan")
    alike = bool((x_BF == x_BF[:1]).all() & (y_BF == x_BF[:1]).all())  # geomloss takes the logarithm of the diameter
    divergence = SamplesLoss(
        "sinkhorn", p=p, blur=blur, scaling=scaling, diameter=blur if alike else None, debias=True, backend="tensorized"
    )
    wanted = torch.is_grad_enabled()
    with torch.set_grad_enabled(wanted):  # geomloss turns gradients on and leaves them on
        value = divergence(x_BF, y_BF)
    return value if wanted else value.detach()


@full_precision
def compute_mmd_loss(x_BF: Tensor, y_BF: Tensor, bandwidths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)) -> Tensor:
    """Return the squared maximum mean discrepancy of two samples (Gretton et al. 2012, biased form).

    ``mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`` with k the mean of Gaussians
    ``exp(-d^2 / (b m))`` over the factors b of ``bandwidths``, m the mean squared distance between
    different points of both samples (no gradient). At least 0, and 0 for equal samples. Of one kernel it is
    :func:`equirgz.metrics.distance.mmd.squared_mmd` but for each source's kernel with itself, which counts here.
    """
    z_MF = torch.cat([x_BF, y_BF])
    square_MM = (z_MF[:, None] - z_MF[None]).square().sum(-1)
    count = len(z_MF)
    scale = (square_MM.detach().sum() / (count * (count - 1))).clamp_min(1e-12)
    kernel_MM = sum(torch.exp(-square_MM / (b * scale)) for b in bandwidths) / len(bandwidths)
    n = len(x_BF)
    return kernel_MM[:n, :n].mean() + kernel_MM[n:, n:].mean() - 2 * kernel_MM[:n, n:].mean()
