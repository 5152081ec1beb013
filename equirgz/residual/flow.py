"""What of an embedding is left once something of it is known, in scikit-learn's customs.

Legend: N sources, F features, P latents, K numbers of the condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import InputError, require
from equirgz.objectives.generative.condition import learn_condition
from equirgz.objectives.generative.flow_matching import FlowMatching
from equirgz.objectives.generative.ode import integrate
from equirgz.objectives.generative.velocity_field import VelocityField, guided_velocity
from equirgz.seeding import derive_seed
from equirgz.train.images import TrainImages
from equirgz.train.trainer import train

Columns = Mapping[str, np.ndarray]


class ResidualFlow(TransformerMixin, BaseEstimator):
    """A flow from noise to features, told what is known; run backwards it leaves what is not (arXiv 2511.09433).

    Features become latents: the leading principal components, each of variance 1. A conditional flow (see
    :class:`~equirgz.objectives.generative.flow_matching.FlowMatching`) carries N(0, 1) to them. ``transform`` goes
    from data (t = 1) to noise (t = 0) with the condition told: for every value of it latents become N(0, 1), so that
    nothing of it can be read off, and the rest stays, since the way can be gone back. ``inverse_transform`` goes
    forth, with the same condition or with another: then the known is changed and the rest kept.

    Parameters
    ----------
    n_components : P, at most F and the number of sources; None: the fewest that hold 99.9 % of the variance.
    width, depth : of the field's hidden layers.
    dropout : share of sources without condition in training, in [0, 1).
    guidance : w, how much the condition counts: 0 not at all, 1 wholly, at most 2.
    steps, batch_size, lr : of the training (AdamW, cosine).
    ode_steps : of the midpoint rule between data and noise.
    random_state : seed of weights, batches and noise.
    progress : show a bar on stderr; None: where that is a terminal.

    Attributes
    ----------
    condition_, pca_, scale_P, field_, log_ : what the condition's numbers mean, the components, their standard
        deviations, the trained field, and what the training logged.
    """

    def __init__(
        self,
        n_components: int | None = None,
        width: int = 128,
        depth: int = 3,
        dropout: float = 0.15,
        guidance: float = 1.0,
        steps: int = 3000,
        batch_size: int = 256,
        lr: float = 2e-3,
        ode_steps: int = 100,
        random_state: int = 0,
        progress: bool | None = False,
    ) -> None:
        self.n_components = n_components
        self.width = width
        self.depth = depth
        self.dropout = dropout
        self.guidance = guidance
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.ode_steps = ode_steps
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: Any, condition: Columns, *, work_dir: Path | None = None) -> ResidualFlow:
        """Learn the flow of features (N, F) under ``condition``, columns by name (texts: classes, floats: numbers).

        ``work_dir`` holds checkpoints, from which an interrupted training goes on. Raises InputError for NaN, features
        of zero variance, and conditions that are constant, missing or of fewer than ten sources per class.
        """
        h_NF = _check_features(X)
        flat_F = np.flatnonzero(h_NF.std(0) <= 1e-7 * np.abs(h_NF).max(0))
        if len(flat_F):
            some = ", ".join(f"f{i}" for i in flat_F[:5])
            got, mend = f"{len(flat_F)} of zero variance ({some})", "leave those columns out"
            raise InputError("latents", expected="features that vary", got=got, mend=mend)
        self.condition_ = learn_condition(condition)
        told_NK = self._tell(condition, len(h_NF))
        most = min(h_NF.shape[1], len(h_NF) - 1)
        n = self.n_components
        require(n is None or 1 <= n <= most, "n_components", expected=f"from 1 to {most}", got=n)
        self.pca_ = PCA(min(0.999, 1 - 1e-9) if n is None else n, svd_solver="full").fit(h_NF)
        self.scale_P = np.sqrt(self.pca_.explained_variance_)
        torch_seed = derive_seed(self.random_state, "field")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed)
            self.field_ = VelocityField(len(self.scale_P), self.condition_.width, self.width, self.depth)
        images = TrainImages(self._to_latents(h_NF)[:, :, None, None], told_NK, mask=False)
        optimizer = OptimizerConfig(lr=self.lr, weight_decay=0.0)
        config = TrainConfig(
            steps=self.steps, batch_size=self.batch_size, augmentation="none", optimizer=optimizer
        )  # fmt: skip
        objective = FlowMatching(self.field_, self.dropout)
        self.log_ = train(objective, images, config, seed=self.random_state, work_dir=work_dir, progress=self.progress)
        return self

    def transform(self, X: Any, condition: Columns, guidance: float | None = None) -> np.ndarray:
        """Return residual_NP, float32: features (N, F) carried from data to noise, what is known taken away."""
        check_is_fitted(self, "field_")
        h_NF = _check_features(X, self.pca_.n_features_in_)
        return self._carry(self._to_latents(h_NF), condition, 1.0, 0.0, guidance)

    def inverse_transform(self, Z: Any, condition: Columns, guidance: float | None = None) -> np.ndarray:
        """Return features (N, F) of residuals (N, P) under a ``condition``, their own or another."""
        check_is_fitted(self, "field_")
        x_NP = self._carry(_check_features(Z, len(self.scale_P)), condition, 0.0, 1.0, guidance)
        return self.pca_.inverse_transform(x_NP * self.scale_P).astype(np.float32)

    def round_trip(self, X: Any, condition: Columns, guidance: float | None = None) -> float:
        """Return the root mean square difference of latents (of variance 1) and the same carried there and back."""
        check_is_fitted(self, "field_")
        x_NP = self._to_latents(_check_features(X, self.pca_.n_features_in_))
        back_NP = self._carry(
            self._carry(x_NP, condition, 1.0, 0.0, guidance), condition, 0.0, 1.0, guidance
        )  # fmt: skip
        return float(np.sqrt(np.mean((back_NP - x_NP) ** 2)))

    def _to_latents(self, h_NF: np.ndarray) -> np.ndarray:
        return (self.pca_.transform(h_NF) / self.scale_P).astype(np.float32)

    def _tell(self, condition: Columns, n: int) -> np.ndarray:
        told_NK = self.condition_.encode(condition)
        require(len(told_NK) == n, "condition", expected=f"{n} values, one per source", got=len(told_NK))
        return told_NK

    def _carry(
        self, x_NP: np.ndarray, condition: Columns, start: float, stop: float, guidance: float | None
    ) -> np.ndarray:
        told_NK = torch.from_numpy(self._tell(condition, len(x_NP)))
        weight = self.guidance if guidance is None else guidance

        def velocity(x: Tensor, t: float) -> Tensor:
            return guided_velocity(self.field_, x, t, told_NK, weight)

        with torch.no_grad():
            return integrate(velocity, torch.from_numpy(np.float32(x_NP)), start, stop, self.ode_steps).numpy()


def _check_features(X: Any, n_features: int | None = None) -> np.ndarray:
    h_NF = np.asarray(X, np.float64)
    width = "F" if n_features is None else n_features
    right = h_NF.ndim == 2 and len(h_NF) >= 1 and h_NF.shape[1] >= 1 and n_features in (None, h_NF.shape[1])
    require(right, "latents", expected=f"features (N, {width})", got=h_NF.shape)
    bad = int((~np.isfinite(h_NF)).any(1).sum())
    require(bad == 0, "latents", expected="finite features", got=f"NaN or infinity in {bad} sources")
    return h_NF
