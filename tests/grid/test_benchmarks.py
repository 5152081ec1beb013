"""The committed grids: each plans in every profile, says what it asks and costs, and its parts can be made."""

from pathlib import Path

import pytest

from equirgz.config import load_yaml
from equirgz.grid.plan import load_grid
from equirgz.grid.preflight import check_grid

FOLDER = Path(__file__).parents[2] / "benchmarks"
GRIDS = sorted(FOLDER.glob("*.yaml"))
OF_THE_FIELD = [path for path in GRIDS if "profiles" in load_yaml(path)]


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_every_grid_says_what_it_is_for_and_is_listed(path):
    document = load_yaml(path)
    assert document["name"] == path.stem and len(document["question"]) > 20
    assert path.read_text().startswith("# ") and document.get("cost") or document["profiles"]["cpu"]["cost"]
    assert f"({path.name})" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("path", OF_THE_FIELD, ids=lambda path: path.stem)
def test_profiles_compare_what_the_grid_compares(path):
    whole = load_grid(path)
    for profile in ("smoke", "cpu", "gpu"):
        grid = load_grid(path, profile=profile)
        assert grid.columns == whole.columns and grid.document["cost"]
    assert len(load_grid(path, profile="smoke").runs) <= 24
    cpu = load_grid(path, profile="cpu")
    assert cpu.n_cells <= whole.n_cells and len(cpu.runs) == 5 * cpu.n_cells
    labels = {axis.name: set(map(str, axis.labels)) for axis in cpu.axes}
    for axis in whole.axes:
        assert axis.name in ("match", "replicate") or labels[axis.name] <= set(map(str, axis.labels))
    assert {config.data.name for config in cpu.runs} == {"mirabest_confident"}


@pytest.mark.parametrize("path", [p for p in GRIDS if p in OF_THE_FIELD or p.stem == "smoke"],
                         ids=lambda path: path.stem)
def test_every_part_of_the_small_profiles_can_be_made(path):
    grid = load_grid(path, profile="smoke" if path in OF_THE_FIELD else None)
    checked = check_grid(grid, None)
    assert set(checked.n_labels) == {point.run_key for point in grid.points}
