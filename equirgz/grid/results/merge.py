"""Joining the results folders of one grid whose runs were computed on several machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equirgz.errors import ResultsError
from equirgz.grid.results.folder import ResultsFolder
from equirgz.paths import as_path
from equirgz.records import canonical_json, write_bytes_atomic, write_json_atomic

SEVERAL_MACHINES = ("axes", "runs", "configs", "provenance", "failed")  # parts of a plan that may differ


@dataclass
class Merged:
    """What a merge found: finished and failed runs by folder, runs that no folder has, and notes on damaged files."""

    done: dict[Path, int] = field(default_factory=dict)
    failed: int = 0
    missing: int = 0
    notes: list[str] = field(default_factory=list)


def merge_results(folders: Sequence[Path], out: Path) -> Merged:
    """Write into ``out`` a results folder with the runs of all ``folders``, which stay as they are.

    The folders are of one grid, each with all of its runs planned, or with some values of its axes
    (``bench run --set seed=[0,1]`` here, ``--set seed=[2,3]`` there): the plan of ``out`` has the values of all. A
    run that failed in one folder counts where no other has finished it. `equirgz bench run` goes on in ``out``.

    Raises: ResultsError for a folder without plan or cells/, another grid, another code version, other data under
    the same settings, one run with two results, or an ``out`` that holds something; nothing is written then.
    """
    sources, target = [ResultsFolder(as_path(path)) for path in folders], ResultsFolder(as_path(out))
    if target.path.exists() and (not target.path.is_dir() or any(target.path.iterdir())):
        raise ResultsError(
            str(out), expected="a new or empty folder", got="one with files", mend="choose another --out"
        )
    plans = [_read_plan(source) for source in sources]
    for source, plan in zip(sources[1:], plans[1:], strict=True):
        _check_same_grid(sources[0], plans[0], source, plan)
    plan = _join_plans(plans)
    merged, origin, failed = Merged(), {}, {}
    cells: dict[str, dict[str, Any]] = {}
    for source, own in zip(sources, plans, strict=True):
        state = source.scan([run["run_key"] for run in own["runs"]])
        merged.notes += state.notes
        merged.done[source.path] = len(state.done)
        for run_key in state.done:
            cell = source.read_cell(run_key)
            if run_key in cells:
                _check_same_numbers(run_key, origin[run_key], cells[run_key], source, cell)
            else:
                cells[run_key], origin[run_key] = cell, source
        failed |= {run_key: source for run_key in state.failed}
    _check_same_data(cells, origin)
    failed = {run_key: source for run_key, source in failed.items() if run_key not in cells}
    merged.failed = len(failed)
    merged.missing = len(plan["runs"]) - len(cells) - len(failed)
    write_json_atomic(target.grid, plan)
    for run_key, source in origin.items():
        _copy(source.cell(run_key), target.cell(run_key))
    for run_key, source in failed.items():
        _copy(source.failed(run_key), target.failed(run_key))
    for source in sources:
        weights = sorted(source.pretrained.glob("*.safetensors"))  # each with its log, which is written last
        files = [*weights, *(path.with_suffix(".json") for path in weights), source.path / "samples.npz"]
        for file in files:
            copy = target.path / file.relative_to(source.path)
            if file.exists() and not copy.exists():
                _copy(file, copy)
    return merged


def _read_plan(source: ResultsFolder) -> dict[str, Any]:
    plan = source.read_plan()
    expected = "a results folder with grid.json and cells/, as `equirgz bench run` leaves it"
    if plan is None or not (source.path / "cells").is_dir():
        got = "no grid.json" if plan is None else "no cells/"
        raise ResultsError(str(source.path), expected=expected, got=got)
    return plan


def _check_same_grid(first: ResultsFolder, plan: dict[str, Any], other: ResultsFolder, found: dict[str, Any]) -> None:
    """Raise ResultsError unless two plans are of one grid and one version, and differ in values of axes alone."""
    where = f"{other.path} beside {first.path}"
    if found["version"] != plan["version"]:
        mend = "numbers of two versions are not mixed: run all of them with one"
        raise ResultsError(where, expected=f"equirgz {plan['version']}", got=found["version"], mend=mend)
    first_facts, other_facts = _fixed_facts(plan), _fixed_facts(found)
    different = sorted(k for k in first_facts | other_facts if first_facts.get(k) != other_facts.get(k))
    if different:
        name = "name" if "name" in different else different[0]
        got = f"another {name!r}" + (f", {found['name']!r}" if name == "name" else "")
        raise ResultsError(where, expected=f"grid {plan['name']!r}, with other values of its axes at most", got=got)


def _fixed_facts(plan: dict[str, Any]) -> dict[str, Any]:
    """Return what the plans of one grid share: all but the values of its axes and what follows from them."""
    facts = {
        key: value for key, value in (plan["document"] | plan).items() if key not in (*SEVERAL_MACHINES, "document")
    }
    return facts | {"axes": sorted(plan["document"].get("axes") or {}), "columns": sorted(plan["columns"])}


def _join_plans(plans: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the first plan with the axis values, runs and configurations of all, each once, in their order."""
    joined = {key: value for key, value in plans[0].items() if key != "failed"}
    runs = {run["run_key"]: run for plan in plans for run in plan["runs"]}
    axes = [plan["document"].get("axes") or {} for plan in plans]
    return joined | {
        "runs": list(runs.values()),
        "configs": {key: value for plan in plans for key, value in plan["configs"].items()},
        "axes": {column: _union(*(plan["axes"][column] for plan in plans)) for column in joined["axes"]},
        "document": {
            **joined["document"],
            "axes": {key: _union(*(_as_list(own[key]) for own in axes)) for key in axes[0]},
        },
    }


def _as_list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _union(*lists: list[Any]) -> list[Any]:
    """Return the distinct values of all lists in the order in which they come."""
    return list({canonical_json(value): value for values in lists for value in values}.values())


def _check_same_numbers(
    run_key: str, first: ResultsFolder, cell: dict[str, Any], other: ResultsFolder, found: dict[str, Any]
) -> None:
    """Raise ResultsError unless the rows and predictions that two folders have of one run are the same."""
    if any(cell[key] != found[key] for key in ("rows", "predictions")):
        mend = "processors differ in rounding: remove the run from one of the two"
        where = f"run {run_key} in {first.path} and {other.path}"
        raise ResultsError(where, expected="the same numbers", got="others", mend=mend)


def _check_same_data(cells: dict[str, dict[str, Any]], origin: dict[str, ResultsFolder]) -> None:
    """Raise ResultsError where runs with the same settings of the data read other data."""
    seen: dict[tuple[str, str], tuple[str, ResultsFolder]] = {}
    for run_key, cell in cells.items():
        settings = canonical_json(cell["config"]["data"])
        for row in cell["rows"]:
            checksum, first = seen.setdefault((settings, row["data"]), (row["data_checksum"], origin[run_key]))
            if checksum != row["data_checksum"]:
                where = f"data {row['data']} in {first.path} and {origin[run_key].path}"
                mend = "run `equirgz data check` on both machines"
                raise ResultsError(where, expected=f"checksum {checksum}", got=row["data_checksum"], mend=mend)


def _copy(file: Path, copy: Path) -> None:
    write_bytes_atomic(copy, file.read_bytes())
