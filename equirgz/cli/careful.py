"""What every command keeps to: it never writes over what it reads, and says before it works that it cannot write."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from equirgz.errors import InputError, ResultsError
from equirgz.paths import as_path

#: options that name what is written; all other paths are read
WRITES = frozenset({"-o", "--output", "--out", "--page", "--table", "--figure", "--clusters"})
FILES = frozenset({".csv", ".ecsv", ".fits", ".html", ".md", ".npz", ".pdf", ".png", ".svg", ".vot", ".yaml", ".yml"})


class Commands(typer.Typer):
    """A group whose commands are :class:`CarefulCommand`."""

    def command(self, name: str | None = None, **options: Any) -> Any:
        """Register a command, as :meth:`typer.Typer.command` does."""
        return super().command(name, **{"cls": CarefulCommand, **options})


class CarefulCommand(TyperCommand):
    """A command whose paths are looked at before it runs."""

    def invoke(self, ctx: typer.Context) -> Any:
        """Refuse what cannot be written and what would be overwritten, then run."""
        given = {param: ctx.params.get(param.name) for param in self.params}
        outputs = {param: value for param, value in given.items() if value and WRITES & set(param.opts)}
        for param, output in outputs.items():
            check_place(output, param.opts[0])
            for other, value in given.items():
                if other is not param:
                    check_apart(output, value, param.opts[0], other.opts[0])
        return super().invoke(ctx)


def check_place(path: Path, option: str = "--output") -> None:
    """Raise ResultsError where a file or folder ``path`` cannot be written, as far as can be told without trying."""
    if path.suffix.lower() in FILES and path.is_dir():
        raise ResultsError(f"{option}: expected the name of a file, got the folder {path}")
    parent = path.absolute().parent
    nearest = next(folder for folder in (parent, *parent.parents) if os.path.exists(folder))
    if not os.path.isdir(nearest):
        raise ResultsError(f"{option}: cannot write {path}: {nearest} is a file; choose a writable folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ResultsError(f"{option}: cannot write {path}: no permission in {nearest}; choose a writable folder")


def check_apart(output: Path, other: Any, option: str, other_option: str) -> None:
    """Raise InputError where a file that ``output`` names, or a model with that stem, is one that ``other`` names."""
    taken = {os.path.realpath(file) for file in _files([output])}
    same = next((file for file in _files(_values(other)) if os.path.realpath(file) in taken), None)
    if same is not None:
        mend = "give another name; what is read is never overwritten"
        raise InputError(option, expected=f"another file than that of {other_option}", got=str(same), mend=mend)


def _values(value: Any) -> Iterator[Path]:
    for one in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(one, (str, Path)) and str(one) and "\0" not in str(one):
            yield as_path(one)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files there that paths name: themselves, or the weights of which they are the stem."""
    for path in paths:
        for file in (path, path.with_name(f"{path.name}.safetensors")) if path.name else ():
            try:
                if file.is_file():
                    yield file
            except OSError:  # a text that is no path
                continue
