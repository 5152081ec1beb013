"""What estimators of images share, whatever they answer: parameters, training and features, in scikit-learn's customs.

Legend: N sources, C channel, H W pixels, F features.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import InputError
from equirgz.evaluate.input import as_input
from equirgz.evaluate.predict import embed, predict
from equirgz.geometry.action import disk_mask
from equirgz.objectives import create_objective
from equirgz.pretrained import choose_pretrained
from equirgz.seeding import derive_seed
from equirgz.tasks import Task
from equirgz.train.estimators.customs import check_features
from equirgz.train.fabric import make_fabric
from equirgz.train.images import TrainImages
from equirgz.train.trainer import train


class ImageEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Abstract: a backbone and an objective trained in ``fit``; ``transform`` returns the backbone's features.

    Images are (N, H, W), (N, C, H, W) or, as pipelines like them, flat (N, H * H), in whatever holds them
    (:func:`equirgz.images.as_images`: integers from 0 to 255 mean 0 to 1). Of another size than the network's they are
    resampled, with a warning. Parameters are stored untouched and checked in ``fit``.

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
    pretrained : None: from scratch, or from ``encoder``; the name of a shipped encoder to start from
        (:func:`equirgz.list_pretrained`), or "auto" for the usual one; ``pretrained_``, repr and saved facts tell it.
    missing : words for "no label" or "no number" beside None, NaN and blanks (of labels -1 too), which are refused.
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
        pretrained: str | None = None,
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
        self.pretrained = pretrained

    def _train(
        self, x_NCHW: Tensor, target_N: np.ndarray, task: Task, weight_N: np.ndarray | None, encoder: nn.Module | None
    ) -> None:
        """Train on targets of ``task``; sets ``objective_`` and ``log_``."""
        seed = int(check_random_state(self.random_state).randint(2**31))
        backbone = self._make_backbone(x_NCHW, seed) if encoder is None else encoder
        self.objective_ = create_objective(
            self.objective,
            backbone,
            init_seed=derive_seed(seed, "init", "heads"),
            task=task,
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
        images = TrainImages(x_NCHW, target_N, mask=self.mask, weight_N=weight_N)
        fabric = make_fabric(self.precision, self.device)
        self.log_ = train(self.objective_, images, config, seed=seed, progress=self.progress, fabric=fabric)

    def _answer(self, X: Any) -> np.ndarray:
        """Return the answers of the trained network, the mean over predictive samples.

        The samples are the same networks at every call; dropout masks are those of a source's place among 256.
        """
        check_is_fitted(self, "objective_")
        return predict(self.objective_, self._seen(X), n_samples=self.objective_.n_predictive_samples)

    def transform(self, X: Any) -> np.ndarray:
        """Return the trained backbone's features_NF."""
        check_is_fitted(self, "objective_")
        return embed(self.encoder_, self._seen(X))

    @property
    def encoder_(self) -> nn.Module:
        """The trained backbone, in eval mode: for ``save_encoder``, ``to_plain``, another training."""
        check_is_fitted(self, "objective_")
        return getattr(self.objective_, "objective", self.objective_).backbone

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        shown = copy.copy(self)
        if isinstance(self.encoder, nn.Module):
            shown.encoder = _Named(self.encoder)
        if getattr(self, "pretrained_", None):
            shown.pretrained = self.pretrained_
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
        """Return a network of its own to start from, None for a new one; sets ``pretrained_``."""
        self.pretrained_ = None
        if self.pretrained is not None:
            from equirgz.backbones import load_pretrained

            if self.encoder is not None:
                raise InputError("pretrained", expected="pretrained or encoder", got="both", mend="leave one out")
            self.pretrained_ = choose_pretrained(self.pretrained)
            return load_pretrained(self.pretrained_)
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
