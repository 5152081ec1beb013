import numpy as np
import pytest
import torch

from equirgz.data.datasets import DATASETS
from equirgz.data.simulate.synthetic_votes import (
    QUESTIONS,
    add_votes,
    answer_probabilities,
    cast_votes,
    morphology_error,
)
from equirgz.errors import DataError, InputError
from equirgz.grid.run.cell import run_cell
from equirgz.objectives import create_objective
from equirgz.tasks.votes import Votes
from tests.grid.test_cell import plan
from tests.train.toy import make_backbone

OPTIONS = {"n_train": 64, "n_test": 20}


def test_votes_follow_the_stated_law():
    n = 4000
    generator = np.random.default_rng(0)
    truth_N, error_N = np.arange(n) % 3, np.full(n, 0.2)
    p_NK = answer_probabilities(truth_N, error_N, 3)
    np.testing.assert_allclose(p_NK.sum(1), 1)
    votes_NK = cast_votes(p_NK, 5.0, 0.25, generator)
    asked_N = np.isfinite(votes_NK).all(1)
    assert (np.isnan(votes_NK).all(1) == ~asked_N).all()  # a question is missing as a whole
    assert asked_N.mean() == pytest.approx(0.75, abs=0.03)
    total_N = votes_NK[asked_N].sum(1)
    assert total_N.min() >= 1 and total_N.mean() == pytest.approx(5, abs=0.15)
    right = votes_NK[asked_N, truth_N[asked_N]].sum() / total_N.sum()
    assert right == pytest.approx(0.8, abs=0.01)
    assert morphology_error([0.0, 1e9], 0.1).tolist() == [0.5, 0.1]  # a guess; the least error


def test_small_sources_are_voted_on_worse_and_sizes_agree_with_the_truth():
    data = DATASETS.create("synthetic_fr", None, n_train=64, n_test=0)
    images = add_votes(data.train, 400.0, 0.05, 0.0, 0)
    votes_NA = Votes(QUESTIONS).targets(images)
    las_N = images.table["las_arcsec"].to_numpy()
    wrong_N = 1 - votes_NA[np.arange(64), images.label_N] / votes_NA[:, :2].sum(1)
    np.testing.assert_allclose(wrong_N, morphology_error(las_N, 0.05), atol=0.12)
    assert (votes_NA[:, 2:].argmax(1) == np.digitize(las_N, [30, 60])).all()


def test_the_set_repeats_and_its_checksum_knows_its_votes():
    first, again = (DATASETS.create("synthetic_votes", None, **OPTIONS) for _ in range(2))
    np.testing.assert_array_equal(Votes(QUESTIONS).targets(first.train), Votes(QUESTIONS).targets(again.train))
    other = DATASETS.create("synthetic_votes", None, confusion=0.3, **OPTIONS)
    assert first.checksum == again.checksum != other.checksum
    objective = create_objective("hybrid", make_backbone(), 2, questions=QUESTIONS)
    objective.check_labels(torch.as_tensor(Votes(QUESTIONS).targets(first.train)))


def test_the_hybrid_objective_trains_on_votes_in_a_grid():
    hybrid = {"name": "hybrid", "params": {"questions": [2, 3], "hidden": 16, "projection": 8}}
    votes = {"name": "synthetic_votes", "image_size": 17, "params": OPTIONS}
    readouts = "evaluation.readouts=[network]"
    result = run_cell(plan(readouts, objective=hybrid, data=votes).runs[0], None, None)
    log = result["training"][0]["last"]
    assert log["supervised"] > 0 and np.isfinite(log["loss"])
    (error,) = [r for r in result["rows"] if r["metric"] == "error/rate" and r["split"] == "test"]
    assert error["n"] == 20 and 0 <= error["value"] <= 100
    plain = {**votes, "name": "synthetic_fr"}
    with pytest.raises(DataError, match="votes: expected a column for each answer.*got none called vote_0_0"):
        run_cell(plan(readouts, objective=hybrid, data=plain).runs[0], None, None)


@pytest.mark.parametrize("wrong", [{"mean_votes": 0.5}, {"missing": 1.0}, {"confusion": 0.6}])
def test_bad_options(wrong):
    with pytest.raises(InputError, match="synthetic_votes: expected mean_votes >= 1"):
        DATASETS.create("synthetic_votes", None, **wrong)
