"""What a trained network says of every set, computed once, whoever asks. Legend: S samples, N sources, K classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from equirgz.evaluate import embed, predict_samples
from equirgz.grid.run.trained import TrainedRun
from equirgz.seeding import derive_seed
from equirgz.train.validation import predict_logits

Rows = list[dict[str, Any]]


class Answers:
    """Features, predictive samples and logits of the sets of ``run`` by name; ``train`` are its labelled sources."""

    def __init__(self, run: TrainedRun) -> None:
        self.run = run
        self.sets = {"train": run.labelled, **run.eval_sets}
        self._kept: dict[tuple[str, str], np.ndarray] = {}

    @property
    def others(self) -> list[str]:
        """The test sets beside ``test``."""
        return [name for name in self.sets if name not in ("train", "val", "test")]

    def label_N(self, name: str) -> np.ndarray:
        return self.sets[name].label_N

    def feature_NF(self, name: str) -> np.ndarray:
        return self._once("feature", name, lambda x: embed(self.run.backbone, x, self.run.batch_size))

    def sample_SNK(self, name: str) -> np.ndarray:
        """Return the probabilities of the predictive samples; one sample where the network has no others."""
        return self._once("sample", name, self.ask)

    def probability_NK(self, name: str) -> np.ndarray:
        return self.sample_SNK(name).mean(0)

    def logits_NK(self, name: str) -> np.ndarray:
        """Return the logits of the network without sampling."""
        size = self.run.batch_size
        return self._once(
            "logits", name, lambda x: predict_logits(self.run.objective, torch.as_tensor(x), size).numpy()
        )

    def ask(self, x_NCHW: Any) -> np.ndarray:
        """Return probability_SNK of any images, as the network's own read-out asks."""
        objective, seed = self.run.objective, derive_seed(self.run.config.seed, "predict")
        views = self.run.config.evaluation.views
        return predict_samples(
            objective, x_NCHW, objective.n_predictive_samples, self.run.batch_size, views=views, seed=seed
        )

    def _once(self, kind: str, name: str, compute: Any) -> np.ndarray:
        if (kind, name) not in self._kept:
            self._kept[kind, name] = compute(self.sets[name].x_NCHW)
        return self._kept[kind, name]


def make_row(split: str, metric: str, value: float | None, n: int, unit: str = "1", direction: str = "none") -> dict:
    """Return a row of the network's read-out; no value where it is not finite."""
    number = None if value is None or not np.isfinite(value) else float(value)
    return {"readout": "network", "split": split, "metric": metric, "value": number, "unit": unit,
            "direction": direction, "n": n}  # fmt: skip
