"""A grid of folds, from its runs to its tables: each source once per seed, whole seeds only."""

from __future__ import annotations

import csv
import shutil

import pandas as pd
import pytest
import torch

from equirgz.config import RunConfig, load_yaml, parse_run
from equirgz.errors import InputError, ResultsError
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import load_grid, make_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.run.pretraining import pretrain_key
from equirgz.grid.runner import run_grid
from equirgz.report import format_table, load_results, write_tables
from equirgz.report.page import make_page
from equirgz.report.rows.results import open_results

DOCUMENT = {
    "name": "folds",
    "question": "Does each source count once?",
    "base": {
        "data": {"name": "synthetic_fr", "image_size": 17, "params": {"n_train": 26, "n_test": 11}},
        "split": {"n_folds": 3},
        "backbone": {"name": "steerable_lenet", "width": 0.25},
        "train": {"steps": 4, "batch_size": 8},
        "evaluation": {"rotation_angles": 2},
    },
    "axes": {"group": ["C1", "D4"], "fold": [0, 1, 2], "replicate": [0, 1]},
}


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("folds") / "folds"
    run_grid(make_grid(DOCUMENT), out, engine=make_engine_config("inline"))
    collect(out)
    torch.set_num_threads(before)
    return out


@pytest.fixture
def out(computed, tmp_path):
    return shutil.copytree(computed, tmp_path / "folds")


def test_rows_carry_the_fold_and_one_checksum(out):
    rows = load_results(out)
    assert set(rows["fold"]) == {"0", "1", "2"} and set(rows["n_folds"]) == {"3"}
    errors = rows[(rows.metric == "error/rate") & rows.angle_deg.isna()]
    assert len(errors) == 12 and set(errors.n) == {12, 13} and set(errors.n_labels) == {24}
    assert rows["data_checksum"].nunique() == 1


def test_each_source_is_predicted_once_per_seed_and_the_table_counts_them_all(out, monkeypatch):
    monkeypatch.setattr("equirgz.report.tables.intervals.N_DRAWS", 20)
    results = open_results(out)
    predictions, rows = results.predictions, results.rows
    for _, block in predictions.groupby("run_key"):
        assert len(block) == block["source_id"].nunique() == 37
    errors = rows[(rows.metric == "error/rate") & rows.angle_deg.isna()].set_index("run_key")
    assert len(errors) == 4 and set(errors.n) == {37}
    for run_key, block in predictions.groupby("run_key"):
        wrong = block[["p0", "p1"]].to_numpy().argmax(1) != block["target"]
        assert errors.value[run_key] == pytest.approx(100 * wrong.mean())
    folds = load_results(out).set_index(["cell_key", "seed"])
    turned = rows[(rows.metric == "rotation/error") & (rows.angle_deg == 180)]
    for row in turned.itertuples():
        parts = folds.loc[(row.cell_key, row.seed)]
        parts = parts[(parts.metric == "rotation/error") & (parts.angle_deg == 180)]
        assert row.value == pytest.approx((parts.value * parts.n).sum() / 37) and row.n == 37
    write_tables(out)
    with open(out / "tables" / "error_rate_test_network.csv") as file:
        lines = list(csv.DictReader(file))
    assert [(line["group"], line["n_sources"], line["n_seeds"]) for line in lines] == [
        ("C1", "37", "2"),
        ("D4", "37", "2"),
    ]
    text = (out / "tables" / "error_rate_test_network.md").read_text()
    assert "n = 37 sources, each tested once per seed by 3-fold cross-validation" in text
    comparison = pd.read_csv(out / "tables" / "comparison_test_network.csv")
    assert comparison.n_sources.tolist() == [37] and comparison.n_seeds.tolist() == [2]
    assert "share training sources" in (out / "tables" / "comparison_test_network.md").read_text()
    assert "4 done" in make_page(results)


def test_a_seed_that_lacks_a_fold_is_missing_or_failed_not_a_smaller_table(out):
    plan = open_results(out)
    lost = load_results(out).query("group == 'D4' and seed == 1 and fold == '2'").run_key.iloc[0]
    cell = out / "cells" / f"{lost}.json"
    cell.rename(out / "cells" / f"{lost}.failed.json")
    collect(out)
    results = open_results(out)
    assert len(plan.rows.run_key.unique()) == 4 and len(results.rows.run_key.unique()) == 3
    assert len(results.failed.keys() & {run["run_key"] for run in results.plan["runs"]}) == 1
    assert "1/2" in format_table(out)
    page = make_page(results)
    assert "3 done, 1 failed" in page


def test_no_whole_seed_and_rows_without_their_predictions_are_refused(out):
    with pytest.raises(ResultsError, match="expected their results folder"):
        format_table(load_results(out))
    rows = pd.read_csv(out / "rows.csv", dtype=str, keep_default_na=False)
    rows[rows.fold == "0"].to_csv(out / "rows.csv", index=False)
    with pytest.raises(ResultsError, match="all folds of at least one seed, got 4 finished folds"):
        open_results(out)
    rows.to_csv(out / "rows.csv", index=False)
    (out / "predictions.csv.gz").unlink()
    with pytest.raises(ResultsError, match=r"expected predictions.csv.gz"):
        open_results(out)


def test_a_source_in_two_folds_is_refused(out):
    path = out / "predictions.csv.gz"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    first = frame[frame.fold == "0"].iloc[0]
    frame.loc[frame.fold == "1", "source_id"] = first.source_id
    frame.to_csv(path, index=False)
    with pytest.raises(ResultsError, match="expected each source in one fold"):
        open_results(out)


def test_identities_of_runs_without_folds_are_what_they_were():
    plain = parse_run({"backbone": {"group": "C1"}})
    assert plain.run_key() == "8a3371b2d1cc1bcb" and plain.cell_key() == "c151b38ed5abf7aa"
    assert pretrain_key(parse_run({"backbone": {"group": "C1"}, "pretrain": {}})) == "4abcadddd4ae87af"
    assert "fold" not in RunConfig().model_dump()["split"]


def test_folds_are_runs_of_one_cell_with_pretrainings_of_their_own():
    grid = make_grid({**DOCUMENT, "base": {**DOCUMENT["base"], "pretrain": {}}})
    assert len({point.run_key for point in grid.points}) == 12 and grid.n_cells == 2
    assert len({pretrain_key(config) for config in grid.runs}) == 12


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"fold": 3, "n_folds": 3}, "expected fold below n_folds"),
        ({"fold": 1}, "both or neither of fold and n_folds"),
        ({"n_folds": 5}, "both or neither of fold and n_folds"),
        ({"fold": 0, "n_folds": 1}, "greater than or equal to 2"),
    ],
)
def test_half_a_fold_is_refused(split, message):
    with pytest.raises(InputError, match=message):
        parse_run({"split": split})


def test_the_committed_grid_tests_all_sources_with_the_recipe_of_mirabest_quick():
    from test_benchmarks import FOLDER

    grid, quick = (
        load_grid(FOLDER / "cross_validation.yaml"),
        load_yaml(FOLDER / "mirabest_quick.yaml")["base"],
    )
    assert len(grid.runs) == 50 and grid.n_cells == 2
    for config in grid.runs:
        fields = config.model_dump()
        for section in ("data", "backbone"):
            assert {key: fields[section][key] for key in quick[section] if key != "params"} == {
                key: value for key, value in quick[section].items() if key != "params"
            }
        assert config.backbone.params == quick["backbone"]["params"] and config.train.steps == quick["train"]["steps"]
        assert config.train.augmentation == "rotation_flips" and config.split.n_folds == 5
