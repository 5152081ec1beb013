"""Stored predictions as arrays, cell by cell. Legend: R runs (seeds), S sources, K classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from equirgz.metrics.check import check_probability
from equirgz.report.rows.parts import Part
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import PAIR, Place
from equirgz.tasks import Task
from equirgz.tasks.base import Kept
from equirgz.tasks.stored import is_kept_column, read_kept


@dataclass(frozen=True)
class RunPredictions:
    """What is kept of the answers of one run on the sources of a split that have a loss, of all that were ``asked``."""

    source_ids: list[str]
    kept: Kept
    asked: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in self.kept.items()}


@dataclass(frozen=True)
class CellPredictions:
    """Predictions of the runs of one cell, sources in one order.

    ``kept`` holds the arrays of the task: ``target`` (S, ...) as all runs have it, others (R, S, ...).
    """

    pairs: tuple[tuple[float, float], ...]  # (seed, split_seed) of each run
    source_ids: list[str]
    kept: Kept
    task: Task

    @property
    def probability_RSK(self) -> np.ndarray:
        return self.kept["probability"]

    @property
    def target_S(self) -> np.ndarray:
        return self.kept["target"]

    @cached_property
    def loss_RS(self) -> np.ndarray:
        """What each source adds to the headline of the task: of classes 100 where the answer is wrong, else 0."""
        return np.stack([self.task.loss_per_source(self.of_run(r)) for r in range(len(self.pairs))])

    def of_run(self, r: int) -> Kept:
        """Return what is kept of one run."""
        return {name: array if name == "target" else array[r] for name, array in self.kept.items()}


def find_predictions(results: Results, part: Part) -> dict[Place, CellPredictions]:
    """Return the predictions of every cell of ``part``; {} where none are kept.

    Runs that were asked of the same sources are cut to those that have a loss in all of them: a mask that is empty as
    the truth is, has none. Other runs whose sources differ from those of the first run of their cell are left out: they
    cannot be paired.
    """
    columns = [*part.axes.names, "n_labels", "augmentation", *PAIR]
    runs = part.rows.drop_duplicates("run_key").set_index("run_key")[columns].to_dict("index")
    cells: dict[Place, list[tuple[tuple, RunPredictions]]] = {}
    found = results.recall(_read_runs, part.split, part.readout)
    for run_key, predictions in _cut_alike({key: run for key, run in found.items() if key in runs}, results.task):
        if predictions.source_ids:
            run = runs[run_key]
            cells.setdefault(part.axes.place(run), []).append((tuple(run[c] for c in PAIR), predictions))
    return {place: _stack(blocks, results.task) for place, blocks in cells.items()}


def _cut_alike(runs: dict[str, RunPredictions], task: Task) -> Iterator[tuple[str, RunPredictions]]:
    """Yield the runs, those asked of the same sources with the sources that all of them have a loss of."""
    common: dict[tuple[str, ...], set[str]] = {}
    for run in runs.values():
        common[run.asked] = common.get(run.asked, set(run.source_ids)) & set(run.source_ids)
    for run_key, run in runs.items():
        if len(common[run.asked]) < len(run.source_ids):
            in_all_S = np.array([source in common[run.asked] for source in run.source_ids], bool)
            ids = [source for source in run.source_ids if source in common[run.asked]]
            run = RunPredictions(ids, task.select(run.kept, in_all_S), run.asked)
        yield run_key, run


def _read_runs(results: Results, split: str, readout: str) -> dict[str, RunPredictions]:
    """Return the predictions of each run of a split and read-out by run_key, sorted by it."""
    if results.predictions is None:
        return {}
    index = results.recall(_index_predictions).get((split, readout), [])
    frame = results.predictions.iloc[index]
    columns = {c: frame[c].to_numpy() for c in frame if c == "source_id" or is_kept_column(results.task, c)}
    runs = sorted(frame.groupby("run_key").indices.items())
    found = {str(run_key): _read_run(results.task, {c: a[i] for c, a in columns.items()}) for run_key, i in runs}
    return {run_key: run for run_key, run in found.items() if run.source_ids}


def _read_run(task: Task, block: dict[str, np.ndarray]) -> RunPredictions:
    kept = read_kept(task, block)
    known_S = task.known(kept["target"]) if "target" in kept else np.isfinite(task.loss_per_source(kept))
    kept = task.select(kept, known_S)
    if task.categorical and known_S.any():
        kept["probability"] = check_probability(kept["probability"])
    return RunPredictions(block["source_id"][known_S].tolist(), kept, tuple(block["source_id"].tolist()))


def _index_predictions(results: Results) -> dict[tuple[str, str], np.ndarray]:
    """Return where the lines are, by (split, readout)."""
    return results.predictions.groupby(["split", "readout"]).indices


def _stack(blocks: list[tuple[tuple, RunPredictions]], task: Task) -> CellPredictions:
    blocks = sorted(blocks, key=lambda block: block[0])
    first = blocks[0][1]
    alike = [(pair, r) for pair, r in blocks if r.source_ids == first.source_ids and r.shapes == first.shapes]
    pairs, runs = zip(*alike, strict=True)
    kept = {
        name: a if name == "target" else np.stack([run.kept[name] for run in runs]) for name, a in first.kept.items()
    }
    return CellPredictions(pairs, first.source_ids, kept, task)
