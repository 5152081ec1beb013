"""Loggers: files that hold the rows exactly, and the programs that are told them. Rows with and without validation."""

from __future__ import annotations

import csv
import json
import sys
from types import ModuleType

import pytest

from equirgz.config import TrainConfig
from equirgz.errors import InputError, MissingPackageError
from equirgz.train import train
from equirgz.train.loggers import CsvTable, JsonLines, make_loggers

ROWS = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": float("nan"), "val/nll": 0.25}, {"step": 3, "loss": 1.0}]


class Heard:
    """A logger of one's own: it keeps what it is told."""

    def __init__(self):
        self.known, self.rows, self.closed = None, [], 0

    def start(self, rows):
        self.known = list(rows)

    def write(self, row):
        self.rows.append(row)

    def close(self):
        self.closed += 1


@pytest.mark.parametrize("known", range(4))
def test_files_hold_all_rows_wherever_a_training_went_on(known, tmp_path):
    for logger in (JsonLines(tmp_path / "log.jsonl"), CsvTable(tmp_path / "log.csv")):
        logger.start(ROWS[:2])  # a first process, whose rows after the checkpoint are void
        logger.start(ROWS[:known])
        for row in ROWS[known:]:
            logger.write(row)
        logger.close()
    clean = [{**row, "loss": None} if row["step"] == 2 else row for row in ROWS]
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == clean
    with (tmp_path / "log.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert found == [{name: str(row.get(name, "")) if row.get(name) is not None else "" for name in found[0]}
                     for row in clean]  # fmt: skip
    assert list(found[0]) == ["step", "loss", "val/nll"]


def test_a_training_tells_every_row_and_closes_when_it_fails(tmp_path):
    from tests.train.test_trainer import images, make

    heard = Heard()
    config = TrainConfig(steps=4, batch_size=4, augmentation="none")
    log = train(make("supervised"), images(), config, seed=0, log_every=2, work_dir=tmp_path, loggers=[heard])
    assert heard.known == [] and heard.rows == log.rows and heard.closed == 1
    assert [row["step"] for row in log.rows] == [1, 2, 4]
    assert (tmp_path / "log.csv").read_text().count("\n") == 4

    class Broken(Heard):
        def write(self, row):
            raise OSError("full")

    broken = Broken()
    with pytest.raises(OSError, match="full"):
        train(make("supervised"), images(), config, seed=0, loggers=[broken])
    assert broken.closed == 1


def test_unknown_and_missing_programs_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="did you mean 'tensorboard'"):
        make_loggers(["tensorbord"], tmp_path)
    for name in ("tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingPackageError, match=rf"^--log {name}: .*; pip install 'equirgz\[{name}\]'$"):
            make_loggers([name], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_tensorboard_is_told(tmp_path, monkeypatch):
    told = []

    class Writer:
        def __init__(self, folder, purge_step):
            told.append((folder, purge_step))

        def add_scalar(self, *scalar):
            told.append(scalar)

        def close(self):
            told.append("closed")

    fake = ModuleType("torch.utils.tensorboard")
    fake.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    (logger,) = make_loggers(["tensorboard"], tmp_path)
    logger.start(ROWS[:1])
    logger.write({"step": 2, "loss": 0.5, "lr": 0.1})
    logger.close()
    assert told == [(str(tmp_path), 2), ("loss", 0.5, 2), ("lr", 0.1, 2), "closed"]


def test_what_weights_and_biases_is_told(tmp_path, monkeypatch):
    told = []

    class Run:
        def log(self, numbers, step):
            told.append((numbers, step))

        def finish(self):
            told.append("finished")

    fake = ModuleType("wandb")
    fake.Settings = dict
    fake.init = lambda **options: told.append(options) or Run()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    (logger,) = make_loggers(["wandb"], tmp_path, {"seed": 1})
    logger.start(ROWS[:1])
    logger.write({"step": 2, "loss": 0.5})
    logger.close()
    assert (told[0]["mode"], told[0]["dir"], told[0]["config"]) == ("offline", str(tmp_path), {"seed": 1})
    assert told[1:] == [({"loss": 2.5}, 1), ({"loss": 0.5}, 2), "finished"]


def test_tensorboard_itself_reads_the_rows(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed (nox -s extras)")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (logger,) = make_loggers(["tensorboard"], tmp_path)
    logger.start([])
    for row in ROWS[::2]:
        logger.write(row)
    logger.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 2.5), (3, 1.0)]


def test_weights_and_biases_itself_keeps_the_rows_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra wandb is not installed (nox -s extras)")
    monkeypatch.setenv("WANDB_MODE", "offline")
    (logger,) = make_loggers(["wandb"], tmp_path, {"seed": 1})
    logger.start(ROWS[:1])
    logger.write(ROWS[2])
    logger.close()
    (kept,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert kept.stat().st_size > 0
