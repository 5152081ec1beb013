"""From a YAML to the list of runs of a grid, validated as a whole before any work.

::

    name: group_order
    question: Does a larger symmetry group lower the error at few labels?
    base: {data: {name: synthetic_fr}, train: {steps: 300}}
    axes:
      group: [C1, C4, D4]                  # an alias of backbone.group
      train.optimizer.lr: [0.001, 0.003]   # a dotted key
      model:                               # several keys together
        - {label: small, backbone.name: lenet, backbone.width: 0.5}
    exclude: [{group: D4, model: small}]   # partial matches
    profiles: {smoke: {base: {...}, axes: {...}}}
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equirgz.config import RunConfig, load_yaml, parse_run, parse_setting, set_dotted
from equirgz.errors import InputError, check_choice, suggest
from equirgz.grid.plan.axes import Axis, name_columns, parse_axis, resolve_key
from equirgz.grid.plan.document import check_document
from equirgz.grid.plan.packaged import find_grid
from equirgz.grid.run.deep_ensemble import check_ensemble_labels


@dataclass(frozen=True)
class Point:
    """One run of a grid and the labels that its axes give it."""

    config: RunConfig
    labels: dict[str, Any]  # by row column

    @property
    def run_key(self) -> str:
        """Hash of the run's configuration."""
        return self.config.run_key()


@dataclass(frozen=True)
class Grid:
    """A named list of runs; ``document`` is the resolved YAML they come from, without the options of the engine."""

    name: str
    question: str
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    document: dict[str, Any] = field(repr=False)
    engine: dict[str, Any] = field(default_factory=dict, repr=False)  # options of the engine; no part of any run

    @property
    def runs(self) -> list[RunConfig]:
        """Configurations of all points, in their order."""
        return [point.config for point in self.points]

    @property
    def columns(self) -> list[str]:
        """Row columns of the axes, in the order of the YAML."""
        return [axis.column for axis in self.axes]

    @property
    def n_cells(self) -> int:
        """Number of runs that differ in more than the seeds."""
        return len({config.cell_key() for config in self.runs})


def load_grid(path: Path, overrides: Iterable[str] = (), profile: str | None = None) -> Grid:
    """Read the YAML at ``path``, lay ``profile`` and then ``key=value`` overrides over it, and plan its runs.

    ``path`` may be the name of a packaged grid (:func:`~equirgz.grid.plan.packaged.find_grid`).
    An override of a key that is an axis replaces the axis; any other goes to the base. Raises
    InputError for unknown keys, wrong types, runs that are planned twice, or an empty grid.
    """
    path = find_grid(path)
    source = path.name
    return make_grid(load_yaml(path), overrides, profile, source=source)


def make_grid(
    document: dict[str, Any], overrides: Iterable[str] = (), profile: str | None = None, source: str = "grid"
) -> Grid:
    """Plan the runs of a YAML ``document`` (see :func:`load_grid`)."""
    checked = check_document(document, source)
    named = _all_labels(document)
    document = _with_profile(copy.deepcopy(document), profile, source)
    for key, empty in (("base", {}), ("axes", {}), ("exclude", []), ("report", {})):
        document[key] = document.get(key) or empty
    engine = document.pop("engine", None) or {}
    name = document["name"]
    for override in overrides:
        _apply_override(document, override)
    axes = name_columns([parse_axis(str(key), values, source) for key, values in document["axes"].items()], source)
    check_ensemble_labels(document["report"], [axis.column for axis in axes], source)
    _check_report(document["report"], axes, source)
    points = tuple(_make_points(document, axes, named, source))
    tasks = {point.config.task.model_dump_json(): point.config.task.name for point in points}
    if len(tasks) > 1:
        got = f"{len(tasks)} ({', '.join(dict.fromkeys(tasks.values()))})"
        raise InputError(f"{source}: task", expected="one for all runs", got=got, mend="plan a grid for each")
    if document["report"].get("ensemble") and any(point.config.split.fold is not None for point in points):
        raise InputError(f"{source}: report.ensemble: expected a grid without folds; leave the axis fold or it out")
    return Grid(name, " ".join(checked.question.split()), axes, points, document, engine)


def _check_report(report: dict[str, Any], axes: list[Axis], source: str) -> None:
    """Refuse an unknown extra table, a scaling against no axis, and a reference that is no label of one."""
    if "extras" in report:
        from equirgz.report.tables.extras import check_extras

        check_extras(report, source)
    if "scaling" in report:
        from equirgz.report.tables.power_laws import check_scaling

        check_scaling(report, {axis.column: axis.labels for axis in axes}, source)
    if "reference" in report:
        from equirgz.report.rows.pairing import check_reference

        labels = {axis.column: [str(label) for label in axis.labels] for axis in axes}
        for column, value in check_reference(report, source).items():
            where = f"{source}: key 'report.reference'"
            check_choice(f"{where}: {column}", str(value), labels[check_choice(where, column, tuple(labels))])


def _with_profile(document: dict[str, Any], profile: str | None, source: str) -> dict[str, Any]:
    """Return the document with the named profile's base merged in and its axes replaced."""
    profiles = document.pop("profiles", None) or {}
    if profile is None:
        return document
    if profile not in profiles:
        raise InputError(f"{source}: unknown profile {profile!r}; {suggest(profile, profiles)}")
    overlay = profiles[profile] or {}
    document["base"] = _merge(document.get("base") or {}, overlay.get("base") or {})
    document["axes"] = {**(document.get("axes") or {}), **(overlay.get("axes") or {})}
    document["exclude"] = overlay.get("exclude", document.get("exclude") or [])
    document["cost"] = overlay.get("cost", document.get("cost"))
    document["name"] = f"{document.get('name')}_{profile}"
    return document


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merge(low[key], high[key])
        for key in low.keys() & high.keys()
        if isinstance(low[key], dict) and isinstance(high[key], dict)
    }
    return {**low, **high, **both}


def _apply_override(document: dict[str, Any], override: str) -> None:
    """Apply one ``key=value`` of the command line; the value is read as YAML."""
    key, value = parse_setting(override)
    wanted = (key,) if key in document["axes"] else resolve_key(key, "--set")
    for axis, entries in document["axes"].items():
        if axis == key or wanted == _targets(axis):
            document["axes"][axis] = _replace_entries(axis, entries, value)
            return
    if isinstance(value, list) and key not in ("evaluation.readouts",):
        document["axes"][key] = value
        return
    for axis, entries in document["axes"].items():
        if all(set(wanted) <= keys for keys in _entry_targets(axis, entries)):
            raise InputError(f"--set {key}: the axis {axis!r} sets it in every run; give --set {axis}=... instead")
    for target in wanted:
        set_dotted(document["base"], target, value)


def _replace_entries(axis: str, entries: Any, value: Any) -> Any:
    """Return the new entries of an axis; labels choose among entries that are mappings."""
    labelled = {entry["label"]: entry for entry in entries if isinstance(entry, dict) and "label" in entry}
    if not labelled:
        return value
    chosen = value if isinstance(value, list) else [value]
    for label in chosen:
        if label not in labelled:
            raise InputError(f"--set {axis}: unknown entry {label!r}; {suggest(str(label), map(str, labelled))}")
    return [labelled[label] for label in chosen]


def _entry_targets(axis: str, entries: Any) -> list[set[str]]:
    """Return the dotted keys that each entry of an axis sets; for a later check what cannot be resolved sets none."""
    entries = entries if isinstance(entries, list) else [entries]
    names = [entry.keys() - {"label"} if isinstance(entry, dict) else {axis} for entry in entries]
    return [{target for name in of_entry for target in _targets(str(name)) or ()} for of_entry in names]


def _all_labels(document: dict[str, Any]) -> dict[str, set[str]]:
    """Return every label that an axis has in the document or in one of its profiles, by axis name."""
    profiles = document.get("profiles") or {}
    found: dict[str, set[str]] = {}
    for part in (document, *(profiles.values() if isinstance(profiles, dict) else ())):
        axes = part.get("axes") if isinstance(part, dict) else None
        for axis, entries in (axes if isinstance(axes, dict) else {}).items():
            entries = entries if isinstance(entries, list) else [entries]
            labels = (entry.get("label") if isinstance(entry, dict) else entry for entry in entries)
            found.setdefault(str(axis), set()).update(map(str, labels))
    return found


def _targets(axis: str) -> tuple[str, ...] | None:
    try:
        return resolve_key(axis, "axis")
    except InputError:
        return None


def _make_points(
    document: dict[str, Any], axes: tuple[Axis, ...], named: dict[str, set[str]], source: str
) -> Iterable[Point]:
    excluded = [_parse_exclude(rule, axes, named, source) for rule in document["exclude"]]
    columns = [axis.column for axis in axes]
    seen: dict[str, dict[str, Any]] = {}
    for entries in itertools.product(*(axis.entries for axis in axes)):
        labels = {axis.column: entry.label for axis, entry in zip(axes, entries, strict=True)}
        if any(all(labels[key] in values for key, values in rule.items()) for rule in excluded):
            continue
        fields = copy.deepcopy(document["base"])
        for entry in entries:
            for key, value in entry.settings.items():
                set_dotted(fields, key, copy.deepcopy(value))
        point = Point(parse_run(fields, source), labels)
        if point.run_key in seen:
            raise InputError(
                f"{source}: {labels} and {seen[point.run_key]} are the same run; leave one out with `exclude`"
            )
        seen[point.run_key] = labels
        yield point
    if not seen:
        raise InputError(f"{source}: expected at least one run, got none; axes {columns} with `exclude` leave nothing")


def _parse_exclude(rule: Any, axes: tuple[Axis, ...], named: dict[str, set[str]], source: str) -> dict[str, list[Any]]:
    """Return column -> labels of one rule of ``exclude``; each must name an axis and a label of the YAML on it."""
    if not isinstance(rule, dict) or not rule:
        raise InputError(f"{source}: exclude: expected mappings of axis to value, got {rule!r}")
    by_name = {axis.name: axis for axis in axes}
    parsed = {}
    for name, values in rule.items():
        if name not in by_name:
            raise InputError(f"{source}: exclude: unknown axis {name!r}; {suggest(str(name), by_name)}")
        values = values if isinstance(values, list) else [values]
        known = named.get(name, set()) | set(map(str, by_name[name].labels))
        for value in values:
            if str(value) not in known:
                raise InputError(f"{source}: exclude: axis {name!r} has no {value!r}; {suggest(str(value), known)}")
        parsed[by_name[name].column] = values
    return parsed
