"""CONTRIBUTING.md does what it shows: each block of Python runs as it stands; what it registers keeps the contract.

A block is imported as a module, once. What it registers is then trained for two updates on simulated sources, and goes
through every test that things of its kind get by being registered and that asks for their ``name`` alone.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equirgz.config import RunConfig
from equirgz.data.facts import SETS
from equirgz.grid.plan.keys import registries
from equirgz.grid.run.cell import run_cell
from equirgz.objectives.heads import HEADS
from equirgz.tasks import create_task
from equirgz.tasks.base import Named

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
SECTIONS = dict(part.split("\n", 1) for part in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:])
BLOCKS = {title: re.split(r"^```(?:python)?\n", text, flags=re.MULTILINE)[1] for title, text in SECTIONS.items()}
MOST_LINES = 25
SMALL: dict[str, Any] = {
    "data": {"name": "synthetic_fr", "image_size": 33, "params": {"n_train": 8, "n_test": 4}},
    "backbone": {"name": "lenet"},
    "train": {"steps": 2, "batch_size": 4, "augmentation": "none"},
}
# Where the name of each kind stands in a run, and the module with the contract of its kind.
KINDS = {
    "backbone": ("backbone.name", "tests.backbones.test_contract"),
    "objective": ("objective.name", "tests.train.test_contract"),
    "task": ("task.name", "tests.tasks.test_contract"),
    "augmentation": ("train.augmentation", "tests.augment.test_augment"),
    "dataset": ("data.name", ""),
}


def put(fields: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    """Return a copy of ``fields`` with ``name`` at ``key``; a data set comes without the options of another."""
    section, last = key.split(".")
    kept = fields.get(section, {}) if section != "data" else {"image_size": fields["data"]["image_size"]}
    return fields | {section: kept | {last: name}}


def contract(module: str) -> Iterator[Any]:
    """Yield the tests of ``module`` whose one argument is the name of what is tested."""
    for name, function in vars(importlib.import_module(module)).items() if module else ():
        if name.startswith("test_") and list(inspect.signature(function).parameters) == ["name"]:
            yield function


def test_the_blocks_are_found_and_every_contract_has_tests():
    assert "Adding a task" in BLOCKS
    assert {"Adding a backbone", "Adding an objective", "Adding an augmentation", "Adding a data set"} <= set(BLOCKS)
    assert len(BLOCKS) == TEXT.count("```python\n"), "a block of Python stands under its own heading '### Adding ...'"
    assert all(any(contract(module)) for _, module in KINDS.values() if module)


@pytest.mark.parametrize("title", BLOCKS)
def test_a_block_runs_trains_and_keeps_the_contract(title, tmp_path, monkeypatch):
    tables = {table.kind: table for table in registries().values()}
    before = {kind: set(table.names()) for kind, table in tables.items()}
    monkeypatch.setattr(SETS, "_infos", dict(SETS._infos))
    monkeypatch.setenv("EQUIRGZ_DATA", str(tmp_path))
    np.savez(tmp_path / "rings.npz", X=np.random.default_rng(0).integers(0, 256, (40, 33, 33), np.uint8), y=[0, 1] * 20)
    for table in (*tables.values(), HEADS):  # what a block registers is gone when the test ends
        monkeypatch.setattr(table, "_entries", dict(table._entries))
    module = "contributed_" + re.sub(r"\W", "_", title.lower())
    (tmp_path / f"{module}.py").write_text(BLOCKS[title])
    monkeypatch.syspath_prepend(tmp_path)
    try:
        importlib.import_module(module)
        added = [(kind, name) for kind, table in tables.items() for name in table.names() if name not in before[kind]]
        assert added, "the block registers nothing"
        for kind, name in added:
            key, tests = KINDS[kind]
            found = run_cell(RunConfig.model_validate(put(SMALL, key, name)), None, tmp_path / "run")
            task = create_task(name if kind == "task" else "classification", Named("simulated"))
            assert any(row["metric"] == task.headline.metric for row in found["rows"])
            for test in contract(tests):
                test(name)
    finally:
        sys.modules.pop(module, None)


@pytest.mark.parametrize("title", BLOCKS)
def test_a_block_is_short_and_explains_its_options(title):
    lines = [line for line in BLOCKS[title].splitlines() if line.strip()]
    assert len(lines) < MOST_LINES and max(map(len, lines)) <= 120
    assert "Parameters\n    ----------" in BLOCKS[title]


def test_every_folder_of_the_package_is_named():
    package = Path(__file__).parents[1] / "equirgz"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    lost = {name for name in folders if not re.search(rf"(?<![\w/]){name}/", TEXT)}
    assert not lost, "say under 'Where things are' what they are for"
