"""``equirgz models | train | embed | audit``: one network at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equirgz.cli.options import (
    DataDir,
    Device,
    Overrides,
    ReaderOptions,
    choose_device,
    path_argument,
    path_option,
)


def models(
    pattern: Annotated[str, typer.Argument(help="Shell-style pattern of names.")] = "*",
    image_size: Annotated[int, typer.Option("--image-size", help="Side of the input, pixels.")] = 65,
    group: Annotated[str | None, typer.Option("--group", help="Group of the steerable ones; default: D4.")] = None,
) -> None:
    """List the registered backbones with their parameters, multiply-adds and number of features.

    Plain ones have group C1 whatever GROUP is; what cannot be built has the reason in its row.
    """
    from equirgz.backbones import create_backbone, list_backbones, measure_cost
    from equirgz.backbones.create import takes_group
    from equirgz.errors import InputError, suggest
    from equirgz.geometry.group import get_group
    from equirgz.registry import default_group

    asked = None if group is None else get_group(group).name
    names = list_backbones(pattern)
    if not names:
        known = suggest(pattern, list_backbones())
        typer.echo(f"equirgz: models: expected the name of a backbone, got {pattern!r}; {known}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{'name':24s} {'group':>6s} {'features':>9s} {'parameters':>11s} {'multiply-adds':>14s}")
    for name in names:
        own = asked if asked and takes_group(name) else default_group(name)
        try:
            backbone = create_backbone(name, group=own, image_size=image_size)
        except InputError as error:
            typer.echo(f"{name:24s} {own:>6s} refused: {error}")
            continue
        cost = measure_cost(backbone)
        typer.echo(
            f"{name:24s} {own:>6s} {backbone.num_features:9d} {cost['parameters']:11d} {cost['multiply_adds']:14d}"
        )


def train(
    config: Annotated[Path, path_argument(help="YAML of one run (the fields of a grid's `base`).")],
    out: Annotated[
        Path | None, path_option("--out", help="Folder for rows, log and encoder; default: runs/NAME_OF_YAML-RUN_KEY.")
    ] = None,
    data_dir: DataDir = None,
    overrides: Overrides = None,
    device: Device = "auto",
    processes: Annotated[
        int,
        typer.Option("--processes", min=1, help="Processes that share every batch (DDP), on the CPU or one per GPU."),
    ] = 1,
    accumulate: Annotated[
        int, typer.Option("--accumulate", min=1, help="Cut every batch into so many parts, to save memory.")
    ] = 1,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", help="tensorboard or wandb (offline): where the training log goes beside CSV and JSONL."),
    ] = None,
) -> None:
    """Train and evaluate one run; write its JSON, its training log and its encoder."""
    from equirgz.config import load_yaml
    from equirgz.grid.plan.grid import make_grid
    from equirgz.grid.single import train_one

    planned = make_grid({"name": "train", "base": load_yaml(config)}, overrides or (), source=config.name)
    if out is None:
        out = Path("runs") / f"{config.stem}-{planned.runs[0].run_key()}"
    how = {"device": choose_device(device), "processes": processes, "accumulate": accumulate, "loggers": log or ()}
    lines = train_one(planned.runs[0], out, data_dir, **how)
    for line in lines:
        typer.echo(line)


def embed(
    encoder: Annotated[Path, path_argument(help="Folder or file of a saved encoder.")],
    images: Annotated[
        str,
        typer.Argument(metavar="INPUT", help="A folder of FITS or pictures, an .npz, .h5 or .parquet, or a dataset."),
    ],
    output: Annotated[Path, path_option("-o", "--output", help="CSV (or .npz) of source ids and features.")],
    data_dir: DataDir = None,
    options: ReaderOptions = None,
    device: Device = "auto",
) -> None:
    """Write the features that a saved encoder gives for every image; files it cannot read are named and listed."""
    from equirgz.backbones.storage import find_encoder
    from equirgz.config import parse_setting
    from equirgz.grid.single import embed_images

    report_untrained(encoder)
    n, features, bad = embed_images(
        find_encoder(encoder),
        images,
        output,
        data_dir,
        device=choose_device(device),
        options=dict(map(parse_setting, options or ())),
    )
    typer.echo(f"{n} sources x {features} features -> {output}")
    report_bad_files(bad, output.with_name(f"{output.stem}_bad.txt"))


def report_untrained(encoder: Path) -> None:
    """Say on stderr where an encoder was not trained."""
    from equirgz.grid.embedding import warn_untrained

    found = warn_untrained(encoder)
    if found:
        typer.echo(f"warning: {found}", err=True)


def report_bad_files(bad: dict[str, str], listed: Path | None = None, shown: int = 5) -> None:
    """Name the first unusable files on stderr, and say where all of them are listed."""
    for file, reason in list(bad.items())[:shown]:
        typer.echo(f"left out {file}: {reason}", err=True)
    if bad:
        typer.echo(f"{len(bad)} files left out{f', listed in {listed}' if listed else ''}", err=True)


def audit(
    name: Annotated[str, typer.Argument(help="A registered backbone.")],
    group: Annotated[
        str | None, typer.Option("--group", help="Group, e.g. D8; default: D4, or C1 of a plain backbone.")
    ] = None,
    image_size: Annotated[int, typer.Option("--image-size", help="Side of the input, pixels.")] = 65,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Option of the backbone, e.g. head=flatten; repeatable."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Every layer, angle and state.")] = False,
    figure: Annotated[Path | None, path_option("--figure", help="Also draw the errors, png, svg or pdf.")] = None,
    table: Annotated[
        Path | None,
        path_option("--table", help="Also write the table: csv (every error, full precision) or md (as shown)."),
    ] = None,
) -> None:
    """Measure how far a backbone is from the symmetry it claims; exit 1 where a claim fails."""
    from equirgz.cli.audit_table import TABLES, write_audit_table
    from equirgz.cli.figure_files import FIGURES, check_suffix, write_figure
    from equirgz.config import parse_setting
    from equirgz.evaluate.audit import audit as run_audit

    check_suffix("--figure", figure, FIGURES)
    check_suffix("--table", table, TABLES)
    report = run_audit(name, group, image_size, **{"progress": None} | dict(map(parse_setting, overrides or ())))
    for line in report.lines(full):
        typer.echo(line)
    if figure is not None:
        from equirgz.report.panels.audit_panel import plot_audit

        write_figure(plot_audit(report), figure)
        typer.echo(f"figure {figure}")
    if table is not None:
        write_audit_table(report, table, full)
        typer.echo(f"table {table}")
    if not report.passed:
        raise typer.Exit(1)
