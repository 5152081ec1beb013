"""Options that several commands share."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Annotated

import typer

from equirgz.paths import as_path

path_option = functools.partial(typer.Option, parser=as_path, metavar="PATH")
path_argument = functools.partial(typer.Argument, parser=as_path)

DataDir = Annotated[
    Path | None,
    path_option("--data-dir", help="Folder of the data archives; default: EQUIRGZ_DATA, else the user's cache."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the YAML (dotted, or an axis); repeatable."),
]
ReaderOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="How INPUT is read, e.g. hdu=SCI, plane=stokes=I, unit=mJy/beam, recipe=raw, white=4095; repeatable.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="cpu, cuda, cuda:N, or auto: a GPU where there is one.", metavar="DEVICE")
]


def show_loading(done: int, total: int) -> None:
    """Write how many files of a folder are read over one line of standard error, which ends with the last."""
    if done == total or done % max(1, total // 100) == 0:
        typer.echo(f"\rreading files: {done} of {total}", err=True, nl=done == total)


def count_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(name: str) -> str:
    """Return "cpu" or "cuda[:N]" for the option's text; raise InputError where this host has no such device."""
    import torch

    from equirgz.errors import InputError

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = check_device(name).partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise InputError(f"--device: expected one of {torch.cuda.device_count()} CUDA devices, got {name!r}; use cpu")
    return name


def check_device(name: str) -> str:
    """Return ``name`` where it is cpu, cuda or cuda:N, on whatever host; else raise InputError."""
    from equirgz.errors import InputError

    kind, _, index = name.partition(":")
    if name != "cpu" and not (kind == "cuda" and (index == "" or index.isdigit())):
        raise InputError(f"--device: expected cpu, cuda, cuda:N or auto, got {name!r}")
    return name
