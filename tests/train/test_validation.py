"""Validation numbers are those of a slow loop; the kNN probe is that of scikit-learn's neighbours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from equirgz.config import TrainConfig
from equirgz.objectives import create_objective
from equirgz.train import TrainImages, make_knn_probe, make_validation, train
from equirgz.train.validation import is_better
from tests.train.toy import make_backbone, make_task


def test_validation_is_error_and_nll_in_eval_mode():
    x, y = make_task(7)
    objective = create_objective("supervised", make_backbone(dropout=0.5), 2, init_seed=0).train()
    found = make_validation(x, y, batch_size=3)(objective)
    assert objective.training and objective.backbone.training
    objective.eval()
    p = torch.softmax(objective.logits(x).detach().double(), 1)
    assert found["error"] == pytest.approx(float((p.argmax(1) != y).double().mean()))
    assert found["nll"] == pytest.approx(-sum(math.log(float(p[i, y[i]])) for i in range(7)) / 7, rel=1e-6)


def test_knn_probe_equals_neighbours_by_hand():
    (bank, y_bank), (x, y) = make_task(12), make_task(9, seed=3)
    objective = create_objective("byol", make_backbone(), 2, init_seed=0)
    found = make_knn_probe(bank, y_bank, x, y, k=4, temperature=0.2)(objective)
    objective.eval()
    with torch.no_grad():
        h_bank, h = objective(bank).numpy(), objective(x).numpy()
    distance, index = NearestNeighbors(n_neighbors=4, metric="cosine").fit(h_bank).kneighbors(h)
    nll, wrong = 0.0, 0
    for i in range(9):
        votes = np.full(2, 0.0)
        for d, j in zip(distance[i], index[i], strict=True):
            votes[int(y_bank[j])] += math.exp((1 - d) / 0.2)
        share = votes / votes.sum() + 1e-3
        share /= share.sum()
        nll -= math.log(share[int(y[i])])
        wrong += int(share.argmax() != int(y[i]))
    assert found["nll"] == pytest.approx(nll / 9, rel=1e-3)
    assert found["error"] == pytest.approx(wrong / 9)
    assert found["guess_error"] == pytest.approx(float((y != 0).double().mean())), "6 and 6: the first class is named"


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_probe_is_logged_and_changes_nothing(precision):
    config = TrainConfig(steps=6, batch_size=8, augmentation="flips", eval_every=2, precision=precision)
    (bank, y_bank), (x, y) = make_task(12), make_task(8, seed=3)

    def begin(**options):
        objective = create_objective("byol", make_backbone(dropout=0.3), 2, init_seed=0, hidden=16, projection=8)
        log = train(objective, TrainImages(u_MCHW=bank), config, seed=0, log_every=1, **options)
        return objective.state_dict(), log

    plain, without = begin()
    state, log = begin(probe=make_knn_probe(bank, y_bank, x, y))
    assert all(torch.equal(value, state[key]) for key, value in plain.items())
    assert [step for step, _ in log.curve("probe/error")] == [2, 4, 6] and log.best_step is None
    bare = [{k: v for k, v in row.items() if not k.startswith("probe/")} for row in log.rows]
    assert bare == without.rows


def test_a_probe_that_ends_no_better_than_a_guess_is_warned_of():
    images = TrainImages(u_MCHW=make_task(8)[0])
    config = TrainConfig(steps=4, batch_size=8, augmentation="none", eval_every=2)
    for error, n in ((0.5, 1), (0.4, 0)):
        objective = create_objective("byol", make_backbone(), 2, init_seed=0, hidden=16, projection=8)
        log = train(objective, images, config, seed=0, probe=lambda _, e=error: {"error": e, "guess_error": 0.5})
        warned = [w for w in log.warnings if w.startswith("probe")]
        assert len(warned) == n and all("step 4: error 0.5, and 0.5 for always" in w for w in warned)


def test_ties_in_error_go_to_the_lower_nll():
    best = {"error": 0.1, "nll": 0.5}
    assert is_better({"error": 0.1, "nll": 0.4}, best) and not is_better({"error": 0.1, "nll": 0.5}, best)
    assert is_better({"error": 0.05, "nll": 9.0}, best) and not is_better({"error": 0.2, "nll": 0.0}, best)
    assert is_better(best, None)
