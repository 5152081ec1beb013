"""Fine-tuning in one call, and a scikit-learn classifier around every backbone and objective.

Legend: N sources, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from equirgz.data.catalogues.labels import check_labels
from equirgz.errors import InputError
from equirgz.objectives.base import as_task
from equirgz.train.estimators.customs import check_features, check_weights, warn_of_column
from equirgz.train.estimators.image_estimator import ImageEstimator


class EquirgzClassifier(ClassifierMixin, ImageEstimator):
    """Image classifier with the interface of scikit-learn: fit, predict, predict_proba, transform, score.

    Labels are any values. Images and parameters: see
    :class:`~equirgz.train.estimators.image_estimator.ImageEstimator`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> EquirgzClassifier:
        """Train on images and labels; sets ``classes_``, ``n_features_in_``, ``objective_`` and ``log_``.

        Sources are drawn in proportion to ``sample_weight``: 2 is the same source twice, 0 leaves it out.
        Raises InputError or DataError for images, labels or weights that cannot be trained on.
        """
        encoder = self._start_encoder()
        check_features(self, X, fitted=False)
        x_NCHW = self._prepare(X, encoder)
        if y is None:
            raise InputError("fit requires y to be passed, but the target y is None; give one label per image")
        kept_N, weight_N = check_weights(sample_weight, len(x_NCHW))
        y_N = check_labels(y, missing=self.missing)
        warn_of_column(y)
        if not kept_N.all() and len(y_N) == len(kept_N):
            x_NCHW, y_N = x_NCHW[torch.from_numpy(kept_N)], y_N[kept_N]
        self.classes_, label_N = np.unique(y_N, return_inverse=True)
        if len(self.classes_) < 2:
            got = f"one class, {self.classes_.tolist()}"
            raise InputError("labels", expected="at least two classes", got=got)
        task = as_task(len(self.classes_))
        self._train(x_NCHW, label_N, task, weight_N, encoder)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probability_NK, columns in the order of ``classes_``; the mean over predictive samples.

        The samples are the same networks at every call; dropout masks are those of a source's place among 256.
        """
        return self._answer(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of largest probability of each source."""
        check_is_fitted(self, "objective_")
        return self.classes_[self.predict_proba(X).argmax(1)]

    def save(self, path: Path | str, **facts: Any) -> Path:
        """Write the fitted classifier to ``path`` (.safetensors) and the .json beside it; return the former.

        ``facts`` (preprocessing, training data, ...; JSON values) are kept in the .json. No pickle: see
        :mod:`equirgz.train.estimators.saved`, also for what is refused. Its encoder alone:
        ``save_encoder(model.encoder_, path)``.
        """
        from equirgz.train.estimators.saved import save_classifier

        check_is_fitted(self, "objective_")
        return save_classifier(self, path, facts)

    @classmethod
    def load(cls, path: Path | str) -> EquirgzClassifier:
        """Return the classifier saved at ``path``, fitted, on the CPU, with the same probabilities.

        Its parameters name the backbone in place of a given encoder, and None in place of a RandomState.
        """
        from equirgz.train.estimators.saved import load_classifier

        return load_classifier(cls, path)


def finetune(
    encoder: nn.Module | str | Path,
    images: Any,
    labels: Any,
    *,
    steps: int = 300,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.05,
    layer_decay: float = 0.75,
    label_smoothing: float = 0.1,
    freeze: bool = False,
    augmentation: str = "rotation_flips",
    mask: bool = True,
    device: str = "auto",
    seed: int = 0,
    progress: bool | None = None,
    missing: Sequence[Any] = (),
) -> EquirgzClassifier:
    """Return a classifier fine-tuned from ``encoder`` on labelled images; the encoder itself is left alone.

    Parameters
    ----------
    encoder : a backbone (pre-trained or not), or where a saved one lies.
    images : (N, H, W) or (N, C, H, W), preprocessed as the encoder's were; resampled, with a warning, where their
        side is not the encoder's.
    labels : one per image, any values; missing ones are refused (:mod:`~equirgz.data.catalogues`), as are the words
        ``missing`` for them.
    layer_decay : learning-rate factor from each block to the one below; the recipe of arXiv 2305.16127
        has 0.75, AdamW with weight decay 0.05 and label smoothing 0.1.
    freeze : train the classifier alone, on features of a backbone in eval mode.
    mask : zero the images outside the inscribed disk, here and in the predictions of the classifier.
    progress : show a bar on stderr, or not; None: where that is a terminal.

    >>> model = finetune(encoder, images, labels)              # doctest: +SKIP
    >>> model.predict_proba(images).shape                      # doctest: +SKIP
    (145, 2)
    """
    model = EquirgzClassifier(
        encoder=encoder,
        objective_params={"label_smoothing": label_smoothing, "freeze_backbone": freeze},
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        layer_decay=1.0 if freeze else layer_decay,
        augmentation=augmentation,
        mask=mask,
        device=device,
        random_state=seed,
        progress=progress,
        missing=missing,
    )
    return model.fit(images, labels)
