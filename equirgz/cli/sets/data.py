"""``equirgz data``: which datasets there are, whether their archives are whole, and what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equirgz.cli.careful import Commands
from equirgz.cli.options import DataDir, path_option
from equirgz.cli.sets.cards import card
from equirgz.cli.sets.check import check
from equirgz.cli.sets.cutouts import cutouts

data = Commands(help="Datasets: list them, fetch their archives, check and describe them.", no_args_is_help=True)
data.command()(card)
data.command()(check)
data.command()(cutouts)


@data.command("list")
def list_(data_dir: DataDir = None) -> None:
    """List the published sets, whether their archives lie in the data root, and the registered datasets."""
    from equirgz.data.check.data_root import list_data

    for line in list_data(data_dir):
        typer.echo(line)


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A published set of `equirgz data list`.")],
    data_dir: DataDir = None,
    file: Annotated[Path | None, path_option("--file", help="An archive downloaded by hand, to be put there.")] = None,
) -> None:
    """Download a published archive into the data root, or take it from --file; verified either way."""
    from equirgz.data.download import copy_set, fetch_set

    typer.echo(str(copy_set(name, file, data_dir) if file else fetch_set(name, data_dir)))
