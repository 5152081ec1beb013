"""SNGP: a Gaussian process over the features, so that sources unlike all that were seen are doubted (arXiv 2006.10108).

Legend: B batch, N sources, F features, M random features, K classes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError, require
from equirgz.objectives.base import OBJECTIVES, Batch
from equirgz.objectives.precision import full_precision
from equirgz.objectives.supervised import Supervised
from equirgz.tasks import Task

MEAN_FIELD = math.pi / 8  # of the probit that stands for the logistic curve
MAX_RANDOM_FEATURES = 4096


class DistanceMap(nn.Module):
    """``z = h + relu(W h + b)`` of standardised features h, the largest singular value of W kept at ``bound`` or below.

    For bound c < 1 it keeps distances, ``(1 - c) |h - h'| <= |z - z'| <= (1 + c) |h - h'|``: sources that lie apart in
    the features stay apart. Features are standardised by the training set's mean and deviation (batch norm without
    weights), so that a distance of one is a deviation.
    """

    def __init__(self, n_features: int, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.standardise = nn.BatchNorm1d(n_features, affine=False)
        self.linear = nn.Linear(n_features, n_features)

    def weight(self) -> Tensor:
        """Return W as it is used: scaled down where its largest singular value is above the bound."""
        largest = torch.linalg.matrix_norm(self.linear.weight, 2)
        return self.linear.weight * (self.bound / largest).clamp(max=1)

    def forward(self, h_BF: Tensor) -> Tensor:
        h_BF = self.standardise(h_BF)
        return h_BF + F.relu(F.linear(h_BF, self.weight(), self.linear.bias))


class GaussianProcessClassifier(nn.Module):
    """Logits of a Gaussian process with a Gaussian kernel, by random Fourier features and Laplace's approximation::

        phi = sqrt(2 / M) cos(Omega z / l + c),   Omega ~ N(0, 1), c ~ U(0, 2 pi), both fixed
        f_k = beta_k . phi,                       beta_k ~ N(0, 1 / precision)
        S_k = (precision 1 + sum_n p_nk (1 - p_nk) phi_n phi_n^T)^-1
        logit_k = f_k / sqrt(1 + (pi / 8) phi^T S_k phi)

    phi . phi' is the kernel ``exp(-|z - z'|^2 / 2 l^2)`` as M grows. In training, and before :meth:`fit`, the logits
    are f. Far from all sources phi^T S_k phi rises to |phi|^2 / precision, its value without data.
    """

    def __init__(self, n_features: int, n_classes: int, n_random: int, length: float, bound: float, precision: float):
        super().__init__()
        self.precision = precision
        self.map = DistanceMap(n_features, bound)
        self.length = length * math.sqrt(n_features)  # as far as two sources drawn at random, but for sqrt 2
        self.weight = nn.Parameter(torch.randn(n_classes, n_random) / math.sqrt(n_random))
        self.register_buffer("frequency_MF", torch.randn(n_random, n_features))
        self.register_buffer("phase_M", 2 * math.pi * torch.rand(n_random))
        self.register_buffer("covariance_KMM", torch.zeros(n_classes, n_random, n_random))

    def random_features(self, h_BF: Tensor) -> Tensor:
        """Return phi_BM of features h_BF."""
        z_BF = self.map(h_BF)
        return math.sqrt(2 / len(self.phase_M)) * torch.cos(z_BF @ self.frequency_MF.T / self.length + self.phase_M)

    def variance(self, h_BF: Tensor) -> Tensor:
        """Return the posterior variance of every logit, (B, K); zeros before :meth:`fit`."""
        return self._variance(self.random_features(h_BF))

    def _variance(self, phi_BM: Tensor) -> Tensor:
        return torch.einsum("bm,kmn,bn->bk", phi_BM, self.covariance_KMM, phi_BM).clamp_min(0)

    @full_precision
    def forward(self, h_BF: Tensor) -> Tensor:
        """Return f_BK in training, mean-field logits_BK else."""
        phi_BM = self.random_features(h_BF)
        f_BK = phi_BM @ self.weight.T
        return f_BK if self.training else f_BK * (1 + MEAN_FIELD * self._variance(phi_BM)).rsqrt()

    @torch.no_grad()
    def fit(self, h_NF: Tensor) -> None:
        """Take the covariances S_k from the features of the training sources; beta stays."""
        phi_NM = self.random_features(h_NF)
        phi_NM, weight_KM = phi_NM.double(), self.weight.double()
        p_NK = (phi_NM @ weight_KM.T).softmax(1)
        prior_MM = self.precision * torch.eye(phi_NM.shape[1], dtype=torch.float64, device=phi_NM.device)
        for k, share_N in enumerate((p_NK * (1 - p_NK)).T):
            self.covariance_KMM[k] = torch.linalg.inv(prior_MM + (phi_NM * share_N[:, None]).T @ phi_NM)


@OBJECTIVES.register("sngp")
class Sngp(Supervised):
    """Cross entropy with a Gaussian-process head on the invariant features of any backbone.

    The loss is that of the posterior's mode: the mean cross entropy plus ``precision |beta|^2 / 2N`` (beta is left out
    of the configured weight decay). After training the covariances are taken from the labelled images as they are; the
    answers are then mean-field logits, deterministic, and :meth:`variance` says how far a source lies from the training
    sources. Convolutions keep their own norms: bounding those of steerable layers is not done, so that distances are
    kept from the features on, and not from the pixels. The same turns and flips leave answers and variance alone as
    leave the features.

    Parameters
    ----------
    n_random : random Fourier features M.
    length_scale : of the kernel, in units of sqrt(F) deviations of the features.
    bound : of the spectral norm of the head's map of the features, in (0, 1).
    precision : of the prior over beta, above 0.
    label_smoothing : as of ``supervised``.
    """

    tasks = ("classification",)
    no_weight_decay = frozenset({"classifier.weight"})

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int,
        n_random: int = 256,
        length_scale: float = 1.0,
        bound: float = 0.95,
        precision: float = 0.1,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, task, label_smoothing)
        if not 1 <= n_random <= MAX_RANDOM_FEATURES:
            raise InputError("n_random", expected=f"1 to {MAX_RANDOM_FEATURES} random features", got=n_random)
        require(0 < bound < 1, "bound", expected="a number in (0, 1)", got=bound)
        for name, value in (("length_scale", length_scale), ("precision", precision)):
            require(value > 0, name, expected="a positive number", got=value)
        self.precision = precision
        self.classifier = GaussianProcessClassifier(
            backbone.num_features, self.n_classes, n_random, length_scale, bound, precision
        )
        self.n_sources = 0

    def prepare(self, label_N: Tensor | None, n_unlabelled: int) -> None:
        """Take the number of sources over which the prior is spread; a posterior of an earlier training goes."""
        super().prepare(label_N, n_unlabelled)
        self.n_sources = len(label_N)
        self.classifier.covariance_KMM.zero_()

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the cross entropy (mean, nat) plus the prior's share, and both."""
        fit, logs = super().training_step(batch, step, n_steps)
        prior = 0.5 * self.precision * self.classifier.weight.square().sum() / max(1, self.n_sources)
        return fit + prior, {**logs, "fit": fit.detach(), "prior": prior.detach()}

    def after_training(self, x_NCHW: Tensor, label_N: Tensor | None) -> None:
        """Fit the covariances on the labelled images without augmentation; the network is in eval mode."""
        with torch.no_grad():
            self.classifier.fit(torch.cat([self.backbone(x) for x in x_NCHW.split(256)]))

    def variance(self, x_BCHW: Tensor) -> Tensor:
        """Return the posterior variance of every logit, (B, K), of images."""
        return self.classifier.variance(self.backbone(x_BCHW))
