"""A tiny grid of every task: planned, run, collected, tabulated and drawn; its rows follow from what it keeps."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from equirgz.data.datasets import DATASETS
from equirgz.errors import DataError, EquirgzError, InputError
from equirgz.grid.engine.engine_config import EngineConfig
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.plan.preflight import check_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.runner import run_grid
from equirgz.report import format_table
from equirgz.report.page import make_page
from equirgz.report.rows.results import open_results
from equirgz.report.tables import intervals
from equirgz.report.tables.write import make_table_files
from equirgz.tasks import list_tasks
from equirgz.tasks.stored import read_kept
from tests.tasks.toy import PARAMS, toy_blobs


@pytest.fixture(autouse=True)
def blobs(monkeypatch):
    DATASETS.names()
    monkeypatch.setattr(DATASETS, "_entries", {**DATASETS._entries, "toy_blobs": toy_blobs})
    monkeypatch.setattr(intervals, "N_DRAWS", 12)


def document(task: str, **changes) -> dict:
    base = {
        "data": {"name": "toy_blobs", "image_size": 17, "normalise": False, "params": {"dense": task}},
        "task": {"name": task, "params": PARAMS[task]},
        "backbone": {"name": "steerable_lenet", "width": 0.2},
        "train": {"steps": 2, "batch_size": 8},
        "evaluation": {"rotation_angles": 2},
    }
    if task == "denoising":
        base["backbone"] = {"name": "steerable_unet", "params": {"fields": [4, 6], "conditioned": True}}
    return {"name": f"tiny_{task}", "base": base, "axes": {"group": ["C1", "C4"], "replicate": [0, 1]}, **changes}


@pytest.mark.parametrize("name", list_tasks())
def test_a_grid_of_the_task_runs_to_its_tables_and_page(name, tmp_path):
    grid = make_grid(document(name))
    summary = run_grid(grid, tmp_path, engine=EngineConfig(name="inline"), check=lambda: check_grid(grid, None))
    assert summary.complete
    collect(tmp_path)
    results = open_results(tmp_path)
    task, headline = results.task, results.task.headline
    assert task.name == name and (name == "classification") == ("task" not in results.plan)
    for run_key, kept in results.predictions[results.predictions["split"] == "test"].groupby("run_key"):
        rows = results.rows[(results.rows["run_key"] == run_key) & (results.rows["split"] == "test")]
        rows = rows[rows["angle_deg"].isna()].set_index("metric")["value"]
        for row in task.score(read_kept(task, kept)):
            value = np.nan if row["value"] is None else row["value"]
            assert rows[row["metric"]] == pytest.approx(value, rel=1e-4, abs=1e-5, nan_ok=True), row["metric"]
    files = make_table_files(results)
    stem = re.sub(r"[^\w.+-]+", "_", f"{headline.metric}_test_network")
    assert f"tables/{stem}.md" in files and "tables/intervals_test_network.md" in files
    comparison = files["tables/comparison_test_network.md"].decode()
    assert f"Difference of the {headline.per_source}" in comparison
    assert format_table(results).startswith(headline.title.partition(" (")[0])
    assert headline.metric in make_page(results)
    turned = "rotation/error" if task.categorical else "rotation/loss"
    assert sorted(results.rows[results.rows["metric"] == turned]["angle_deg"].unique()) == [0, 180]


@pytest.mark.parametrize(("name", "kept"), [("votes", "c"), ("regression", "v"), ("multilabel", "p")])
def test_an_ensemble_averages_the_answers(name, kept, tmp_path):
    ensemble = {"ensemble": {"group": "ensemble"}}
    changed = document(name, report=ensemble)
    changed["axes"] = {"group": ["C1"], "seed": [0, 1]}
    grid = make_grid(changed)
    run_grid(grid, tmp_path, engine=EngineConfig(name="inline"), check=lambda: check_grid(grid, None))
    collect(tmp_path)
    found = open_results(tmp_path).predictions
    keys = found["run_key"].unique()
    assert len(keys) == 3
    joined = next(key for key in keys if key not in {run.run_key() for run in grid.runs})
    of = {key: found[found["run_key"] == key][f"{kept}0"].to_numpy() for key in keys}
    members = np.stack([values for key, values in of.items() if key != joined])
    mean = 10 ** np.log10(members).mean(0) if name == "regression" else members.mean(0)
    np.testing.assert_allclose(of[joined], mean, rtol=1e-5)


@pytest.mark.parametrize("readout", ["linear_probe", "knn"])
@pytest.mark.parametrize("name", ["regression", "multilabel"])
def test_probes_answer_numbers_and_tags(name, readout, tmp_path):
    changed = document(name)
    changed["base"]["evaluation"] = {"readouts": [readout], "rotation_angles": 1}
    changed["axes"] = {"group": ["C4"]}
    grid = make_grid(changed)
    run_grid(grid, tmp_path, engine=EngineConfig(name="inline"))
    rows = pd.read_csv(collect(tmp_path))
    headline = open_results(tmp_path).task.headline.metric
    assert set(rows[rows["metric"] == headline]["readout"]) == {readout}


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("regression", {"task.params": {"targets": ["las"]}}, "a column 'las' of numbers, got the columns las_arcsec"),
        ("regression", {"task.params": {"target": ["las_arcsec"]}}, "did you mean 'targets'"),
        ("regression", {"task.name": "regresion"}, "did you mean 'regression'"),
        ("regression", {"objective.name": "laplace"}, "expected the task classification.*objectives that can:.*ivon"),
        ("regression", {"evaluation.readouts": ["network", "temperature"], "split.n_val": 2}, "temperature for"),
        ("segmentation", {"evaluation.readouts": ["linear_probe"]}, "for segmentation; of this task use network"),
        ("segmentation", {"data.params": {}}, "task segmentation: expected a set with maps, got images alone"),
        ("votes", {"task.params": {"questions": [2, 3]}}, "none called vote_1_0"),
        ("image_to_image", {"objective.name": "fixmatch"}, "expected the task classification, got task image_to_image"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line_before_any_work(name, changes, words):
    changed = document(name)
    changed["base"] |= {"task": {**changed["base"]["task"]}}
    for key, value in changes.items():
        section, last = key.split(".")
        changed["base"][section] = {**changed["base"].get(section, {}), last: value}
    with pytest.raises((InputError, DataError), match=words) as caught:
        check_grid(make_grid(changed), None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("report", "words"),
    [({"extras": ["mcnemar"]}, "answers are classes"), ({"ensemble": {"group": "e"}}, "keeps answers")],
)
def test_reports_that_the_task_does_not_have_are_refused(report, words):
    with pytest.raises(EquirgzError, match=words):
        check_grid(make_grid(document("segmentation", report=report)), None)


def test_a_grid_has_one_task():
    changed = document("regression")
    changed["axes"]["task"] = ["classification", "votes"]
    with pytest.raises(InputError, match="task: expected one for all runs, got 2"):
        make_grid({**changed, "base": {**changed["base"], "task": {}}})
