"""``equirgz bench``: run a grid, look at it, write its tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equirgz.cli.careful import Commands
from equirgz.cli.committed import readme, screenshot, slim
from equirgz.cli.options import (
    DataDir,
    Device,
    Overrides,
    check_device,
    choose_device,
    count_cores,
    path_argument,
    path_option,
)
from equirgz.errors import InputError

if TYPE_CHECKING:
    from equirgz.grid.engine.engine_config import EngineConfig

bench = Commands(help="Run grids of experiments; tables and figures of their results.", no_args_is_help=True)
Folder = Annotated[Path, path_argument(help="A results folder.")]


@bench.command()
def run(
    grid: Annotated[Path, path_argument(help="YAML of the grid, or a name of `bench grids`.")],
    out: Annotated[Path | None, path_option("--out", help="Results folder; default: runs/NAME.")] = None,
    data_dir: DataDir = None,
    jobs: Annotated[int | None, typer.Option("--jobs", help="Runs at a time; default: one per core.")] = None,
    overrides: Overrides = None,
    profile: Annotated[str | None, typer.Option("--profile", help="A profile of the YAML, e.g. smoke or cpu.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, show cells and cost, stop.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed runs again.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast/--keep-going", help="Stop at the first failure.")] = False,
    device: Device = "auto",
    engine: Annotated[
        str | None,
        typer.Option("--engine", help="local, slurm, inline (in this process), or a YAML of engine options."),
    ] = None,
    time_limit: Annotated[float | None, typer.Option("--time-limit", help="Seconds that one run may take.")] = None,
    memory_limit: Annotated[float | None, typer.Option("--memory-limit", help="GB that one run may take.")] = None,
    gpus: Annotated[int | None, typer.Option("--gpus", help="GPUs to share out (per node).")] = None,
    cells_per_gpu: Annotated[int | None, typer.Option("--cells-per-gpu", help="Runs that share a GPU.")] = None,
    nodes: Annotated[int | None, typer.Option("--nodes", help="SLURM jobs, of one node each.")] = None,
    partition: Annotated[str | None, typer.Option("--partition", help="SLURM partition.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="SLURM account.")] = None,
    walltime: Annotated[str | None, typer.Option("--walltime", help="Of one SLURM job, HH:MM:SS.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Of this host, as SLURM nodes reach it.")] = None,
) -> None:
    """Run what is missing of a grid, then write and show its tables and figures."""
    from equirgz.grid.engine.engine_config import make_engine_config
    from equirgz.grid.engine.progress_view import ProgressView
    from equirgz.grid.plan.grid import load_grid
    from equirgz.grid.plan.preflight import check_grid
    from equirgz.grid.runner import run_grid

    if jobs is not None and jobs < 1:
        raise InputError("--jobs", expected="1 or more", got=jobs, mend="leave it out for one per core")
    planned = load_grid(grid, overrides or (), profile)
    if dry_run:
        _show_plan(planned, data_dir, jobs or count_cores())
        return
    from_file = "jobs" in planned.engine or (engine or "").endswith((".yaml", ".yml"))
    options = make_engine_config(
        engine,
        planned.engine,
        jobs=jobs or (None if from_file else count_cores()),
        gpus=gpus,
        device=None if device == "auto" else device,
        cells_per_gpu=cells_per_gpu,
        time_limit_s=time_limit,
        memory_limit_gb=memory_limit,
        nodes=nodes,
        partition=partition,
        account=account,
        walltime=walltime,
        address=address,
    )
    options = options.model_copy(update={"device": _find_device(options)})
    out = Path("runs") / planned.name if out is None else out
    typer.echo(f"{planned.name}: {len(planned.points)} runs in {planned.n_cells} cells -> {out}")
    with ProgressView(out) as view:
        summary = run_grid(
            planned,
            out,
            data_dir,
            engine=options,
            retry_failed=retry_failed,
            fail_fast=fail_fast,
            check=lambda: check_grid(planned, data_dir, view.say),
            report=view,
        )
    for note in summary.notes:
        typer.echo(note, err=True)
    _finish(out, summary)


def _find_device(options: EngineConfig) -> str:
    """Return the device of an engine's runs: as given; else a GPU where this host, or a SLURM job, has one."""
    given = options.device if "device" in options.model_fields_set else "auto"
    if options.name != "slurm":
        return choose_device(given)
    return ("cuda" if options.gpus else "cpu") if given == "auto" else check_device(given)


def _finish(out: Path, summary) -> None:
    """Write and show what there is; exit with status 1 where runs are missing."""
    from equirgz.grid.results.publish import publish
    from equirgz.report import format_table

    if summary.complete and not summary.finished:
        typer.echo(f"nothing to do: all {summary.planned} runs are finished")
    if summary.found + summary.finished:
        published = publish(out)
        typer.echo(f"\n{format_table(out)}\n")
        typer.echo(f"rows    {out / 'rows.csv'}")
        typer.echo(f"tables  {len(published.tables)} files in {out / 'tables'}")
        for figure in (path for path in published.figures if path.suffix == ".png"):
            typer.echo(f"figure  {figure}")
        typer.echo(f"page    {published.page}")
    if not summary.complete:
        missing = summary.planned - summary.found - summary.finished - summary.failed
        typer.echo(
            f"{summary.failed} of {summary.planned} runs failed, {missing} are missing; "
            f"see `equirgz bench status {out}`, mend the cause and start again with --retry-failed",
            err=True,
        )
        raise typer.Exit(1)


def _show_plan(grid, data_dir: Path | None, jobs: int) -> None:
    """Print the cells of a grid and what they will cost."""
    from equirgz.grid.plan.estimate import estimate_seconds, format_duration
    from equirgz.grid.plan.preflight import check_grid

    checked = check_grid(grid, data_dir)
    for found in checked.notes:
        typer.echo(found)
    seeds = ("seed", "split_seed", "replicate", "fold")
    cells: dict[str, list] = {}
    for point in grid.points:
        cells.setdefault(point.config.cell_key(), []).append(point)
    for points in cells.values():
        labels = {key: value for key, value in points[0].labels.items() if key not in seeds}
        typer.echo(f"{' '.join(f'{k}={v}' for k, v in labels.items()) or 'one cell'}: {len(points)} runs")
    total, wall = estimate_seconds(grid, checked, jobs)
    typer.echo(
        f"{grid.name}: {len(grid.points)} runs in {len(cells)} cells; about {format_duration(total)} of training on "
        f"one core, {format_duration(wall)} with --jobs {jobs} (multiply-adds x 3 x batch x steps at this machine's "
        "measured speed; loading and evaluation come on top)"
    )


@bench.command()
def status(folder: Folder) -> None:
    """Show how many runs of a grid are finished, failed, running and missing; also while it runs elsewhere."""
    from equirgz.grid.results.status import describe_status

    for line in describe_status(folder):
        typer.echo(line)


@bench.command()
def merge(
    folders: Annotated[list[Path], path_argument(help="Results folders of one grid, run on several machines.")],
    out: Annotated[Path, path_option("--out", help="A new results folder, with the runs of all.")],
) -> None:
    """Join the runs of one grid that several machines computed; mixed code or data are refused."""
    from equirgz.grid.results.collect import collect
    from equirgz.grid.results.merge import merge_results

    merged = merge_results(folders, out)
    for folder, count in merged.done.items():
        typer.echo(f"{count} runs from {folder}")
    for note in merged.notes:
        typer.echo(note, err=True)
    if any(merged.done.values()):
        typer.echo(f"rows {collect(out)}")
    typer.echo(f"{merged.failed} failed, {merged.missing} missing; go on with `equirgz bench tables {out}`")


@bench.command()
def tables(
    folder: Folder,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="Print this one, e.g. nll/mean, comparison or intervals, and write nothing."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="With --metric: of which sources.")] = "test",
    readout: Annotated[
        str | None, typer.Option("--readout", help="With --metric: e.g. linear_probe; default: the network.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="With --metric: one data set of several.")] = None,
    style: Annotated[str | None, typer.Option("--format", help="Of the printed table: text, md, tex or csv.")] = None,
) -> None:
    """Collect the finished runs (where cells/ is there) and write tables/ as csv, md and tex; or print one table."""
    from equirgz.grid.results.collect import collect
    from equirgz.report import format_table, write_tables
    from equirgz.report.rows.results import open_results

    if metric or style or readout or data or split != "test":
        text = format_table(folder, metric, split, readout, data=data, style=style or "text")
        typer.echo(text.rstrip("\n"))
        return
    if (folder / "cells").is_dir():
        collect(folder)
    results = open_results(folder)
    for path in write_tables(results):
        typer.echo(str(path))
    typer.echo(f"\n{format_table(results)}")


@bench.command()
def figures(folder: Folder) -> None:
    """Collect the finished runs (where cells/ is there) and write figures/ as png and svg."""
    from equirgz.grid.results.collect import collect
    from equirgz.report import write_figures

    if (folder / "cells").is_dir():
        collect(folder)
    for path in write_figures(folder):
        typer.echo(str(path))


@bench.command()
def page(folder: Folder) -> None:
    """Write index.html: sortable tables, figures and every run, in one file that needs no network."""
    from equirgz.report.page import write_page

    typer.echo(str(write_page(folder)))


for command in (readme, slim, screenshot):
    bench.command()(command)


@bench.command()
def keys(
    pattern: Annotated[
        str, typer.Argument(help="A key, a section, a pattern, or a registered name; default: everything.")
    ] = "",
) -> None:
    """Print the keys of a YAML that match: type, range, default and meaning, and the options of what is registered."""
    from equirgz.grid.plan.keys import list_keys

    for key in list_keys(pattern):
        typer.echo(str(key))


@bench.command()
def schema() -> None:
    """Print the JSON schema of a grid's YAML, for editors that complete keys and mark mistakes."""
    import json

    from equirgz.grid.plan.schema import make_schema

    typer.echo(json.dumps(make_schema(), indent=1, ensure_ascii=False))
