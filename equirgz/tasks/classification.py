"""One class per source. Legend: N sources, K classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.errors import InputError
from equirgz.metrics import compute_metrics
from equirgz.tasks.base import TASKS, Headline, Kept, Named, Row, Targets, Task


@dataclass(frozen=True)
class Classification(Task):
    """Class probabilities, scored by error, negative log-likelihood, Brier score and calibration errors.

    A target is the index of a class (int64), -1 where there is none. An answer is p_NK, rows that sum to 1.
    """

    class_names: tuple[str, ...]
    name = "classification"
    categorical = True
    read_as = "classes"
    kept = {"target": "target", "probability": "p"}
    averaged = "probability"
    titles = {
        "error/rate": "Error",
        "error/balanced": "Class-balanced error",
        "nll/mean": "Negative log-likelihood",
        "calibration/brier": "Brier score",
        "calibration/ece": "Expected calibration error (ECE, 15 equal-width bins)",
        "calibration/ece_adaptive": "Expected calibration error (15 equal-mass bins)",
        "calibration/ece_classwise": "Class-wise calibration error",
        "calibration/ece_debiased": "Debiased calibration error",
        "calibration/ece_perfect": "ECE of a perfectly calibrated model",
        "calibration/ece_smooth": "Smooth calibration error (no bins)",
        "calibration/ece_smooth_perfect": "Smooth calibration error of a perfectly calibrated model",
        "calibration/mce": "Maximum calibration error",
    }

    @property
    def n_outputs(self) -> int:
        return len(self.class_names)

    @property
    def headline(self) -> Headline:
        return Headline("error/rate", "error", "Error", "%", "lower", "test error (%)", "error", "error/rate in %")

    @property
    def shown(self) -> tuple[str, ...]:
        return (self.headline.metric, "nll/mean", "calibration/brier", "calibration/ece")

    def has_targets(self, images: Targets) -> bool:
        return tuple(images.class_names) == self.class_names

    def targets(self, images: Targets) -> np.ndarray:
        return np.asarray(images.label_N)

    def no_targets(self, n: int, size: int) -> np.ndarray:
        return np.full(n, -1, np.int64)

    def known(self, target_N: np.ndarray) -> np.ndarray:
        return np.asarray(target_N) >= 0

    def check(self, target_N: np.ndarray) -> None:
        target_N = np.asarray(target_N)
        if target_N.ndim != 1 or not np.issubdtype(target_N.dtype, np.integer):
            raise InputError(
                "labels", expected="one integer class per image", got=f"{target_N.dtype} {target_N.shape}",
                mend="numbers that are measured are the task regression",
            )  # fmt: skip
        found = sorted(set(target_N.tolist()))
        if not found or found[0] < 0 or found[-1] >= self.n_outputs:
            mend = "leave unlabelled sources (-1) out, or raise n_classes"
            raise InputError("labels", expected=f"classes 0 to {self.n_outputs - 1}", got=f"classes {found}", mend=mend)
        if len(found) < 2:
            raise InputError(
                "labels", expected="at least two classes", got=f"class {found[0]} alone", mend="label more"
            )

    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        return {"target": np.asarray(target_N), "probability": np.asarray(answer_N)}

    def score(self, kept: Kept) -> list[Row]:
        known_N = self.known(kept["target"])
        return compute_metrics(kept["probability"][known_N], kept["target"][known_N]) if known_N.any() else []

    def loss_per_source(self, kept: Kept) -> np.ndarray:
        """Return 100 where the most probable class is wrong, 0 where it is right: the unit of the headline."""
        wrong_N = 100.0 * (kept["probability"].argmax(1) != kept["target"])
        return np.where(self.known(kept["target"]), wrong_N, np.nan)

    def strata(self, images: Targets) -> np.ndarray:
        return np.asarray(images.label_N)


CLASSES = Classification(())  # the words alone, where no class is named


@TASKS.register("classification")
def classification(images: Named | Targets) -> Classification:
    """One class per source: the labels of the training set."""
    return Classification(tuple(images.class_names))
