"""Rooms, not drawers: how many modules a folder of the package has, how long they are, and what their names mean.

The lists of exceptions are to become empty; strike out what no longer needs to stand there.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from statistics import median

import pytest

PACKAGE = Path(__file__).parents[1] / "equirgz"
MOST_MODULES, LEAST_MODULES, MOST_LINES, MEDIAN_LINES = 15, 3, 300, 120
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
MODULES = [path for path in FILES if path.name != "__init__.py"]
ROOMS = sorted({path.parent for path in FILES})

# Names that several modules have, and why they mean one thing each in its room.
NAMES_TWICE: dict[str, str] = {
    "base": "what everything of the kind that the room holds inherits from",
    "group": "the group itself, and the convolution over it",
    "multilabel": "the task in words, and its metrics",
    "regression": "the task in words, and its metrics",
    "votes": "the task in words, its metrics, and its head",
    "images": "what images are, their metrics, and those of a training",
    "cards": "what a card says, and the command that writes it",
    "classification": "the task in words, and its head",
    "shares": "work shared among threads, and heads of independent probabilities",
    "check": "of arrays in metrics, and the command `data check`",
    "levels": "of a network's maps, and of an image's brightness",
    "canonical": "the wrapper of any network, and the backbones made with it",
    "probe": "read-outs of features, and whether a network treats its images one by one",
    "priors": "of weights, and of simulated sources",
    "denoising": "the task of noise in words, and its head",
    "several": "the task of several parts in words, and its heads",
    "measure": "of a trained network, and of an image's shape",
    "pairs": "of field types, and of sources",
    "pretrained": "the encoders inside the package, and the command that lists them",
    "run": "the configuration of one, and the training of one",
}
DRAWERS = {"utils", "util", "helpers", "helper", "misc", "common", "tools", "core"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def modules_of(room: Path) -> list[Path]:
    return [path for path in MODULES if path.parent == room]


def length(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_room_has_more_modules_than_can_be_overlooked():
    assert {name_of(room) for room in ROOMS if len(modules_of(room)) > MOST_MODULES} == set()


def test_no_room_is_opened_for_fewer_than_three():
    small = {name_of(room) for room in ROOMS if room != PACKAGE and len(list(room.rglob("*.py"))) - 1 < LEAST_MODULES}
    assert small == set()


def test_files_are_short():
    assert {name_of(path) for path in FILES if length(path) > MOST_LINES} == set()
    assert median(map(length, MODULES)) <= MEDIAN_LINES


def test_a_name_means_one_thing():
    counts = Counter(path.stem for path in MODULES)
    assert {stem for stem, n in counts.items() if n > 1} - set(NAMES_TWICE) == set()
    assert set(counts) & DRAWERS == set()


def test_every_room_says_what_it_is_for():
    silent = set()
    for room in ROOMS:
        door = room / "__init__.py"
        said = ast.get_docstring(ast.parse(door.read_text())) if door.exists() else None
        if not said or len(said.split()) < 5:
            silent.add(name_of(room))
    assert silent == set()


@pytest.mark.parametrize("reasons", [NAMES_TWICE])
def test_every_exception_has_a_reason(reasons):
    assert all(len(reason.split()) >= 3 for reason in reasons.values())
