import numpy as np
import pytest
import torch

from equirgz.data.imageset import ImageSet
from equirgz.data.splits.hidden_labels import find_hidden_labels
from equirgz.errors import InputError
from equirgz.grid.plan.preflight import check_grid
from equirgz.grid.run.blocks import Block
from equirgz.grid.run.cell import run_cell
from equirgz.grid.run.posthoc import recalibrate_blocks, to_logits
from equirgz.metrics.calibration.recalibration import RECALIBRATIONS
from equirgz.tasks.classification import CLASSES
from tests.grid.test_cell import plan


def block(split, probability_NK, label_N):
    kept = CLASSES.keep(np.array(probability_NK), np.array(label_N))
    return Block("network", split, np.arange(len(label_N)), CLASSES, kept)


def test_the_temperature_is_that_of_the_closed_form_and_scales_the_test_set():
    """All logits differ by 2 and 3 of 4 are right: sigmoid(2 / T) = 3/4, so T = 2 / ln 3."""
    p = 1 / (1 + np.exp(-2))
    val = block("val", [[p, 1 - p]] * 4, [0, 0, 0, 1])
    test = block("test", [[0.9, 0.1], [0.2, 0.8]], [1, 1])
    scaled, (row,) = recalibrate_blocks([val, test], ["temperature"])
    assert row["value"] == pytest.approx(2 / np.log(3), rel=1e-5) and row["n"] == 4 and row["split"] == "val"
    assert [(b.readout, b.split) for b in scaled] == [("temperature", "test")]
    odds = (scaled[0].kept["probability"][:, 0] / scaled[0].kept["probability"][:, 1]) ** (2 / np.log(3))
    np.testing.assert_allclose(odds, [9, 0.25], rtol=1e-5)
    again, _ = recalibrate_blocks([val, block("test", [[0.9, 0.1], [0.2, 0.8]], [0, 0])], ["temperature"])
    assert (again[0].kept["probability"] == scaled[0].kept["probability"]).all()  # test labels have no say


@pytest.mark.parametrize("name, label_N, n, words", [
    ("temperature", [0, 1], 2, "all of them right"), ("temperature", [0, 0], 2, "class 0 alone"),
    ("temperature", [-1, -1], 0, ""), ("vector", [0, 1], 2, "without an error"), ("platt", [0, 1], 2, "without an"),
    ("isotonic", [1, 1], 2, "class 1 alone"), ("isotonic", [-1, -1], 0, ""),
])  # fmt: skip
def test_a_validation_set_that_does_not_fix_a_fit_leaves_its_cells_missing(name, label_N, n, words, caplog):
    val = block("val", [[0.9, 0.1], [0.2, 0.8]], label_N)
    scaled, (row,) = recalibrate_blocks([val, block("test", [[0.9, 0.1], [0.2, 0.8]], [1, 1])], [name])
    assert scaled == [] and row["value"] is None and row["n"] == n
    assert words in caplog.text and np.isfinite(to_logits(np.array([[1.0, 0.0]]))).all()


@pytest.mark.parametrize("name", sorted(RECALIBRATIONS))
def test_a_recalibration_needs_validation_sources_and_the_network(name):
    with pytest.raises(InputError, match=f"{name}: expected validation sources.*set split.n_val"):
        check_grid(plan(f"evaluation.readouts=[network, {name}]"), None)
    with pytest.raises(InputError, match=f"{name}: expected network beside it"):
        check_grid(plan(f"evaluation.readouts=[{name}]", "n_val=10"), None)


def test_a_run_is_mended_in_each_way_asked_for_without_a_look_at_the_test_labels():
    names = ["temperature", "vector", "platt", "isotonic"]
    p_NK = np.random.default_rng(0).dirichlet([1, 1], 40)
    val = block("val", p_NK, (np.random.default_rng(1).random(40) < p_NK[:, 1]).astype(int))
    made = [recalibrate_blocks([val, block("test", p_NK[:9], [label] * 9)], names) for label in (0, 1)]
    for (blocks, rows), (again, _) in [made]:
        assert [b.readout for b in blocks] == [row["readout"] for row in rows] == names
        for one, other in zip(blocks, again, strict=True):
            assert np.array_equal(one.kept["probability"], other.kept["probability"])
            np.testing.assert_allclose(one.kept["probability"].sum(1), 1)
        assert [row["unit"] for row in rows] == ["1", "nat", "nat", "nat"] and {row["split"] for row in rows} == {"val"}


def test_a_run_scales_its_test_predictions_by_the_temperature_it_reports():
    torch.set_num_threads(1)
    overrides = ("evaluation.readouts=[network, temperature]", "n_val=16")
    result = run_cell(plan(*overrides).runs[0], None, None)
    blocks = {(b["readout"], b["split"]): np.array(b["probability"]) for b in result["predictions"]}
    (row,) = [r for r in result["rows"] if r["metric"] == "calibration/temperature"]
    power = blocks["network", "test"] ** (1 / row["value"])
    np.testing.assert_allclose(blocks["temperature", "test"], power / power.sum(1, keepdims=True), atol=1e-9)
    assert ("temperature", "val") not in blocks and row["n"] == 16
    found = {(r["readout"], r["split"]) for r in result["rows"] if r["metric"] == "error/rate"}
    assert found == {("network", "test"), ("network", "val"), ("temperature", "test")}


def images(ids, labels, position=None):
    position = None if position is None else np.array(position)
    pixels = np.zeros((len(ids), 4, 4), np.uint8)
    return ImageSet("i", pixels, np.array(labels), np.array(ids), ("a", "b"), 1.8, position)


def test_hidden_labels_are_those_of_the_nearest_training_source():
    arcsec = 1 / 3600
    train = images(["a", "b"], [0, 1], [[10.0, 0.0], [10.0, 40 * arcsec]])
    pool = images(["p", "q", "r", "s"], [-1] * 4, [[10.0, 15 * arcsec], [10.0, 25 * arcsec], [11, 0], [np.nan, 0]])
    assert find_hidden_labels(pool, train).tolist() == [0, 1, -1, -1]
    assert find_hidden_labels(images(["b", "z"], [-1, -1]), images(["a", "b"], [0, 1])).tolist() == [1, -1]


FIXMATCH = {"name": "fixmatch", "params": {"threshold": 0.0, "ratio": 1}}
UNLABELLED = {
    "name": "synthetic_fr",
    "image_size": 17,
    "normalise": False,
    "params": {"n_train": 40, "n_test": 20},
    "unlabelled": "synthetic_fr",
    "unlabelled_params": {"n_train": 40, "n_test": 0},
}


def test_fixmatch_leaves_its_mask_rate_and_impurity_in_the_rows():
    grid = plan(objective=FIXMATCH, data=UNLABELLED)
    check_grid(grid, None)
    meters = {r["metric"]: r for r in run_cell(grid.runs[0], None, None)["rows"] if r["metric"].startswith("train/")}
    assert meters["train/mask_rate"]["value"] == 1 and meters["train/mask_rate"]["n"] == 40
    assert 0 <= meters["train/impurity"]["value"] <= 1 and meters["train/impurity"]["split"] == "train"


def test_strong_views_of_images_beyond_0_to_1_are_refused():
    with pytest.raises(InputError, match="data.normalise: expected false with objective 'fixmatch'"):
        check_grid(plan("data.normalise=true", objective=FIXMATCH, data=UNLABELLED), None)
