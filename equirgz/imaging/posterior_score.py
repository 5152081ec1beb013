"""The score of a posterior at a noise level: that of the prior, and what the visibilities add.

Legend: B batch, H W pixels, M visibilities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from equirgz.errors import InputError, check_choice, require
from equirgz.imaging.gaussian_prior import GaussianFilter
from equirgz.imaging.measurement import Measurement

Score = Callable[[Tensor, float], Tensor]  # (x_BHW, level) -> the gradient of log p(x) of images with that noise
LIKELIHOODS = ("convolved", "tweedie")


class PosteriorScore:
    """``(x_BHW, level) -> score``, given a prior's score and data.

    ``convolved`` (arXiv 2311.18012): an image with noise of deviation s predicts ``A x``, with the covariance
    ``s^2 A A^T + W^-1``. By the push-through identity the gradient is ``(1 + s^2 B)^-1 (A^T W y - B x)`` with
    ``B = A^T W A``: exact in A A^T, for any linear model. It tends to the true posterior as s goes to 0, and is not the
    diffused posterior before: samplers must walk at each level (correctors), not only go down.

    ``tweedie`` (arXiv 2310.06721): the prediction is that of the denoised image ``d = x + s^2 score``, its covariance
    ``s^2 J`` with ``J = dd/dx``, so that the gradient is ``J^T A^T (s^2 A J A^T + W^-1)^-1 (y - A d)``. Exact at every
    level for Gaussian priors. The inverse is that of ``solver_steps`` of conjugate gradients, each of which takes the
    derivative of the denoiser once; a network's J is not symmetric, as they need it. Their preconditioner, which with
    no steps is the inverse, has the J of Gaussian images: of the ``stand_in``, with the images' covariance, or else of
    white ones of variance v, ``J = v / (s^2 + v)`` (``prior_variance``; pseudoinverse guidance, Song et al. 2023).
    Where pixels go together no v is near all variances, and samples of few levels then run away.

    Parameters
    ----------
    prior : score of noisy images, a :class:`~equirgz.imaging.gaussian_prior.GaussianPrior` or a network's.
    model, y_M : the measurement and its visibilities.
    stand_in : a :class:`~equirgz.imaging.gaussian_prior.GaussianFilter` of this model, in place of ``prior_variance``.
    guidance : factor of what the data add; other values than 1 are no posterior, and serve controls.
    """

    def __init__(
        self,
        prior: Score,
        model: Measurement,
        y_M: Tensor,
        likelihood: Literal["convolved", "tweedie"] = "tweedie",
        prior_variance: float = 1.0,
        solver_steps: int = 8,
        guidance: float = 1.0,
        stand_in: GaussianFilter | None = None,
    ) -> None:
        check_choice("likelihood", likelihood, LIKELIHOODS)
        require(prior_variance > 0, "prior_variance", expected="a positive number", got=prior_variance)
        if y_M.shape != model.weight_M.shape or not y_M.is_complex():
            raise InputError("visibilities", expected=f"{len(model.weight_M)} complex numbers", got=tuple(y_M.shape))
        require(solver_steps >= 0, "solver_steps", expected="at least 0", got=solver_steps)
        bad = int((~torch.isfinite(torch.view_as_real(y_M))).any(-1).sum())
        require(bad == 0, "visibilities", expected="finite numbers", got=f"NaN or infinity in {bad}")
        self.prior, self.model, self.likelihood = prior, model, likelihood
        self.prior_variance, self.guidance = prior_variance, guidance
        self.solver_steps, self.y_1M, self.dirty_1HW = solver_steps, y_M[None], model.dirty(y_M[None])
        self.stand_in = stand_in

    def __call__(self, x_BHW: Tensor, level: float) -> Tensor:
        if self.likelihood == "convolved":
            return self.prior(x_BHW, level) + self.guidance * self._pull(x_BHW, level**2)
        with torch.enable_grad():
            x_BHW = x_BHW.detach().requires_grad_()
            score_BHW = self.prior(x_BHW, level)
            denoised_BHW = x_BHW + level**2 * score_BHW

            def turn(g_BHW: Tensor, keep: bool = True) -> Tensor:
                return torch.autograd.grad(denoised_BHW, x_BHW, g_BHW, retain_graph=keep)[0]

            weighted_BM = self._solve(turn, denoised_BHW.detach(), level)
            return score_BHW.detach() + self.guidance * turn(self.model.adjoint(weighted_BM), keep=False)

    def _solve(self, turn: Callable[[Tensor], Tensor], denoised_BHW: Tensor, level: float) -> Tensor:
        """Return ``(s^2 A J A^T + W^-1)^-1 (y - A d)``, (B, M), by preconditioned conjugate gradients."""
        model, weight_M = self.model, self.model.weight_M
        variance = level**2 * self.prior_variance / (level**2 + self.prior_variance)

        def covariance(w_BM: Tensor) -> Tensor:
            return level**2 * model.forward(turn(model.adjoint(w_BM))) + w_BM / weight_M

        def precondition(r_BM: Tensor) -> Tensor:  # (W^-1 + A P A^T)^-1, by Woodbury's identity
            dirty_BHW = model.dirty(r_BM)
            if self.stand_in is not None:
                inner_BHW = self.stand_in(dirty_BHW, level)
            else:
                inner_BHW = model.apply_function(lambda value: variance / (1 + variance * value), dirty_BHW)
            return weight_M * (r_BM - model.forward(inner_BHW))

        residual_BM = self.y_1M - model.forward(denoised_BHW)
        direction_BM = ready_BM = precondition(residual_BM)
        if self.solver_steps == 0:
            return ready_BM
        found_BM, size_B1 = torch.zeros_like(residual_BM), _inner(residual_BM, ready_BM)
        for _ in range(self.solver_steps):
            image_BM = covariance(direction_BM)
            factor_B1 = _ratio(size_B1, _inner(direction_BM, image_BM))
            found_BM = found_BM + factor_B1 * direction_BM
            residual_BM = residual_BM - factor_B1 * image_BM
            ready_BM, before_B1 = precondition(residual_BM), size_B1
            size_B1 = _inner(residual_BM, ready_BM)
            direction_BM = ready_BM + _ratio(size_B1, before_B1) * direction_BM
        return found_BM

    def _pull(self, x_BHW: Tensor, variance: float) -> Tensor:
        """Return ``(1 + variance B)^-1 (A^T W y - B x)``."""
        pulled_BHW = self.model.apply_function(lambda value: 1 / (1 + variance * value), self.dirty_1HW)
        return pulled_BHW - self.model.apply_function(lambda value: value / (1 + variance * value), x_BHW)


def _inner(a_BM: Tensor, b_BM: Tensor) -> Tensor:
    return (a_BM.conj() * b_BM).real.sum(-1, keepdim=True)


def _ratio(above_B1: Tensor, below_B1: Tensor) -> Tensor:
    """Return the quotient, 0 where nothing is left to solve."""
    return torch.where(below_B1 > 0, above_B1 / below_B1.clamp_min(torch.finfo(below_B1.dtype).tiny), 0.0)
