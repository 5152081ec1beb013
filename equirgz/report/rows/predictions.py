"""Stored predictions as arrays, cell by cell. Legend: R runs (seeds), S sources, K classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from equirgz.metrics.check import check_probability
from equirgz.report.rows.parts import Part
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import PAIR, Place


@dataclass(frozen=True)
class CellPredictions:
    """Predictions of the runs of one cell on the labelled sources of a split, sources in one order."""

    pairs: tuple[tuple[float, float], ...]  # (seed, split_seed) of each run
    probability_RSK: np.ndarray
    target_S: np.ndarray

    @property
    def wrong_RS(self) -> np.ndarray:
        """1.0 where a run's most probable class is not the target."""
        return (self.probability_RSK.argmax(axis=2) != self.target_S).astype(np.float64)


@dataclass(frozen=True)
class RunPredictions:
    """Predictions of one run on the labelled sources of a split."""

    source_ids: list[str]
    probability_SK: np.ndarray
    target_S: np.ndarray


def find_predictions(results: Results, part: Part) -> dict[Place, CellPredictions]:
    """Return the predictions of every cell of ``part``; {} where none are kept.

    Runs whose sources differ from those of the first run of their cell are left out: they cannot be paired.
    """
    columns = [*part.axes.names, "n_labels", "augmentation", *PAIR]
    runs = part.rows.drop_duplicates("run_key").set_index("run_key")[columns].to_dict("index")
    cells: dict[Place, list[tuple[tuple, RunPredictions]]] = {}
    for run_key, predictions in results.recall(_read_runs, part.split, part.readout).items():
        if run_key in runs:
            run = runs[run_key]
            cells.setdefault(part.axes.place(run), []).append((tuple(run[c] for c in PAIR), predictions))
    return {place: _stack(blocks) for place, blocks in cells.items()}


def _read_runs(results: Results, split: str, readout: str) -> dict[str, RunPredictions]:
    """Return the predictions of each run of a split and read-out by run_key, sorted by it."""
    if results.predictions is None:
        return {}
    index = results.recall(_index_predictions).get((split, readout), [])
    found = results.predictions.iloc[index]
    return {
        str(run_key): RunPredictions(
            block["source_id"].tolist(),
            check_probability(block[_class_columns(block)].to_numpy(np.float64)),
            block["target"].to_numpy(np.int64),
        )
        for run_key, block in found.groupby("run_key", sort=True)
    }


def _index_predictions(results: Results) -> dict[tuple[str, str], np.ndarray]:
    """Return where the lines of labelled sources are, by (split, readout)."""
    found = results.predictions
    labelled = np.flatnonzero(found["target"].to_numpy() >= 0)
    return {
        place: labelled[index] for place, index in found.iloc[labelled].groupby(["split", "readout"]).indices.items()
    }


def _class_columns(block: pd.DataFrame) -> list[str]:
    return [c for c in block.columns if c[0] == "p" and c[1:].isdigit() and block[c].notna().all()]


def _stack(blocks: list[tuple[tuple, RunPredictions]]) -> CellPredictions:
    blocks = sorted(blocks, key=lambda block: block[0])
    first = blocks[0][1]
    alike = [
        (pair, run)
        for pair, run in blocks
        if run.source_ids == first.source_ids and run.probability_SK.shape == first.probability_SK.shape
    ]
    pairs, runs = zip(*alike, strict=True)
    return CellPredictions(pairs, np.stack([run.probability_SK for run in runs]), first.target_S)
