"""A prior whose every answer is known: Gaussian images, their scores, the posterior in closed form, and its filter.

Legend: B batch, H W pixels, N = H * W.
"""

from __future__ import annotations

import torch
from torch import Tensor

from equirgz.errors import InputError, require
from equirgz.imaging.measurement import Measurement


class GaussianPrior:
    """x ~ N(mean, covariance); a call is the score of ``x + level z``, ``-(C + level^2)^-1 (x - mean)``.

    It serves the samplers as a trained network does, and tests and checks of a sampling know the answer.
    Raises InputError for shapes that disagree, and a covariance that is not symmetric and positive.
    """

    def __init__(self, mean_HW: Tensor, covariance_NN: Tensor) -> None:
        n = mean_HW.numel()
        require(covariance_NN.shape == (n, n), "covariance", expected=(n, n), got=tuple(covariance_NN.shape))
        if not torch.allclose(covariance_NN, covariance_NN.T, rtol=1e-4, atol=1e-6 * float(covariance_NN.abs().max())):
            raise InputError("covariance", expected="a symmetric matrix", got="another")
        self.mean_HW, self.covariance_NN = mean_HW, covariance_NN
        value_N, vector_NN = torch.linalg.eigh(covariance_NN.double())
        require(
            float(value_N.min()) > 0, "covariance", expected="positive eigenvalues", got=f"{float(value_N.min()):g}"
        )
        self.value_N, self.vector_NN = value_N.to(mean_HW.dtype), vector_NN.to(mean_HW.dtype)

    def __call__(self, x_BHW: Tensor, level: float) -> Tensor:
        off_BN = (x_BHW - self.mean_HW).flatten(-2) @ self.vector_NN
        return -((off_BN / (self.value_N + level**2)) @ self.vector_NN.T).reshape(x_BHW.shape)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return ``n`` images (n, H, W)."""
        z = torch.randn(n, len(self.value_N), generator=generator, dtype=self.mean_HW.dtype)
        return self.mean_HW + ((z * self.value_N.sqrt()) @ self.vector_NN.T).reshape(n, *self.mean_HW.shape)

    def posterior(self, model: Measurement, y_M: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (H, W) and covariance (N, N) given visibilities: ``(C^-1 + A^T W A)^-1``, in float64."""
        size, information_NN = self.mean_HW.shape, self.information(model)
        vector_NN = self.vector_NN.double()
        inverse_NN = (vector_NN / self.value_N.double()) @ vector_NN.T
        covariance_NN = torch.linalg.inv(inverse_NN + information_NN)
        pull_N = model.dirty(y_M[None])[0].double().flatten() + inverse_NN @ self.mean_HW.double().flatten()
        return (covariance_NN @ pull_N).reshape(size), covariance_NN

    def information(self, model: Measurement) -> Tensor:
        """Return ``A^T W A`` of a model as a matrix (N, N), float64."""
        n = self.mean_HW.numel()
        unit_NHW = torch.eye(n, dtype=self.mean_HW.dtype).reshape(n, *self.mean_HW.shape)
        model.check_images(unit_NHW)
        information_NN = model.apply_function(lambda value: value, unit_NHW).reshape(n, n).double()
        return (information_NN + information_NN.T) / 2


class GaussianFilter:
    """``(x_BHW, level) -> (B + P^-1)^-1 x``: what data of a model move in Gaussian images with noise of the level s.

    ``B = A^T W A``, and ``P = (C^-1 + s^-2)^-1`` is the covariance of the images given the noisy one. It stands in for
    the derivatives of a network: :class:`~equirgz.imaging.posterior_score.PosteriorScore`. Matrices are kept
    by level, so that sources of one coverage share them.
    """

    def __init__(self, prior: GaussianPrior, model: Measurement) -> None:
        self.prior, self.information_NN = prior, prior.information(model)
        self._kept: dict[float, Tensor] = {}

    def __call__(self, x_BHW: Tensor, level: float) -> Tensor:
        if level not in self._kept:
            value_N, vector_NN = self.prior.value_N.double(), self.prior.vector_NN.double()
            inverse_NN = (vector_NN * (1 / value_N + level**-2)) @ vector_NN.T
            self._kept[level] = torch.linalg.inv(inverse_NN + self.information_NN).to(x_BHW.dtype)
        return (x_BHW.flatten(-2) @ self._kept[level]).reshape(x_BHW.shape)
