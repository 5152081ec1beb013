"""``equirgz data``: which datasets there are, and whether their archives are whole."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from equirgz.cli.options import DataDir, Overrides

data = typer.Typer(help="Datasets: list them, fetch their archives, check them.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A registered dataset, e.g. mirabest_confident.")]


@data.command("list")
def list_() -> None:
    """List the registered datasets, each with its first line of documentation."""
    from equirgz.data import DATASETS

    for name in DATASETS:
        text = inspect.getdoc(DATASETS.get(name)) or ""
        typer.echo(f"{name:22s} {text.splitlines()[0] if text else ''}")


@data.command()
def check(name: Name, data_dir: DataDir = None, overrides: Overrides = None) -> None:
    """Read a dataset from the data root (archives are verified) and show its parts.

    --set takes the keys of a grid's `data` section, e.g. --set params.version=v1.
    """
    from equirgz.data import load_data
    from equirgz.grid.plan import make_grid

    settings = [f"data.{override}" for override in overrides or ()]
    planned = make_grid({"name": "check", "base": {"data": {"name": name}}}, settings)
    loaded = load_data(planned.runs[0].data, data_dir)
    parts = {"train": loaded.train, **loaded.tests}
    if loaded.unlabelled is not None:
        parts["unlabelled"] = loaded.unlabelled
    for part, images in parts.items():
        counts = ", ".join(f"{count} {label}" for label, count in images.class_counts().items())
        typer.echo(f"{part:16s} {len(images):6d} images  {counts}  checksum {images.checksum}")
