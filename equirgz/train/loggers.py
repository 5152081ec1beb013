"""Where the rows of a training go as they are measured: JSON lines and CSV always, other programs on demand.

A row holds ``step`` (updates done) and numbers such as ``loss``, ``lr``, ``val/nll``.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from equirgz.errors import check_choice, require_package
from equirgz.records import finite_or_none, write_bytes_atomic

Row = dict[str, Any]


class RowLogger(Protocol):
    """What :func:`equirgz.train.train` tells its rows; anything with these three methods will do."""

    def start(self, rows: list[Row]) -> None:
        """Begin, with the rows that a resumed training already knows; what was logged after them is void."""

    def write(self, row: Row) -> None:
        """Take one more row."""

    def close(self) -> None:
        """End: the training is over, or failed."""


class JsonLines(RowLogger):
    """A file with one JSON object a line; numbers that are not finite are null."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, rows: list[Row]) -> None:
        write_bytes_atomic(self.path, "".join(map(_line, rows)).encode())

    def write(self, row: Row) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(row))

    def close(self) -> None:
        pass


class CsvTable(RowLogger):
    """A file with a column per name, ``step`` first; a name that comes later adds its column to the whole file."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows, self.names = path, [], ["step"]

    def start(self, rows: list[Row]) -> None:
        self.rows, self.names = [], ["step"]
        self._add(rows)
        self._write_whole()

    def write(self, row: Row) -> None:
        if self._add([row]):
            self._write_whole()
        else:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, self.names, lineterminator="\n").writerow(_clean(row))

    def close(self) -> None:
        pass

    def _add(self, rows: Iterable[Row]) -> bool:
        """Keep the rows; return whether they bring new columns."""
        self.rows += rows
        new = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in self.names]
        self.names += new
        return bool(new)

    def _write_whole(self) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, self.names, lineterminator="\n")
        table.writeheader()
        table.writerows(map(_clean, self.rows))
        write_bytes_atomic(self.path, text.getvalue().encode())


class TensorBoard(RowLogger):
    """Event files for ``tensorboard --logdir FOLDER``, a scalar per name; of the extra ``tensorboard``."""

    def __init__(self, folder: Path) -> None:
        require_package("tensorboard", "--log tensorboard")
        self.folder = folder

    def start(self, rows: list[Row]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        after = rows[-1]["step"] + 1 if rows else 0
        self.writer = SummaryWriter(str(self.folder), purge_step=after)

    def write(self, row: Row) -> None:
        for name, value in row.items():
            if name != "step":
                self.writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases(RowLogger):
    """A run of Weights & Biases in ``FOLDER/wandb``; of the extra ``wandb``.

    Offline, so that nothing is sent before ``wandb sync FOLDER/wandb/offline-run-...``, unless ``WANDB_MODE`` says
    otherwise. A resumed training is a new run that begins with the rows already known.
    """

    def __init__(self, folder: Path, facts: dict[str, Any] | None = None) -> None:
        require_package("wandb", "--log wandb")
        self.folder, self.facts = folder, facts or {}

    def start(self, rows: list[Row]) -> None:
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        mode = os.environ.get("WANDB_MODE", "offline")
        settings = wandb.Settings(console="off", silent=True)
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "equirgz"), dir=str(self.folder), mode=mode, config=self.facts,
            settings=settings, reinit="create_new",
        )  # fmt: skip
        for row in rows:
            self.write(row)

    def write(self, row: Row) -> None:
        self.run.log({name: value for name, value in row.items() if name != "step"}, step=row["step"])

    def close(self) -> None:
        self.run.finish()


PROGRAMS = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}


def make_loggers(names: Iterable[str], folder: Path, facts: dict[str, Any] | None = None) -> list[RowLogger]:
    """Return the loggers of other programs, by name, which write below ``folder``; ``facts`` are of the run.

    Raises InputError for an unknown name, MissingPackageError for a program that is not installed.
    """
    made: list[RowLogger] = []
    for name in names:
        check_choice("log", name, PROGRAMS)
        made.append(WeightsAndBiases(folder, facts) if name == "wandb" else PROGRAMS[name](folder))
    return made


def _clean(row: Row) -> Row:
    return {name: finite_or_none(value) if isinstance(value, float) else value for name, value in row.items()}


def _line(row: Row) -> str:
    return json.dumps(_clean(row), sort_keys=True) + "\n"
