"""``equirgz data card``: a dataset card and a contact sheet per set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equirgz.cli.options import DataDir, Overrides, path_option

if TYPE_CHECKING:
    from equirgz.data import Data
    from equirgz.data.facts import SetInfo

MIRABEST_VERSIONS = {"mirabest_f": "F", "mirabest_v1": "v1"}


def card(
    output: Annotated[Path, path_option("-o", "--output", help="Folder for the cards and their contact sheets.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Published sets or datasets of `equirgz data list`; none: every set in the data root."),
    ] = None,
    data_dir: DataDir = None,
    overrides: Overrides = None,
) -> None:
    """Write NAME.md and NAME.png per set: counts, classes, sizes, fluxes, known faults, licence, citation.

    --set params.KEY=VALUE gives an option of the dataset, where one is named. Exit 1 where a set in the
    data root is damaged; the cards of the others are written.
    """
    from equirgz.data.check.cards import write_card
    from equirgz.errors import EquirgzError

    failed = False
    for name, dataset, params in _choose(names or [], data_dir, overrides or []):
        try:
            data, info = _load(name, dataset, params, data_dir)
            path, _ = write_card(data, output, info=info, name=name)
        except EquirgzError as error:
            if names:
                raise
            failed = True
            typer.echo(f"{name}: {error}", err=True)
            continue
        parts = {"train": data.train, **data.tests, "unlabelled": data.unlabelled}
        counts = ", ".join(f"{part} {len(images)}" for part, images in parts.items() if images is not None)
        typer.echo(f"{name}: {counts} -> {path}")
    if failed:
        raise typer.Exit(1)


def _choose(
    names: list[str], data_dir: Path | None, overrides: list[str]
) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Return (name, dataset or None for a published set, options) per card; every name is checked first."""
    from equirgz.config import parse_setting
    from equirgz.data import DATASETS, data_root
    from equirgz.data.facts import SETS
    from equirgz.errors import InputError, check_choice

    if not names:
        root = data_root(data_dir)
        found = {}
        for info in SETS.values():  # archives that make up one dataset together have one card
            if info.filename and (root / info.filename).is_file():
                version = MIRABEST_VERSIONS.get(info.name, info.name if info.name.startswith("rgz_") else "")
                found.setdefault((info.datasets[0], version), info.name)
        if not found:
            raise InputError(f"data card: expected archives in {root}, got none; name a dataset, or give --data-dir")
        names = list(found.values())
    known = {*SETS, *DATASETS.names()}
    for name in names:
        check_choice("dataset", name, known)
    params = {}
    for key, value in map(parse_setting, overrides):
        section, _, option = key.partition(".")
        if section != "params" or not option or len(names) != 1 or names[0] not in DATASETS.names():
            raise InputError(f"--set: expected params.KEY=VALUE and one registered dataset, got {key!r} for {names}")
        params[option] = value
    archives = [name in SETS and bool(SETS[name].filename) and not params for name in names]
    return [(name, None if archive else name, params) for name, archive in zip(names, archives, strict=True)]


def _load(name: str, dataset: str | None, params: dict[str, Any], data_dir: Path | None) -> tuple[Data, SetInfo | None]:
    """Return the images as published and what is known of the archive that they come from, which is verified."""
    from equirgz.data import DATASETS, Data, data_root
    from equirgz.data.download import find_archive
    from equirgz.data.facts import SETS
    from equirgz.data.sets.mirabest import load_mirabest
    from equirgz.data.sets.mirabest_raw import load_mirabest_raw

    root = data_root(data_dir)
    if dataset is not None:
        data = DATASETS.create(dataset, root, **params)
        version = str(params.get("version", "")).lower()
        infos = [info for info in SETS.values() if dataset in info.datasets and info.name.endswith(version)]
        info = next((info for info in infos if (root / info.filename).is_file()), None)
        return data, info
    info = SETS[name]
    find_archive(name, data_dir)
    if name in MIRABEST_VERSIONS:  # all sources with their ten labels, not one selection
        train, test = load_mirabest(root, version=MIRABEST_VERSIONS[name])
        return Data(train, {"test": test}), info
    if name == "mirabest_raw":
        return Data(load_mirabest_raw(root), {}), info
    params = {"version": name.removeprefix("rgz_")} if name.startswith("rgz_") else {}
    return DATASETS.create(info.datasets[0], root, **params), info
