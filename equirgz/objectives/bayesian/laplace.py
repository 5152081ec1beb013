"""Last-layer Laplace: a Gaussian over the classifier's weights, fitted after training (arXiv 2106.14806).

Legend: N sources, F features and bias, K classes, W = K F weights, S samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.objectives.base import OBJECTIVES
from equirgz.objectives.bayesian.posterior import seeded
from equirgz.objectives.supervised import Supervised
from equirgz.tasks import Task

MAX_WEIGHTS = 8192


@OBJECTIVES.register("laplace")
class LastLayerLaplace(Supervised):
    """Supervised training; then ``q(W) = N(W*, (H + precision I)^-1)`` over the classifier's weights.

    ``H = sum_n (diag(p_n) - p_n p_n^T) x h_n h_n^T`` is the generalised Gauss-Newton matrix of the
    cross entropy at the trained weights W*, h with a constant 1 for the bias. The prior precision is
    given, or maximises the Laplace evidence
    ``log p(D|W*) - precision |W*|^2 / 2 + (W/2) log precision - log det(H + precision I) / 2``.

    Parameters
    ----------
    precision : of the prior, above 0; None: of the largest evidence.
    """

    tasks = ("classification",)
    n_predictive_samples = 32

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int,
        precision: float | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, task, label_smoothing)
        n_weights = self.n_classes * (backbone.num_features + 1)
        if n_weights > MAX_WEIGHTS:
            raise InputError(
                "laplace",
                expected=f"at most {MAX_WEIGHTS} classifier weights",
                got=n_weights,
                mend="use fewer features or classes",
            )
        if precision is not None and precision <= 0:
            raise InputError("precision", expected="a positive number", got=precision)
        self.precision = precision
        self.register_buffer("root_WW", torch.zeros(n_weights, n_weights))

    @torch.no_grad()
    def after_training(self, x_NCHW: Tensor, label_N: Tensor | None) -> None:
        """Fit the posterior on the labelled images without augmentation; the network is in eval mode."""
        h_NF = _with_bias(torch.cat([self.backbone(x) for x in x_NCHW.split(256)])).double()
        weight_KF = torch.cat([self.classifier.weight, self.classifier.bias[:, None]], 1).double()
        p_NK = (h_NF @ weight_KF.T).softmax(1)
        curvature_NKK = torch.diag_embed(p_NK) - p_NK[:, :, None] * p_NK[:, None, :]
        hessian = torch.einsum("nkl,nf,ng->kflg", curvature_NKK, h_NF, h_NF)
        eigen_W, basis_WW = torch.linalg.eigh(hessian.reshape(weight_KF.numel(), -1))
        eigen_W = eigen_W.clamp_min(0)
        fit = float(torch.log_softmax(h_NF @ weight_KF.T, 1).gather(1, label_N[:, None].long()).sum())
        self.fitted_precision = self.precision or choose_precision(eigen_W, weight_KF, fit)
        root_WW = basis_WW * (eigen_W + self.fitted_precision).rsqrt()
        self.root_WW.copy_(root_WW)

    def sample_logits(self, x_BCHW: Tensor, n_samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Return logits_SBK at ``n_samples`` draws of the classifier; the backbone runs once."""
        h_BF = _with_bias(self.backbone(x_BCHW))
        weight_KF = torch.cat([self.classifier.weight, self.classifier.bias[:, None]], 1)
        with seeded(generator):
            noise_SW = torch.randn(n_samples, weight_KF.numel(), device=h_BF.device).to(h_BF)
        weight_SKF = weight_KF + (noise_SW @ self.root_WW.to(h_BF).T).unflatten(1, weight_KF.shape)
        return torch.einsum("bf,skf->sbk", h_BF, weight_SKF)


def choose_precision(eigen_W: Tensor, weight_KF: Tensor, log_likelihood: float) -> float:
    """Return the prior precision in [1e-4, 1e4] (161 values, even in log) of the largest evidence."""
    square = float(weight_KF.square().sum())

    def evidence(p: float) -> float:
        log_det = float(torch.log(eigen_W + p).sum())
        return log_likelihood - 0.5 * p * square + 0.5 * len(eigen_W) * math.log(p) - 0.5 * log_det

    return max((10 ** (k / 20) for k in range(-80, 81)), key=evidence)


def _with_bias(h_NF: Tensor) -> Tensor:
    return torch.cat([h_NF, torch.ones_like(h_NF[:, :1])], 1)
