"""The grids that come with the package, by name: ``equirgz bench run smoke``.

Their one source is ``benchmarks/*.yaml``, and that of encoders ``benchmarks/encoders/*.yaml``. A build lays copies into
``equirgz/grids``; from a checkout, where that folder is not there, they are read where they lie.
"""

from __future__ import annotations

from pathlib import Path

import equirgz
from equirgz.config import load_yaml
from equirgz.errors import check_choice
from equirgz.paths import as_path

PACKAGE = Path(equirgz.__file__).resolve().parent
PLACES = (PACKAGE / "grids", PACKAGE.parent / "benchmarks")


def grids_folder() -> Path | None:
    """Return the folder of the packaged grids, None where an install lacks it."""
    return next((place for place in PLACES if (place / "smoke.yaml").is_file()), None)


def list_grids() -> dict[str, Path]:
    """Return the file of every packaged grid by its name, sorted."""
    folder = grids_folder()
    return {} if folder is None else {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """Return the YAML of a training of encoders, such as ``radio``; InputError where an install lacks it."""
    folder = grids_folder()
    files = {} if folder is None else {file.stem: file for file in (folder / "encoders").glob("*.yaml")}
    return files[check_choice("recipe of encoders", name, sorted(files))]


def find_grid(grid: Path | str) -> Path:
    """Return the YAML that ``grid`` means: a file as it stands, else the packaged grid of that name.

    A bare word that is neither is an InputError with the nearest name; any other path is returned as it is.

    >>> find_grid("smoke").name
    'smoke.yaml'
    """
    path = as_path(grid)
    if path.is_file() or path.suffix or path.name != str(path):
        return path
    grids = list_grids()
    return grids[check_choice("grid", path.name, grids)]


def describe_grids() -> list[str]:
    """Return a line for each packaged grid: name, question and cost."""
    lines = []
    for name, file in list_grids().items():
        document = load_yaml(file)
        question = " ".join(str(document.get("question", "")).split())
        lines.append(f"{name:26s} {question}" + (f" ({document['cost']})" if document.get("cost") else ""))
    return lines
