"""``equirgz doctor | selftest``: what a new user calls first."""

from __future__ import annotations

import typer

from equirgz.cli.options import DataDir, Device, choose_device


def doctor(data_dir: DataDir = None) -> None:
    """Show versions, devices, threads, folders, extras and SLURM, and what would be slow; exit 1 if nothing can train.

    One line each: ok, none (an optional part that is not there), slow, warn, or FAIL (no training works).
    """
    from equirgz.machine.doctor import examine

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
