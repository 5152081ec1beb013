"""Cross entropy acts on logits; options are checked."""

from __future__ import annotations

import math

import pytest
import torch

from equirgz.errors import InputError
from equirgz.objectives import Batch, create_objective, list_objectives
from tests.train.toy import make_backbone, make_task


def test_loss_is_cross_entropy_of_logits_with_smoothing():
    x, y = make_task(6)
    for smoothing in (0.0, 0.1):
        objective = create_objective("supervised", make_backbone(), 2, label_smoothing=smoothing)
        loss, logs = objective.training_step(Batch({"labelled": x}, y), 0, 1)
        logits = objective.logits(x).detach().double()
        slow = 0.0
        for row, label in zip(logits, y, strict=True):
            log_p = [float(v) - math.log(sum(math.exp(float(u)) for u in row)) for v in row]
            slow -= (1 - smoothing) * log_p[int(label)] + smoothing * sum(log_p) / 2
        assert float(loss.detach()) == pytest.approx(slow / 6, rel=1e-5)
        assert float(logs["train_error"]) == pytest.approx(float((logits.argmax(1) != y).double().mean()))
    assert objective.sample_logits(x, 5).shape == (1, 6, 2)


def test_heads_are_reproducible_without_touching_global_generator():
    before = torch.get_rng_state()
    a, b, c = (create_objective("supervised", make_backbone(), 3, init_seed=s).classifier.weight for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize(
    "name, classes, params, words",
    [
        ("supervized", 2, {}, "did you mean 'supervised'"),
        ("supervised", 2, {"label_smooting": 0.1}, "did you mean 'label_smoothing'"),
        ("supervised", 2, {"label_smoothing": 1.0}, "label_smoothing"),
        ("supervised", 2, {"dropout": 1.5}, "dropout"),
        ("supervised", 1, {}, "at least 2"),
    ],
)
def test_bad_options(name, classes, params, words):
    with pytest.raises(InputError, match=words):
        create_objective(name, make_backbone(), classes, **params)


def test_registered_names():
    assert {"byol", "supervised"} <= set(list_objectives())
