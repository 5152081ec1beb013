"""``equirgz init | doctor | selftest`` and ``bench grids``: what a new user calls first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equirgz.cli.options import DataDir, Device, choose_device, path_argument, path_option


def init(
    folder: Annotated[Path, path_argument(help="A folder of FITS or pictures, or an .npz, .h5 or .parquet file.")],
    output: Annotated[
        Path | None, path_option("-o", "--output", help="YAML to write; default: the folder's name.")
    ] = None,
    catalogue: Annotated[
        Path | None, path_option("--catalogue", help="Table of labels; default: class folders, or a table close by.")
    ] = None,
) -> None:
    """Look at your own images (sizes, scales, classes, counts) and write a commented YAML for `equirgz bench run`."""
    from equirgz.grid.plan.starter import write_starter

    written = write_starter(folder, output, catalogue)
    typer.echo(f"{written} written; next: equirgz bench run {written} --dry-run")


def grids() -> None:
    """List the grids that come with the package, which `bench run` takes by name: question and cost."""
    from equirgz.grid.plan.packaged import describe_grids

    for line in describe_grids():
        typer.echo(line)


def doctor(
    data_dir: DataDir = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time this machine's convolutions first, and keep that in the cache.")
    ] = False,
) -> None:
    """Show versions, devices, threads, folders, extras and SLURM, and what would be slow; exit 1 if nothing can train.

    One line each: ok, none (an optional part that is not there), slow, warn, or FAIL (no training works).
    """
    from equirgz.machine.doctor import examine

    if measure:
        from equirgz.machine.measure_costs import measure_costs
        from equirgz.nn.cpu.machine_costs import save_costs

        typer.echo(f"measured and kept in {save_costs(measure_costs())}")
    findings = examine(data_dir)
    for finding in findings:
        typer.echo(str(finding))
    if any(finding.state == "FAIL" for finding in findings):
        raise typer.Exit(1)


def selftest(device: Device = "cpu") -> None:
    """Simulate sources, train, save, audit and export one small network, about a minute; exit 1 where a step fails."""
    from equirgz.machine.selftest import run_selftest

    states = []
    for state, step, text in run_selftest(choose_device(device)):
        states.append(state)
        typer.echo(f"{state:5s} {step:10s} {text}")
    if "FAIL" in states:
        typer.echo("selftest failed; `equirgz doctor` shows what is installed", err=True)
        raise typer.Exit(1)
    typer.echo("selftest passed")
