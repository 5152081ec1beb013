"""``equirgz data``: which datasets there are, whether their archives are whole, and what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equirgz.cli.cards import card
from equirgz.cli.cutouts import cutouts
from equirgz.cli.options import DataDir, Device, Overrides, choose_device

data = typer.Typer(
    help="Datasets: list them, fetch their archives, check and describe them.", no_args_is_help=True
)
data.command()(card)
data.command()(cutouts)


@data.command("list")
def list_(data_dir: DataDir = None) -> None:
    """List the published sets, whether their archives lie in the data root, and the registered datasets."""
    from equirgz.data.check import list_data

    for line in list_data(data_dir):
        typer.echo(line)


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A published set of `equirgz data list`.")],
    data_dir: DataDir = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="An archive downloaded by hand, to be put there.")
    ] = None,
) -> None:
    """Download a published archive into the data root, or take it from --file; verified either way."""
    from equirgz.data.fetch import copy_set, fetch_set

    typer.echo(str(copy_set(name, file, data_dir) if file else fetch_set(name, data_dir)))


@data.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="None: the whole data root; one dataset or published set; or two, for their overlaps."),
    ] = None,
    data_dir: DataDir = None,
    overrides: Overrides = None,
    encoder: Annotated[
        Path | None,
        typer.Option("--encoder", help="With two names: a saved encoder, to compare features too."),
    ] = None,
    cosine: Annotated[
        float, typer.Option("--cosine", help="With --encoder: features at least this alike are one source's.")
    ] = 0.999,
    device: Device = "auto",
) -> None:
    """Verify archives, counts, faults and leaks; exit 1 where an archive is damaged or a pool leaks.

    Without a name: every set in the data root. One name: the parts of that dataset (--set takes the
    keys of a grid's `data` section). Two names: the sources that both hold, by position, by image at any
    orientation, and with --encoder by features.
    """
    from equirgz.errors import InputError

    names = names or []
    if encoder is not None and len(names) != 2:
        raise InputError(f"data check --encoder: expected two datasets to compare, got {len(names)}")
    if len(names) > 2:
        raise InputError(f"data check: expected at most two datasets, got {len(names)}")
    if len(names) == 1:
        _check_one(names[0], data_dir, overrides)
        return
    from equirgz.data.check import check_data, check_pair

    if len(names) == 2:
        if encoder is None:
            overlaps = check_pair(*names, data_dir)
        else:
            overlaps = _check_embedded(*names, data_dir, encoder, cosine, choose_device(device))
        for overlap in overlaps:
            for line in overlap.lines():
                typer.echo(line)
        return
    report = check_data(data_dir)
    for line in report.lines():
        typer.echo(line)
    if not report.ok:
        raise typer.Exit(1)


def _check_embedded(
    name_a: str, name_b: str, data_dir: Path | None, encoder: Path, cosine: float, device: str
) -> list[Any]:
    """Return the overlaps of every part of A with every part of B, by the features of an encoder too."""
    from equirgz.backbones.storage import find_encoder
    from equirgz.data import DATASETS
    from equirgz.data.overlap.compare import check_overlap
    from equirgz.errors import InputError
    from equirgz.grid.embedding import embed_parts

    if not -1 <= cosine <= 1:
        raise InputError(f"--cosine: expected a number from -1 to 1, got {cosine:g}")
    sides = []
    for name in (name_a, name_b):
        published = DATASETS.create(name, data_dir)
        _, features, _ = embed_parts(find_encoder(encoder), name, data_dir, device=device)
        parts = {"train": published.train, **published.tests}
        sides.append([(part, features[key]) for key, part in parts.items() if len(part)])
    return [
        check_overlap(part_a, part_b, embedding_a=feature_a, embedding_b=feature_b, cosine=cosine)
        for part_a, feature_a in sides[0]
        for part_b, feature_b in sides[1]
    ]


def _check_one(name: str, data_dir: Path | None, overrides: list[str] | None) -> None:
    from equirgz.data import DATASETS, load_data
    from equirgz.data.check import load_published
    from equirgz.errors import InputError
    from equirgz.grid.plan import make_grid

    if name not in DATASETS.names():  # a published set, which has no options
        if overrides:
            raise InputError(f"--set: expected a registered dataset, got the set {name!r}; see `equirgz data list`")
        _show_parts(load_published(name, data_dir))
        return
    settings = [f"data.{override}" for override in overrides or ()]
    planned = make_grid({"name": "check", "base": {"data": {"name": name}}}, settings)
    loaded = load_data(planned.runs[0].data, data_dir)
    parts = {"train": loaded.train, **loaded.tests}
    if loaded.unlabelled is not None:
        parts["unlabelled"] = loaded.unlabelled
    _show_parts(parts)


def _show_parts(parts: dict[str, Any]) -> None:
    for part, images in parts.items():
        counts = ", ".join(f"{count} {label}" for label, count in images.class_counts().items())
        typer.echo(f"{part:16s} {len(images):6d} images  {counts}  checksum {images.checksum}")
