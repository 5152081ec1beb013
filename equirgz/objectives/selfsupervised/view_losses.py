"""Losses between two views of the same sources, as pure functions. Legend: B batch, P projection."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equirgz.errors import InputError
from equirgz.objectives.precision import full_precision


@full_precision
def compute_byol_loss(prediction_BP: Tensor, target_BP: Tensor) -> Tensor:
    """Return ``mean_B (2 - 2 cos(prediction, target))``, in [0, 4] (arXiv 2006.07733, eq. 2).

    Equal to the squared distance of the normalised vectors. The target carries no gradient. A zero
    vector counts as cos = 0; NaN gives NaN.
    """
    cos_B = F.cosine_similarity(prediction_BP, target_BP.detach(), dim=-1)
    return (2 - 2 * cos_B).mean()


@full_precision
def compute_nt_xent(z1_BP: Tensor, z2_BP: Tensor, temperature: float = 0.2) -> Tensor:
    """Return the normalised-temperature cross entropy of SimCLR, nat (arXiv 2002.05709, eq. 1).

    Over all 2B projections i with partner j(i), ``mean_i -log [exp(s_ij / T) / sum_{k != i} exp(s_ik / T)]``
    with s the cosine. All-equal projections give log(2B - 1). NaN gives NaN. Raises InputError for
    B < 2, where there is nothing to contrast, and for a temperature that is not positive.
    """
    if len(z1_BP) < 2 or temperature <= 0:
        raise InputError(
            "NT-Xent", expected="a batch of at least 2 and T > 0", got=f"B = {len(z1_BP)}, T = {temperature}"
        )
    z_MP = F.normalize(torch.cat([z1_BP, z2_BP]), dim=-1)
    batch = len(z1_BP)
    similarity_MM = z_MP @ z_MP.T / temperature
    itself_MM = torch.eye(2 * batch, dtype=torch.bool, device=z_MP.device)
    partner_M = torch.arange(2 * batch, device=z_MP.device).roll(batch)
    return F.cross_entropy(similarity_MM.masked_fill(itself_MM, float("-inf")), partner_M)


@full_precision
def compute_vicreg_terms(z1_BP: Tensor, z2_BP: Tensor, epsilon: float = 1e-4) -> tuple[Tensor, Tensor, Tensor]:
    """Return VICReg's invariance, variance and covariance terms (arXiv 2105.04906).

    invariance = mean squared difference; variance = mean over both views and P of
    ``max(0, 1 - sqrt(var_B + epsilon))``; covariance = sum of squared off-diagonal covariances over P,
    summed over views. Scaled as in the authors' code, for which the weights 25, 25 and 1 were found: the paper's
    equations sum the invariance over P and the variance over the views. Needs B >= 2; NaN gives NaN.
    """
    invariance = F.mse_loss(z1_BP, z2_BP)
    variance, covariance = 0.0, 0.0
    for z_BP in (z1_BP, z2_BP):
        centred_BP = z_BP - z_BP.mean(0)
        covariance_PP = centred_BP.T @ centred_BP / (len(z_BP) - 1)
        variance = variance + F.relu(1 - torch.sqrt(covariance_PP.diagonal() + epsilon)).mean() / 2
        off_diagonal = covariance_PP.square().sum() - covariance_PP.diagonal().square().sum()
        covariance = covariance + off_diagonal / z_BP.shape[1]
    return invariance, variance, covariance
