"""Simulated sources beside real ones in every batch, and simulated ones without end, through whole runs."""

import numpy as np
import pytest

from equirgz.config import parse_run
from equirgz.data import load_data
from equirgz.errors import EquirgzError, InputError
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.plan.preflight import check_grid
from equirgz.grid.run.cell import run_cell
from equirgz.grid.run.prepare import prepare_run
from equirgz.grid.run.training import TrainOptions, train_objective
from equirgz.train.sources.batches import BatchMaker

LABELS = {"FRII": ["FRII"], "FRI": ["FRI", "bent"]}  # in another order than the run's
RADIO = {"name": "synthetic_radio", "params": {"labels": LABELS, "n_train": 40, "n_test": 0, "size_px": 64}}
STREAM = RADIO | {"params": RADIO["params"] | {"stream": True, "n_train": 70}}
BASE = {
    "data": {"name": "synthetic_fr", "image_size": 17, "params": {"n_train": 40, "n_test": 20}},
    "backbone": {"name": "steerable_lenet", "group": "D4", "width": 0.5},
    "split": {"n_labels": 12},
    "train": {"steps": 2, "batch_size": 8, "ema": 0.5},
    "evaluation": {"readouts": ["network"], "rotation_angles": 1},
}


def config(**changes):
    return parse_run({**BASE, **changes})


def test_a_run_without_joint_sources_has_no_such_field():
    assert "joint" not in config().model_dump() and config(joint={"data": RADIO}).joint.data.image_size == 17
    assert parse_run(config(joint={"data": RADIO}).model_dump(mode="json")) == config(joint={"data": RADIO})


@pytest.mark.parametrize("data", [RADIO, STREAM])
def test_batches_hold_the_stated_share_with_the_runs_labels(data):
    run = prepare_run(config(joint={"data": data, "share": 0.25}))
    images = run.make_images(task=run.task, unlabelled=False)
    assert images.parts_of_labelled == [(12, 0.75), (len(run.joint.train), 0.25)]
    index_B = BatchMaker(_objective(run), images, run.config.train, 0).next().index["labelled"]
    assert [(index_B < 12).sum(), (index_B >= 12).sum()] == [6, 2]
    other = run.joint.train
    assert other.class_names == ("FRI", "FRII")
    named = np.array(other.class_names)[other.label_N]
    assert all((name == "FRII") == (truth == "FRII") for name, truth in zip(named, other.table["class"], strict=True))
    assert np.array_equal(images.y_N[12:].numpy(), other.label_N)


def _objective(run):
    from equirgz.grid.run.training import make_objective

    return make_objective(run, run.config.objective)


def test_a_joint_run_comes_to_its_rows_and_depends_on_its_share():
    results = [run_cell(config(joint={"data": STREAM, "share": share}), None, None) for share in (0.25, 0.25, 0.5)]
    assert results[0]["rows"] == results[1]["rows"] and results[0]["predictions"] != results[2]["predictions"]
    assert {row["n_labels"] for row in results[0]["rows"]} == {12}, "simulated sources are no labels"


def test_a_stream_goes_on_behind_its_set_from_a_whole_block():
    def load(**changes):
        params = STREAM["params"] | changes
        return load_data("synthetic_radio", image_size=17, normalise=False, params=params)

    plain, longer = load(), load(n_train=140).train
    data = load_data("synthetic_radio", image_size=17, params=STREAM["params"])
    rms = float(np.sqrt(np.mean(np.square(plain.train.image_NHW, dtype=np.float64))))
    more = data.endless(0, 8)
    assert np.allclose(more.image_NHW, longer.image_NHW[128:136] / rms, rtol=1e-6)
    assert more.source_id_N[0].endswith("0000128") and np.array_equal(more.label_N, longer.label_N[128:136])
    assert np.array_equal(data.endless(3, 2).image_NHW, more.image_NHW[3:5])


def test_a_training_on_a_stream_is_the_same_twice_and_sees_no_source_of_the_set():
    streamed = config(data=STREAM | {"image_size": 17}, split={"n_val": 10}, train=BASE["train"] | {"steps": 3})
    finished = []
    for _ in range(2):
        run = prepare_run(streamed)
        objective, log = train_objective(run, TrainOptions())
        finished.append((log["last"]["loss"], objective.state_dict()))
    assert finished[0][0] == finished[1][0]
    assert all((value == finished[1][1][name]).all() for name, value in finished[0][1].items())
    maker = BatchMaker(objective, run.make_images(task=run.task), run.config.train, 0)
    assert maker.next().index["labelled"].tolist() == list(range(60, 68))


def stream(**params):
    return {"joint": {"data": STREAM | {"params": STREAM["params"] | params}}}


def fixed(**params):
    return {"joint": {"data": RADIO | {"params": RADIO["params"] | params}}}


WITHOUT_LABELS = fixed() | {"objective": {"name": "simclr"}, "evaluation": {"readouts": ["knn"]}}
SAME_SET = {"joint": {"data": BASE["data"]}, "split": {"hold_out": 10, "n_labels": 20}}
TESTED = STREAM | {"image_size": 17, "params": STREAM["params"] | {"n_test": 5}}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"data": TESTED}, "expected no split.n_labels with an endless stream, got 12"),
        (stream(labels=["FRI"], mixture={"FRI": 1, "FRII": 1}), "joint: .*expected a label of every source"),
        (stream(labels=["FRI", "compact"]), "joint: .*of the run's classes FRI, FRII alone, got compact"),
        (fixed(labels=["compact", "none"]), "joint: .*expected a class of FRI, FRII, got compact, none"),
        (WITHOUT_LABELS, "joint: expected an objective that learns from labels, got SimClr"),
        (fixed() | {"objective": {"name": "laplace"}}, "joint: expected an objective that learns from batches alone"),
        (SAME_SET, "joint: .*expected no source with the id"),
        ({"joint": {"data": {"name": "no_such_set"}}}, "joint: .*no_such_set"),
    ],
)
def test_a_dry_run_finds_what_is_wrong_beside_a_run(changes, line):
    with pytest.raises(EquirgzError, match=line) as error:
        check_grid(make_grid({"name": "g", "question": "?", "base": {**BASE, **changes}}), None)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("joint", "line"),
    [
        ({}, "key 'joint.data': expected a value"),
        ({"data": RADIO, "share": 1.0}, "key 'joint.share'"),
        ({"data": RADIO, "shar": 0.5}, "unknown key 'joint.shar'; did you mean 'share'"),
        ({"data": RADIO | {"unlabelled": "mnist"}}, "expected data without extra_tests and unlabelled"),
        ({"data": RADIO | {"image_size": 33}}, "expected joint.data.image_size 17 as the run's, got 33"),
    ],
)
def test_bad_fields_of_a_joint_training_give_one_line(joint, line):
    with pytest.raises(InputError, match=line):
        config(joint=joint)
