"""Fine-tuning in one call, and a scikit-learn estimator around every backbone and objective.

Legend: N sources, C channel, H W pixels, F features, K classes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.data.catalogues.labels import check_labels
from equirgz.errors import InputError
from equirgz.evaluate.input import as_input
from equirgz.evaluate.predict import embed, predict
from equirgz.geometry.action import disk_mask
from equirgz.objectives import create_objective
from equirgz.seeding import derive_seed
from equirgz.train.estimators.customs import check_features, check_weights, warn_of_column
from equirgz.train.fabric import make_fabric
from equirgz.train.images import TrainImages
from equirgz.train.trainer import train


class EquirgzClassifier(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
    """Image classifier with the interface of scikit-learn: fit, predict, predict_proba, transform, score.

    Images are (N, H, W), (N, C, H, W) or, as pipelines like them, flat (N, H * H), in whatever holds them
    (:func:`equirgz.images.as_images`: integers from 0 to 255 mean 0 to 1); labels are any values. Of another size
    than the network's they are resampled, with a warning. ``transform`` returns the backbone's features.
    Parameters are stored untouched and checked in ``fit``.

    Parameters
    ----------
    backbone, group, width, backbone_params : what ``create_backbone`` is told; the size and channels
        come from the images.
    encoder : a backbone, or the folder or file of a saved one, to start from instead; it is copied.
    objective, objective_params : a registered objective that needs labels and no other images.
    steps, batch_size, augmentation, lr, weight_decay, layer_decay, warmup_steps, precision : the
        training, as in ``TrainConfig``.
    mask : zero all images outside the inscribed disk, in ``fit`` and wherever they are predicted or
        transformed: corners that turn with the image give its angle away.
    device : "auto", "cpu" or "cuda".
    random_state : integer, RandomState or None, as everywhere in scikit-learn.
    progress : show a bar on stderr; None: where that is a terminal.
    missing : words for "no label" beside None, NaN, blanks and -1; such labels are refused.
    """

    def __init__(
        self,
        backbone: str = "steerable_cnn",
        group: str | None = None,
        width: float | None = None,
        backbone_params: dict[str, Any] | None = None,
        encoder: nn.Module | str | Path | None = None,
        objective: str = "supervised",
        objective_params: dict[str, Any] | None = None,
        steps: int = 300,
        batch_size: int = 64,
        augmentation: str = "rotation_flips",
        lr: float = 2e-3,
        weight_decay: float = 1e-2,
        layer_decay: float = 1.0,
        warmup_steps: int = 0,
        precision: str = "32-true",
        mask: bool = True,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        progress: bool | None = False,
        missing: Sequence[Any] = (),
    ) -> None:
        self.backbone = backbone
        self.group = group
        self.width = width
        self.backbone_params = backbone_params
        self.encoder = encoder
        self.objective = objective
        self.objective_params = objective_params
        self.steps = steps
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.lr = lr
        self.weight_decay = weight_decay
        self.layer_decay = layer_decay
        self.warmup_steps = warmup_steps
        self.precision = precision
        self.mask = mask
        self.device = device
        self.random_state = random_state
        self.progress = progress
        self.missing = missing

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
        seed = int(check_random_state(self.random_state).randint(2**31))
        backbone = self._make_backbone(x_NCHW, seed) if encoder is None else encoder
        self.objective_ = create_objective(
            self.objective,
            backbone,
            len(self.classes_),
            derive_seed(seed, "init", "heads"),
            **(self.objective_params or {}),
        )
        config = TrainConfig(
            steps=self.steps,
            batch_size=self.batch_size,
            augmentation=self.augmentation,
            precision=self.precision,
            optimizer=OptimizerConfig(
                lr=self.lr,
                weight_decay=self.weight_decay,
                layer_decay=self.layer_decay,
                warmup_steps=self.warmup_steps,
            ),
        )
        images = TrainImages(x_NCHW, label_N, mask=self.mask, weight_N=weight_N)
        fabric = make_fabric(self.precision, self.device)
        self.log_ = train(self.objective_, images, config, seed=seed, progress=self.progress, fabric=fabric)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probability_NK, columns in the order of ``classes_``; the mean over predictive samples.

        The samples are the same networks at every call; dropout masks are those of a source's place among 256.
        """
        check_is_fitted(self, "objective_")
        return predict(self.objective_, self._seen(X), n_samples=self.objective_.n_predictive_samples)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of largest probability of each source."""
        check_is_fitted(self, "objective_")
        return self.classes_[self.predict_proba(X).argmax(1)]

    def transform(self, X: Any) -> np.ndarray:
        """Return the trained backbone's features_NF."""
        check_is_fitted(self, "objective_")
        return embed(self.encoder_, self._seen(X))

    @property
    def encoder_(self) -> nn.Module:
        """The trained backbone, in eval mode: for ``save_encoder``, ``to_plain``, another training."""
        check_is_fitted(self, "objective_")
        return getattr(self.objective_, "objective", self.objective_).backbone

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

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        shown = copy.copy(self)
        if isinstance(self.encoder, nn.Module):
            shown.encoder = _Named(self.encoder)
        return BaseEstimator.__repr__(shown, N_CHAR_MAX)

    @property
    def _n_features_out(self) -> int:
        return self.encoder_.num_features

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []  # features are float32
        return tags

    def _seen(self, X: Any) -> Tensor:
        check_features(self, X, fitted=True)
        return self._prepare(X, self.encoder_)

    def _prepare(self, X: Any, network: nn.Module | None) -> Tensor:
        x_NCHW = as_input(X, network, flat=True)
        return x_NCHW * disk_mask(x_NCHW.shape[-1], like=x_NCHW) if self.mask else x_NCHW

    def _start_encoder(self) -> nn.Module | None:
        if self.encoder is None:
            return None
        from equirgz.backbones import load_encoder
        from equirgz.backbones.wrapped import copy_network, find_backbone

        saved = isinstance(self.encoder, (str, Path))
        return load_encoder(self.encoder) if saved else copy_network(find_backbone(self.encoder, "encoder"))

    def _make_backbone(self, x_NCHW: Tensor, seed: int) -> nn.Module:
        from equirgz import backbones

        with torch.random.fork_rng(devices=()):
            torch.manual_seed(derive_seed(seed, "init"))
            return backbones.create_backbone(
                self.backbone,
                group=self.group,
                width=self.width,
                in_channels=x_NCHW.shape[1],
                image_size=x_NCHW.shape[-1],
                **(self.backbone_params or {}),
            )


class _Named:
    """Stands for a network in one line: its name, group and size."""

    def __init__(self, network: nn.Module) -> None:
        config = getattr(network, "config", None) or {}
        known = [str(config[key]) for key in ("group", "image_size") if key in config]
        self.text = f"<{config.get('name', type(network).__name__)}{' ' if known else ''}{', '.join(known)}>"

    def __repr__(self) -> str:
        return self.text


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
