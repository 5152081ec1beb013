"""The committed grids: each plans in every profile, says what it asks and costs, and its parts can be made."""

from pathlib import Path

import pytest

from equirgz.config import load_yaml, parse_run
from equirgz.data import load_data
from equirgz.grid.plan.grid import load_grid
from equirgz.grid.plan.preflight import check_grid
from equirgz.grid.run.pretraining import pretrain_key, stage_keys

FOLDER = Path(__file__).parents[2] / "benchmarks"
GRIDS = sorted(FOLDER.glob("*.yaml"))
WITH_PROFILES = [path for path in GRIDS if "profiles" in load_yaml(path)]
SMALL = [path for path in WITH_PROFILES if "smoke" in load_yaml(path)["profiles"]]
OF_THE_FIELD = [path for path in WITH_PROFILES if "gpu" in load_yaml(path)["profiles"]]


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
        values = set(map(str, axis.labels))
        scaled = axis.name == "steps" and len(labels["steps"]) == len(values)  # shorter, in the same proportion
        assert axis.name in ("match", "replicate") or scaled or labels[axis.name] <= values
    assert {config.data.name for config in cpu.runs} == {"mirabest_confident"}


@pytest.mark.parametrize("path", [p for p in GRIDS if p in SMALL or p.stem == "smoke"], ids=lambda path: path.stem)
def test_every_part_of_the_small_profiles_can_be_made(path):
    grid = load_grid(path, profile="smoke" if path in SMALL else None)
    checked = check_grid(grid, None)
    assert set(checked.n_labels) == {point.run_key for point in grid.points}


@pytest.mark.parametrize("name", ["objectives", "mirabest_methods"])
def test_published_numbers_stand_beside_methods_that_the_grid_runs(name):
    grid = load_grid(FOLDER / f"{name}.yaml")
    entries = grid.document["report"]["reported"]
    methods = {point.labels["method"] for point in grid.points}
    assert {entry["method"] for entry in entries} <= methods and all("arXiv" in e["source"] for e in entries)
    values = {(entry["n_labels"], str(entry["value"]).split()[0]) for entry in entries}
    assert values >= {(584, "3.07"), (584, "3.94")} and (name != "objectives" or (145, "7.79") in values)


@pytest.mark.parametrize("name", ["objectives", "mirabest_methods"])
def test_ensembles_are_of_three_networks_of_one_label_set_and_pretrainings_are_shared(name):
    grid = load_grid(FOLDER / f"{name}.yaml")
    seeds = {(p.config.cell_key(), p.config.split.split_seed, p.config.seed) for p in grid.points}
    members = [sum(key[:2] == other[:2] for other in seeds) for key in seeds]
    assert 3 in members and set(members) <= {1, 3}
    shared = {pretrain_key(p.config) for p in grid.points if p.labels["method"] == "byol"}
    assert len(shared) == {"objectives": 15, "mirabest_methods": 0}[name]  # one per network and seed, of three counts


def test_shift_tasks_never_train_on_target_labels_and_name_both_domains():
    grid = load_grid(FOLDER / "shift.yaml", ["replicate=[0]", "group=[D4]"])
    for config in {p.labels["data"]: p.config for p in grid.points}.values():
        if config.data.name == "frdeep_first_to_nvss":
            continue  # real archives: tests/data/test_shift_tasks.py
        few = {key: min(value, 20) for key, value in config.data.params.items() if key.startswith("n_")}
        data = load_data(config.data, params={**config.data.params, **few})
        assert set(data.tests) == {"test", "test_shift"} and (data.unlabelled.label_N == -1).all()
        assert not set(data.train.source_id_N) & set(data.unlabelled.source_id_N)


def test_the_simulator_of_the_foundation_grid_is_that_of_the_shipped_encoders():
    taught = parse_run(load_yaml(FOLDER / "encoders" / "radio.yaml"))
    grid = load_grid(FOLDER / "foundation.yaml", profile="cpu")
    stages = [p.config.stages[0] for p in grid.points if p.labels["pretraining"].startswith("simulator")]
    assert {stage.model_dump_json() for stage in stages} == {stages[0].model_dump_json()}
    (stage,) = {stage.model_dump_json(): stage for stage in stages}.values()
    assert stage.data.params == taught.data.params | {"n_test": 0}
    assert (stage.task, stage.objective, stage.train) == (taught.task, taught.objective, taught.train)
    assert all(p.config.backbone == taught.backbone for p in grid.points)
    folds = load_grid(FOLDER / "foundation_cv.yaml").points
    beside = [p.config.joint.data for p in folds if p.config.joint is not None]
    taught_beside = {key: value for key, value in taught.data.params.items() if key != "n_test"}
    assert beside and all(data.params == taught_beside | {"n_train": 512, "stream": True} for data in beside)


def test_stages_of_the_foundation_grid_are_shared_by_replicates_and_the_simulator_by_profiles():
    def keys(profile):
        found: dict[str, set[str]] = {}
        for point in load_grid(FOLDER / "foundation.yaml", profile=profile).points:
            found.setdefault(point.labels["pretraining"], set()).update(stage_keys(point.config))
        return found

    found = keys("cpu")
    assert {name: len(values) for name, values in found.items()} == {
        "none": 0, "simulator": 1, "self-supervised": 1, "simulator then self-supervised": 2,
    }  # fmt: skip
    assert keys("few")["simulator"] == found["simulator"]
