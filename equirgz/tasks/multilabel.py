"""Several tags per source, each there, absent or not asked. Legend: N sources, T tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equirgz.errors import DataError, InputError
from equirgz.metrics.multilabel import average_precision, f1_score
from equirgz.tasks.base import TASKS, Headline, Kept, Named, Row, Targets, Task, has_columns, make_row


@dataclass(frozen=True)
class MultiLabel(Task):
    """A probability per tag, scored by mean average precision, F1, Brier score and the share of wrong tags.

    A target is 1, 0 or NaN (not asked) per tag, columns of the set's table. An answer is p_NT in [0, 1].
    """

    tags: tuple[str, ...]
    name = "multilabel"
    read_as = "tags"
    titles = {
        "multilabel/map": "Mean average precision of tags",
        "multilabel/f1": "F1 score, mean over tags",
        "multilabel/wrong_tags": "Wrong tags",
        "multilabel/brier": "Brier score of tags",
    }
    kept = {"target": "t", "probability": "p"}
    averaged = "probability"

    @property
    def n_outputs(self) -> int:
        return len(self.tags)

    @property
    def headline(self) -> Headline:
        title = "Mean average precision of tags"
        return Headline(
            "multilabel/map", "map", title, "1", "higher", "test mean average precision", "share of wrong tags", "1"
        )

    @property
    def shown(self) -> tuple[str, ...]:
        return (self.headline.metric, "multilabel/wrong_tags", "multilabel/f1", "multilabel/brier")

    def has_targets(self, images: Targets) -> bool:
        return has_columns(images, self.tags)

    def no_targets(self, n: int, size: int) -> np.ndarray:
        return np.full((n, len(self.tags)), np.nan)

    def targets(self, images: Targets) -> np.ndarray:
        for tag in self.tags:
            if tag not in images.table.columns:
                got = ", ".join(map(str, images.table.columns)) or "none"
                raise DataError(f"{images.name}: task multilabel", expected=f"a column {tag!r} of 0 and 1", got=got)
        try:
            return images.table[list(self.tags)].to_numpy(np.float64, na_value=np.nan, copy=True)
        except (TypeError, ValueError) as error:
            raise DataError(f"{images.name}: tags", expected="0, 1 or missing", got=str(error)) from error

    def known(self, target_N: np.ndarray) -> np.ndarray:
        return np.isfinite(target_N).any(1)

    def check(self, target_N: np.ndarray) -> None:
        tag_NT = np.asarray(target_N)
        if tag_NT.ndim != 2 or tag_NT.shape[1] != len(self.tags):
            raise InputError("tags", expected=f"an array (N, {len(self.tags)})", got=f"{tag_NT.dtype} {tag_NT.shape}")
        tag_NT = tag_NT.astype(np.float64)
        wrong = tag_NT[np.isfinite(tag_NT) & (tag_NT != 0) & (tag_NT != 1)]
        if len(wrong) or np.isinf(tag_NT).any():
            raise InputError("tags", expected="0, 1 or NaN (not asked)", got=wrong[0] if len(wrong) else "infinity")
        for tag, tag_N in zip(self.tags, tag_NT.T, strict=True):
            found = set(tag_N[np.isfinite(tag_N)].tolist())
            if found != {0.0, 1.0}:
                got = f"{sorted(map(int, found))} alone" if found else "none asked"
                raise InputError(f"tag {tag!r}: sources to learn from", expected="some with and some without", got=got)

    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        return {"target": np.asarray(target_N, np.float64), "probability": np.asarray(answer_N)}

    def score(self, kept: Kept) -> list[Row]:
        p_NT, tag_NT = kept["probability"], kept["target"]
        known_N = self.known(tag_NT)
        if not known_N.any():
            return []
        asked_NT, n = np.isfinite(tag_NT), int(known_N.sum())
        precision_T = average_precision(p_NT, tag_NT)
        wrong_NT = (p_NT >= 0.5) != (tag_NT >= 0.5)
        mean = np.nanmean(precision_T) if np.isfinite(precision_T).any() else None
        rows = [
            make_row("multilabel/map", mean, "1", "higher", n),
            make_row("multilabel/f1", f1_score(p_NT, tag_NT), "1", "higher", n),
            make_row("multilabel/wrong_tags", 100 * wrong_NT[asked_NT].mean(), "%", "lower", n),
            make_row("multilabel/brier", np.square(p_NT - tag_NT)[asked_NT].mean(), "1", "lower", n),
        ]
        return rows + [
            make_row(f"multilabel/average_precision/{tag}", value, "1", "higher", n_asked)
            for tag, value, n_asked in zip(self.tags, precision_T, asked_NT.sum(0), strict=True)
        ]

    def loss_per_source(self, kept: Kept) -> np.ndarray:
        asked_NT = np.isfinite(kept["target"])
        wrong_NT = ((kept["probability"] >= 0.5) != (kept["target"] >= 0.5)) & asked_NT
        n_N = asked_NT.sum(1)
        return np.divide(wrong_NT.sum(1), n_N, out=np.full(len(n_N), np.nan), where=n_N > 0)


@TASKS.register("multilabel")
def multilabel(images: Named | Targets, *, tags: Sequence[str]) -> MultiLabel:
    """Several tags per source.

    Parameters
    ----------
    tags : columns of the set's table that hold 1, 0 or nothing (not asked).
    """
    names = tuple(dict.fromkeys(tags))
    if not names:
        raise InputError("task multilabel: tags", expected="at least one column", got="none")
    return MultiLabel(names)
