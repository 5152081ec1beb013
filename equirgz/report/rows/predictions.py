"""Stored predictions as arrays, cell by cell. Legend: R runs (seeds), S sources, K classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from equirgz.metrics.check import check_probability
from equirgz.report.rows.axes import PAIR
from equirgz.report.rows.load import Results
from equirgz.report.rows.summary import ALL_LABELS, Part


@dataclass(frozen=True)
class Cell:
    """Predictions of the runs of one cell on the labelled sources of a split, sources in one order."""

    pairs: tuple[tuple[float, float], ...]  # (seed, split_seed) of each run
    probability_RSK: np.ndarray
    target_S: np.ndarray

    @property
    def wrong_RS(self) -> np.ndarray:
        """1.0 where a run's most probable class is not the target."""
        return (self.probability_RSK.argmax(axis=2) != self.target_S).astype(np.float64)


Place = tuple[tuple, float, str]  # naming values, n_labels (ALL_LABELS for all), augmentation


def pool_predictions(results: Results, part: Part) -> dict[Place, Cell]:
    """Return the predictions of every cell of ``part``; {} where none are kept.

    Runs whose sources differ from those of the first run of their cell are left out: they cannot be paired.
    """
    found = results.predictions
    if found is None:
        return {}
    found = found[(found["split"] == part.split) & (found["readout"] == part.readout) & (found["target"] >= 0)]
    columns = [*part.axes.names, "n_labels", "augmentation", *PAIR]
    runs = part.rows.drop_duplicates("run_key").set_index("run_key")[columns]
    cells: dict[Place, list] = {}
    for run_key, block in found.groupby("run_key", sort=True):
        if run_key not in runs.index:
            continue
        run = runs.loc[run_key]
        n_labels = ALL_LABELS if pd.isna(run["n_labels"]) else float(run["n_labels"])
        place = (tuple(run[c] for c in part.axes.names), n_labels, run["augmentation"])
        classes = [c for c in block.columns if c[0] == "p" and c[1:].isdigit() and block[c].notna().all()]
        cells.setdefault(place, []).append(
            (
                tuple(run[c] for c in PAIR),
                block["source_id"].tolist(),
                check_probability(block[classes].to_numpy(np.float64)),
                block["target"].to_numpy(np.int64),
            )
        )
    return {place: _stack(blocks) for place, blocks in cells.items()}


def _stack(blocks: list[tuple]) -> Cell:
    blocks = sorted(blocks, key=lambda block: block[0])
    alike = [block for block in blocks if block[1] == blocks[0][1] and block[2].shape == blocks[0][2].shape]
    return Cell(tuple(block[0] for block in alike), np.stack([block[2] for block in alike]), alike[0][3])
