"""Cross-validation in the reports: the folds of one seed become one run over all pooled sources.

On disk every fold is a run of its own (columns ``fold`` and ``n_folds`` of rows.csv). Tables, figures and the
page show them joined: every source with the prediction of the network that did not see it, once per seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from equirgz.errors import ResultsError
from equirgz.records import content_hash
from equirgz.tasks import Task
from equirgz.tasks.classification import CLASSES
from equirgz.tasks.stored import read_kept

WHERE = ["readout", "split", "metric", "angle_deg"]


@dataclass(frozen=True)
class Folds:
    """``whole``: key of the joined run by the key of each fold; ``complete``: joined runs that lack no fold."""

    whole: dict[str, str]
    complete: frozenset[str]


def group_folds(rows: pd.DataFrame, plan: dict[str, Any]) -> Folds | None:
    """Return which runs are folds of one another; None where no row is of a fold.

    Raises: ResultsError where no seed has all its folds.
    """
    if "fold" not in rows or "n_folds" not in rows or not (rows["fold"] != "").any():
        return None
    known = rows[rows["fold"] != ""].drop_duplicates("run_key").set_index("run_key")
    groups: dict[tuple, list[str]] = defaultdict(list)
    if plan.get("runs"):
        configs = plan.get("configs", {})
        for run in plan["runs"]:
            split = configs.get(run.get("cell_key"), {}).get("split", {})
            labels = {key: value for key, value in (run.get("labels") or {}).items() if key != "fold"}
            if run["run_key"] in known.index or "n_folds" in split:
                groups[run.get("cell_key"), repr(sorted(labels.items()))].append(run["run_key"])
    else:
        for run_key, run in known.iterrows():
            groups[run["cell_key"], run["seed"], run["split_seed"]].append(run_key)
    whole, complete = {}, set()
    for members in groups.values():
        key = content_hash(sorted(members))
        whole |= dict.fromkeys(members, key)
        done = known.loc[[member for member in members if member in known.index]]
        if len(done) and sorted(done["fold"].astype(int)) == list(range(int(done["n_folds"].iloc[0]))):
            complete.add(key)
    if not complete:
        raise ResultsError(
            "cross-validation",
            expected="all folds of at least one seed",
            got=f"{len(known)} finished folds, none of them whole",
            mend="run the other folds (split.fold: 0 to n_folds - 1)",
        )
    return Folds(whole, frozenset(complete))


def show_folds(rows: pd.DataFrame) -> str:
    """Return the number of folds that ``rows`` come from as text, "" where they come from none."""
    return ", ".join(sorted(set(rows["n_folds"]) - {""})) if "n_folds" in rows else ""


def relabel(frame: pd.DataFrame, folds: Folds) -> pd.DataFrame:
    """Return ``frame`` with the run_key of the joined run on every fold, incomplete ones left out."""
    key = frame["run_key"].map(folds.whole)
    return frame.assign(run_key=key.fillna(frame["run_key"]))[key.isna() | key.isin(folds.complete)]


def pool_rows(rows: pd.DataFrame, predictions: pd.DataFrame | None, folds: Folds, task: Task = CLASSES) -> pd.DataFrame:
    """Return the rows with the folds of each seed joined.

    What is measured on predictions is computed anew over all sources; the rest (rotation, equivariance, cost) is
    the mean over the folds, weighted by their sources. Args: predictions: as `pool_predictions` returns them.
    Raises: ResultsError where a prediction is missing.
    """
    rows = relabel(rows, folds)
    joined = rows["run_key"].isin(folds.complete)
    counted = _count_anew(predictions, folds, task)
    lines = [_join(group, counted) for _, group in rows[joined].groupby(["run_key", *WHERE], dropna=False, sort=True)]
    pooled = pd.DataFrame(lines, columns=rows.columns).assign(fold="")
    return pd.concat([rows[~joined], pooled], ignore_index=True).astype(rows.dtypes)


def _count_anew(predictions: pd.DataFrame | None, folds: Folds, task: Task) -> dict[tuple, dict[str, Any]]:
    """Return (run_key, readout, split, metric) -> the metric over the joined predictions."""
    if predictions is None:
        raise ResultsError("cross-validation: expected predictions.csv.gz beside the rows, got none; collect again")
    found = predictions[predictions["run_key"].isin(folds.complete)]
    return {
        (*place, row["metric"]): row
        for place, block in found.groupby(["run_key", "readout", "split"], sort=True)
        for row in task.score(read_kept(task, block))
    }


def _join(group: pd.DataFrame, counted: dict[tuple, dict[str, Any]]) -> dict[str, Any]:
    """Return one row for the rows that the folds of a run have at one place."""
    line = group.iloc[0].to_dict()
    place = (line["run_key"], line["readout"], line["split"], line["metric"])
    if place in counted and pd.isna(line["angle_deg"]):
        value = counted[place]["value"]
        return {**line, "value": np.nan if value is None else value, "n": float(counted[place]["n"])}
    if line["readout"] == "":  # the network's size
        return {**line, "value": group["value"].mean(skipna=False)}
    mean = (group["value"] * group["n"]).sum(skipna=False) / group["n"].sum()
    return {**line, "value": mean, "n": group["n"].sum()}


def pool_predictions(predictions: pd.DataFrame, folds: Folds) -> pd.DataFrame:
    """Return the predictions with the folds of each seed joined, in the order of their source ids.

    Raises: ResultsError where a source is predicted by two folds of one seed.
    """
    place = ["run_key", "readout", "split", "source_id"]
    frame = relabel(predictions, folds).sort_values(place, kind="stable", ignore_index=True)
    twice = frame.duplicated(place)
    if twice.any():
        first = frame.loc[twice, "source_id"].iloc[0]
        raise ResultsError("cross-validation", expected="each source in one fold", got=f"{first} in two")
    return frame


def pool_timings(timings: pd.DataFrame, folds: Folds) -> pd.DataFrame:
    """Return the timings with those of the folds of a seed as their mean: what one training costs."""
    frame = relabel(timings, folds)
    others = {column: "first" for column in frame if column not in ("run_key", "metric", "value")}
    return frame.groupby(["run_key", "metric"], as_index=False, sort=True).agg({"value": "mean", **others})


def pool_plan(plan: dict[str, Any], failed: dict[str, str], folds: Folds) -> dict[str, Any]:
    """Return the plan with one run for the folds of each seed; failed, with its error, where one of them is."""
    runs = {run["run_key"]: run for run in _joined_runs(plan, folds)}
    marked = {folds.whole.get(run_key, run_key): error for run_key, error in sorted(failed.items())}
    marked = {run_key: error for run_key, error in marked.items() if run_key not in folds.complete}
    return {**plan, "runs": list(runs.values()), "failed": marked}


def _joined_runs(plan: dict[str, Any], folds: Folds) -> Iterator[dict[str, Any]]:
    for run in plan.get("runs", ()):
        labels = {key: value for key, value in (run.get("labels") or {}).items() if key != "fold"}
        joined = run["run_key"] in folds.whole
        yield {**run, "run_key": folds.whole[run["run_key"]], "labels": labels} if joined else run
