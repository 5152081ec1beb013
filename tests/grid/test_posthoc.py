import numpy as np
import pytest
import torch

from equirgz.data.imageset import ImageSet
from equirgz.data.splits.hidden_labels import find_hidden_labels
from equirgz.errors import InputError
from equirgz.grid.plan.preflight import check_grid
from equirgz.grid.run.blocks import Block
from equirgz.grid.run.cell import run_cell
from equirgz.grid.run.posthoc import scale_blocks, to_logits
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
    scaled, (row,) = scale_blocks([val, test])
    assert row["value"] == pytest.approx(2 / np.log(3), rel=1e-5) and row["n"] == 4 and row["split"] == "val"
    assert [(b.readout, b.split) for b in scaled] == [("temperature", "test")]
    odds = (scaled[0].kept["probability"][:, 0] / scaled[0].kept["probability"][:, 1]) ** (2 / np.log(3))
    np.testing.assert_allclose(odds, [9, 0.25], rtol=1e-5)
    again, _ = scale_blocks([val, block("test", [[0.9, 0.1], [0.2, 0.8]], [0, 0])])
    assert (again[0].kept["probability"] == scaled[0].kept["probability"]).all()  # test labels have no say


@pytest.mark.parametrize("label_N, n, words", [
    ([0, 1], 2, "all of them right"), ([0, 0], 2, "class 0 alone"), ([-1, -1], 0, ""),
])  # fmt: skip
def test_a_validation_set_that_does_not_fix_the_temperature_leaves_the_cells_missing(label_N, n, words, caplog):
    val = block("val", [[0.9, 0.1], [0.2, 0.8]], label_N)
    scaled, (row,) = scale_blocks([val, block("test", [[0.9, 0.1], [0.2, 0.8]], [1, 1])])
    assert scaled == [] and row["value"] is None and row["n"] == n
    assert words in caplog.text and np.isfinite(to_logits(np.array([[1.0, 0.0]]))).all()


def test_the_readout_needs_validation_sources_and_the_network():
    with pytest.raises(InputError, match="temperature: expected validation sources.*set split.n_val"):
        check_grid(plan("evaluation.readouts=[network, temperature]"), None)
    with pytest.raises(InputError, match="temperature: expected network beside it"):
        check_grid(plan("evaluation.readouts=[temperature]", "n_val=10"), None)


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
