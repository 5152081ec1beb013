"""Grids by name: those of benchmarks/, found from a checkout and from a build, with did-you-mean."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from equirgz.errors import InputError
from equirgz.grid.plan import packaged
from equirgz.grid.plan.grid import load_grid

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_grid_of_benchmarks_has_its_name():
    grids = packaged.list_grids()
    assert list(grids) == sorted(file.stem for file in BENCHMARKS.glob("*.yaml"))
    assert load_grid("smoke") == load_grid(BENCHMARKS / "smoke.yaml")
    lines = packaged.describe_grids()
    assert len(lines) == len(grids) and any(line.startswith("smoke ") and "2 CPU cores" in line for line in lines)


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="grid: unknown 'smoek'; did you mean 'smoke'"):
        load_grid("smoek")
    with pytest.raises(InputError, match="cannot read"):
        load_grid("no/such.yaml")


def test_a_file_comes_before_a_name_and_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smoke").mkdir()
    assert packaged.find_grid("smoke") == packaged.list_grids()["smoke"]
    (tmp_path / "demo").write_text("name: mine\n")
    assert packaged.find_grid("demo") == Path("demo")


def test_a_build_has_its_own_copies(tmp_path, monkeypatch):
    built = tmp_path / "grids"
    built.mkdir()
    shutil.copy(BENCHMARKS / "smoke.yaml", built)
    monkeypatch.setattr(packaged, "PLACES", (built, tmp_path))
    assert packaged.find_grid("smoke") == built / "smoke.yaml"
    monkeypatch.setattr(packaged, "PLACES", (tmp_path,))
    assert packaged.list_grids() == {} and packaged.describe_grids() == []
