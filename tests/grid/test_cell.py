import contextlib
import json

import numpy as np
import pandas as pd
import pytest
import torch

from equirgz.data.splits.labelled import load_manifest
from equirgz.errors import EquirgzError, InputError, ResultsError
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.plan.preflight import check_grid
from equirgz.grid.results.split_manifests import write_splits
from equirgz.grid.run.cell import finish_run, run_cell
from equirgz.grid.run.prepare import prepare_run
from equirgz.grid.run.pretraining import pretrain_key
from equirgz.grid.run.training import train_objective
from equirgz.records import ROW_COLUMNS
from equirgz.report import write_tables

BASE = {
    "data": {"name": "synthetic_fr", "image_size": 17, "params": {"n_train": 40, "n_test": 20}},
    "backbone": {"name": "steerable_lenet", "group": "D4", "width": 0.5},
    "split": {"n_labels": 20},
    "train": {"steps": 3, "batch_size": 8},
    "evaluation": {"readouts": ["network", "linear_probe", "knn"], "rotation_angles": 4},
}
PRETRAIN = {"objective": {"name": "byol"}, "train": {"steps": 2, "batch_size": 8}}


def plan(*overrides, **changes):
    return make_grid({"name": "g", "base": {**BASE, **changes}}, overrides)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def compute(grid):
    return run_cell(grid.runs[0], None, None, grid=grid.name)


def test_a_run_repeats_bit_for_bit_and_depends_on_its_seed():
    first, second, other = compute(plan()), compute(plan()), compute(plan("seed=1"))
    assert first["rows"] == second["rows"] and first["predictions"] == second["predictions"]
    assert first["predictions"][0] != other["predictions"][0]


def test_rows_are_complete_and_agree_with_the_predictions():
    result = compute(plan())
    for row in result["rows"]:
        assert set(row) == set(ROW_COLUMNS)
    errors = {(r["readout"], r["split"]): r["value"] for r in result["rows"] if r["metric"] == "error/rate"}
    assert set(errors) == {(name, "test") for name in ("network", "linear_probe", "knn")}
    for block in result["predictions"]:
        wrong = np.argmax(block["probability"], 1) != np.array(block["target"])
        assert errors[block["readout"], block["split"]] == pytest.approx(100 * wrong.mean())
    metrics = {row["metric"] for row in result["rows"]}
    assert {"cost/parameters", "cost/multiply_adds", "rotation/confidence", "calibration/ece_perfect"} <= metrics
    quarter = [r for r in result["rows"] if r["metric"].startswith("equivariance") and r["angle_deg"] == 90]
    assert len(quarter) == 4 and all(row["value"] < 1e-5 for row in quarter)
    assert {t["metric"] for t in result["timings"]} >= {"train/seconds", "memory/peak"}


def test_validation_split_gives_rows_and_chooses_weights():
    result = compute(plan("n_val=10", "train.selection_rule=best_val", "train.eval_every=1"))
    assert {row["split"] for row in result["rows"]} == {"", "test", "val"}
    assert {row["selection_rule"] for row in result["rows"]} == {"best_val"}
    assert result["training"][0]["best_step"] in (1, 2, 3)


def test_pretraining_changes_the_features_that_the_probes_read():
    plain, pretrained = compute(plan()), compute(plan(pretrain=PRETRAIN))
    assert [log["stage"] for log in pretrained["training"]] == ["pretrain", "train"]
    probe = {block["readout"]: block for block in plain["predictions"]}
    probe_after = {block["readout"]: block for block in pretrained["predictions"]}
    assert probe["linear_probe"] != probe_after["linear_probe"]


def test_the_probe_of_a_pretraining_is_logged_and_changes_no_number():
    watched = {**PRETRAIN, "train": {**PRETRAIN["train"], "eval_every": 1}}
    plain, probed = compute(plan("n_val=10", pretrain=PRETRAIN)), compute(plan("n_val=10", pretrain=watched))
    assert plain["predictions"] == probed["predictions"]
    log = probed["training"][0]
    assert 0 <= log["last"]["probe/error"] <= 1 and log["best_step"] is None
    assert "probe/error" not in plain["training"][0]["last"]
    fewer = compute(plan("n_val=10", "n_labels=10", pretrain=watched))
    assert fewer["training"][0] == log, "a shared pre-training has one log"


def test_a_test_set_of_one_source_and_one_validation_source_leave_cells_missing():
    data = {**BASE["data"], "params": {"n_train": 40, "n_test": 1}}
    overrides = ("objective=mc_dropout", "evaluation.readouts=[network, temperature]", "n_val=1")
    result = compute(plan(*overrides, data=data))
    json.dumps(result, allow_nan=False)
    rows = {r["metric"]: r["value"] for r in result["rows"] if r["split"] == "test" and r["angle_deg"] is None}
    missing = {name for name, value in rows.items() if value is None}
    assert missing >= {"error/balanced", "calibration/ece_classwise", "uncertainty/uce_entropy"}
    assert not missing & {"error/rate", "nll/mean", "calibration/ece", "calibration/mce", "selective/aurc"}
    (row,) = [r for r in result["rows"] if r["metric"] == "calibration/temperature"]
    assert row["value"] is None and {block["readout"] for block in result["predictions"]} == {"network"}


def test_a_stored_pretraining_gives_the_same_rows_as_one_computed_on_the_spot(tmp_path):
    direct = compute(plan(pretrain=PRETRAIN))
    for _ in range(2):  # computed and stored, then taken from the store
        stored = run_cell(plan(pretrain=PRETRAIN).runs[0], None, None, grid="g", store=tmp_path)
        assert stored["rows"] == direct["rows"] and stored["predictions"] == direct["predictions"]
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    weights = next(tmp_path.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ResultsError, match="expected the weights of a pre-training.*delete it"):
        run_cell(plan(pretrain=PRETRAIN).runs[0], None, None, store=tmp_path)


def test_pretrainings_are_shared_across_label_counts_but_not_seeds_or_data():
    keys = {c.split.n_labels: pretrain_key(c) for c in plan("n_labels=[10, 20]", pretrain=PRETRAIN).runs}
    assert keys[10] == keys[20]
    others = ("seed=1", "split_seed=1", "n_val=5", "group=C4", "pretrain.train.steps=9", "image_size=33")
    assert len({pretrain_key(plan(o, pretrain=PRETRAIN).runs[0]) for o in ("steps=4", *others)}) == 7


def test_the_split_of_a_run_is_kept_as_ids_and_read_back(tmp_path):
    run = prepare_run(plan("n_val=6").runs[0])
    lines = write_splits(tmp_path, {"b": finish_run(run), "a": {}, "c": compute(plan("n_val=6", "seed=3"))})
    assert [line["run_key"] for line in lines] == ["b", "c"], "a recorded none"
    assert lines[0]["split"] == lines[1]["split"], "the split depends on split_seed, not on seed"
    (file,) = (tmp_path / "splits").iterdir()
    split = load_manifest(file, run.data.train.source_id_N)
    assert np.array_equal(split.train_index, run.split.train_index) and split.checksum == run.split.checksum
    assert (lines[0]["n_labels"], lines[0]["n_val"], lines[0]["dataset"]) == (20, 6, "synthetic_fr")


def test_training_sources_join_the_unlabelled_set_where_asked():
    data = {**BASE["data"], "unlabelled": "synthetic_fr", "unlabelled_params": {"n_unlabelled": 30, "seed": 5}}
    plain, joined = plan("n_val=4", data=data), plan("n_val=4", "data.unlabelled_with_train=true", data=data)
    runs = [prepare_run(grid.runs[0]) for grid in (plain, joined)]
    n_other, n_own = len(runs[0].pool_NCHW), len(runs[0].data.train) - 4
    assert [len(run.pool_NCHW) for run in runs] == [n_other, n_other + n_own]
    assert [len(run.hidden_label_M) for run in runs] == [n_other, n_other + n_own]
    assert np.array_equal(runs[1].pool_NCHW[n_other:], runs[1].data.train.subset(runs[1].split.unlabelled_index).x_NCHW)
    assert "unlabelled_with_train" not in plain.runs[0].model_dump()["data"]
    with pytest.raises(InputError, match="unlabelled_with_train"):
        plan("data.unlabelled_with_train=true")


def test_a_mask_that_is_off_is_off_in_training_too(monkeypatch):
    seen = {}
    monkeypatch.setattr("equirgz.grid.run.training.train", lambda _, images, *args, **__: seen.update(mask=images.mask))
    for mask in (True, False):
        with contextlib.suppress(AttributeError):  # there is no log to read
            train_objective(prepare_run(plan(f"mask={str(mask).lower()}").runs[0]))
        assert seen == {"mask": mask}


def test_the_cost_estimate_counts_the_views_of_each_objective():
    data = {**BASE["data"], "normalise": False}
    found = {}
    for ratio in (1, 4, 7):
        grid = plan("objective=fixmatch", f"objective.params.ratio={ratio}", data=data)
        found[ratio] = check_grid(grid, None).multiply_adds[grid.runs[0].run_key()]
    assert found[4] / found[1] == pytest.approx(9 / 3) and found[7] / found[1] == pytest.approx(15 / 3)


def test_batches_in_parts_are_recorded():
    result = run_cell(plan().runs[0], None, None, accumulate=2)
    assert {t["metric"]: t["value"] for t in result["timings"]}["train/batch_parts"] == 2


def test_objective_without_classifier_is_read_by_probes_alone():
    overrides = ("objective=byol", "evaluation.readouts=[knn]")
    result = compute(plan(*overrides))
    assert {block["readout"] for block in result["predictions"]} == {"knn"}
    assert not [row for row in result["rows"] if row["metric"].startswith("rotation")]
    with pytest.raises(InputError, match="objective 'byol' has no classifier"):
        check_grid(plan("objective=byol"), None)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("backbone.name=steerable_lent", "did you mean 'steerable_lenet'"),
        ("group=Q4", "Q4"),
        ("augmentation=rotate", "did you mean 'rotation'"),
        ("objective=supervisd", "did you mean 'supervised'"),
        ("data.name=synthetic", "did you mean 'synthetic_fr'"),
        ("data.params.n_tran=3", "n_tran"),
        ("backbone.params.heads=2", "unknown keyword 'heads'"),
        ("n_labels=50", "n_labels"),
        ("image_size=16", "16"),
        ("evaluation.readouts=[svm]", "svm"),
        ("train.selection_rule=best_val", "n_val"),
        ("train.optimizer.warmup_steps=9", "warmup_steps"),
    ],
)
def test_mistakes_are_found_before_any_training(override, message):
    with pytest.raises(EquirgzError, match=message) as caught:
        check_grid(plan(override), None)
    assert "\n" not in str(caught.value)


def test_check_reports_label_counts_and_arithmetic():
    grid = plan("n_labels=[10, null]")
    checked = check_grid(grid, None)
    assert sorted(checked.n_labels.values()) == [10, 40]
    assert all(value > 0 for value in checked.multiply_adds.values())
    assert checked.samples["image_NHW"].shape[1:] == (17, 17)
    twice = check_grid(plan("n_labels=10", "steps=6"), None)
    assert max(twice.multiply_adds.values()) == 2 * max(checked.multiply_adds.values())


def test_arithmetic_of_a_shared_pretraining_is_counted_once():
    costs = check_grid(plan("n_labels=[10, 20]", pretrain=PRETRAIN), None).multiply_adds.values()
    plain = set(check_grid(plan("n_labels=[10, 20]"), None).multiply_adds.values())
    assert min(costs) in plain and max(costs) > min(costs) and len(costs) == 2


def test_predictive_samples_give_uncertainty_and_overlap_rows_and_their_tables(tmp_path):
    params = {"n_train": 40, "n_test": 20, "shift": {"noise_mjy_per_beam": 0.5}}
    data = {**BASE["data"], "params": params}
    grid = plan("objective=mc_dropout", "evaluation.readouts=[network]", data=data)
    result = compute(grid)
    rows = {(r["split"], r["metric"]): r for r in result["rows"] if r["angle_deg"] is None}
    for split in ("test", "test_shift"):
        assert 0 <= rows[split, "uncertainty/mutual_information"]["value"] <= np.log(2)
        assert 0 <= rows[split, "uncertainty/overlap"]["value"] <= 1
        assert rows[split, "selective/aurc"]["n"] == 20
    assert 0 <= rows["test_shift", "ood/auroc_entropy"]["value"] <= 1
    assert ("test", "ood/auroc_entropy") not in rows
    assert all(set(row) == set(ROW_COLUMNS) for row in result["rows"])
    overlap = [r for r in result["rows"] if r["metric"] == "rotation/overlap"]
    assert [r["angle_deg"] for r in overlap] == [0, 90, 180, 270]
    assert np.ptp([r["value"] for r in overlap]) < 1e-5  # D4 at quarter turns, the same masks at each
    pd.DataFrame(result["rows"]).to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "grid.json").write_text('{"name": "g", "runs": []}')
    written = {path.name for path in write_tables(tmp_path)}
    assert {"uncertainty_overlap_test_network.md", "selective_aurc_test_shift_network.md"} <= written
    assert any(name.startswith("rotation_overlap_test") for name in written)


def test_a_network_without_samples_has_no_rows_of_them():
    metrics = {row["metric"] for row in compute(plan())["rows"]}
    assert not [m for m in metrics if m.startswith(("uncertainty/", "selective/", "ood/")) or m == "rotation/overlap"]
