"""Axes of a grid: short names for dotted configuration keys, and the points they span.

An axis is a name and a list of entries. The name is an alias (:data:`ALIASES`), a dotted key of
:class:`~equirgz.config.RunConfig`, or a new word where every entry is a mapping of dotted keys
that are set together, with a ``label``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from equirgz.config import RunConfig, item_type, section_type
from equirgz.errors import InputError, suggest
from equirgz.records import ROW_COLUMNS

ALIASES: dict[str, tuple[str, ...]] = {
    "data": ("data.name",),
    "image_size": ("data.image_size",),
    "stretch": ("data.stretch",),
    "mask": ("data.mask",),
    "unlabelled": ("data.unlabelled",),
    "n_labels": ("split.n_labels",),
    "n_val": ("split.n_val",),
    "split_seed": ("split.split_seed",),
    "fold": ("split.fold",),
    "backbone": ("backbone.name",),
    "group": ("backbone.group",),
    "width": ("backbone.width",),
    "match": ("backbone.match",),
    "engine": ("backbone.engine",),
    "objective": ("objective.name",),
    "task": ("task.name",),
    "augmentation": ("train.augmentation",),
    "steps": ("train.steps",),
    "batch_size": ("train.batch_size",),
    "lr": ("train.optimizer.lr",),
    "replicate": ("seed", "split.split_seed"),
}
_ALIAS_OF = {keys[0]: alias for alias, keys in ALIASES.items() if len(keys) == 1}


#: columns of rows that say what was measured; an axis of this name would take their place
MEASURED = frozenset(ROW_COLUMNS) - ALIASES.keys() - {"seed"}


@dataclass(frozen=True)
class Entry:
    """One value on an axis: what it is called and which dotted keys it sets."""

    label: Any
    settings: dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """A named list of entries; ``column`` is where its labels stand in the rows."""

    name: str
    column: str
    entries: tuple[Entry, ...]

    @property
    def labels(self) -> list[Any]:
        return [entry.label for entry in self.entries]


def resolve_key(name: str, source: str) -> tuple[str, ...]:
    """Return the dotted keys behind an alias or a dotted key; raise InputError with the nearest valid one."""
    if name in ALIASES:
        return ALIASES[name]
    model: type[BaseModel] | None = RunConfig
    listed: type[BaseModel] | None = None
    parts = name.split(".")
    for depth, part in enumerate(parts):
        if part.isdigit() and listed is not None:  # a place in a list of sections, such as pretrain.0
            model, listed = listed, None
            continue
        if model is None:  # inside a free mapping such as backbone.params
            if _is_free(parts[:depth]):
                return (name,)
            raise InputError(f"{source}: {'.'.join(parts[:depth])!r} has no parts, got {name!r}")
        if part not in model.model_fields:
            valid = [*model.model_fields, *(ALIASES if depth == 0 else ())]
            raise InputError(f"{source}: unknown key {name!r}; {suggest(part, valid)}")
        model, listed = section_type(model, part), item_type(model, part)
    return (name,)


def _is_free(parts: list[str]) -> bool:
    return any(part.endswith("params") for part in parts)


def parse_axis(name: str, values: Any, source: str) -> Axis:
    """Return the axis ``name`` of a YAML; a scalar stands for a list of one."""
    values = values if isinstance(values, list) else [values]
    where = f"{source}: axis {name!r}"
    if not values:
        raise InputError(f"{where}: expected a list of at least one value, got an empty one")
    mappings = [isinstance(value, dict) for value in values]
    if any(mappings):
        if not all(mappings):
            raise InputError(f"{where}: expected either plain values or mappings, got both")
        if name in MEASURED:
            raise InputError(f"{where}: a column of the results has this name; choose another")
        entries = tuple(_parse_mapping(name, value, where) for value in values)
    else:
        keys = resolve_key(name, f"{where}")
        entries = tuple(Entry(value, dict.fromkeys(keys, value)) for value in values)
    labels = [str(entry.label) for entry in entries]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise InputError(f"{where}: expected different values, got {twice[0]!r} twice")
    return Axis(name, _column(name), entries)


def _parse_mapping(name: str, value: dict[str, Any], where: str) -> Entry:
    settings = {key: item for key, item in value.items() if key != "label"}
    if "label" not in value or isinstance(value["label"], (dict, list)):
        raise InputError(f"{where}: expected a `label` beside the keys that are set together, got {sorted(value)}")
    resolved = {key: item for name_, item in settings.items() for key in resolve_key(name_, where)}
    if not resolved:
        raise InputError(f"{where}: entry {value['label']!r} sets no key")
    return Entry(value["label"], resolved)


def name_columns(axes: Sequence[Axis], source: str) -> tuple[Axis, ...]:
    """Return the axes with one column each; those that would share one get their whole keys for names.

    Raises InputError where that does not tell them apart.
    """
    columns = [axis.column for axis in axes]
    axes = tuple(
        replace(axis, column=axis.name.replace(".", "_")) if columns.count(axis.column) > 1 else axis for axis in axes
    )
    for axis in axes:
        twins = [other.name for other in axes if other.column == axis.column]
        if len(twins) > 1:
            raise InputError(f"{source}: axes {' and '.join(twins)} set the same column; expected one of them")
    return axes


def _column(name: str) -> str:
    """Return the row column of an axis: the alias where there is one, else the key's last part."""
    if name in ALIASES or name in ROW_COLUMNS:
        return name
    if name in _ALIAS_OF:
        return _ALIAS_OF[name]
    last = name.rsplit(".", 1)[-1]
    return name.replace(".", "_") if last in (*ROW_COLUMNS, *ALIASES, "name", "params") else last
