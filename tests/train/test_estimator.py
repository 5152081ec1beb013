"""The scikit-learn estimator in clone, Pipeline, cross validation and grid search; fine-tuning in one call."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import equirgz
from equirgz.backbones import create_backbone
from equirgz.errors import InputError
from equirgz.geometry.action import disk_mask
from equirgz.train.estimators.classifier import EquirgzClassifier, finetune
from tests.train.toy import make_backbone, make_task

SMALL = {
    "backbone": "lenet",
    "group": "C1",
    "steps": 25,
    "batch_size": 16,
    "augmentation": "none",
    "lr": 3e-3,
}


def make_arrays(n: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x_NCHW, y_N = make_task(n, size=17, seed=seed)
    return x_NCHW[:, 0].numpy(), np.array(["FRI", "FRII"])[y_N]


def test_fit_predict_transform_score():
    X, y = make_arrays()
    model = EquirgzClassifier(**SMALL).fit(X, y)
    new, truth = make_arrays(seed=5)
    p = model.predict_proba(new)
    assert model.classes_.tolist() == ["FRI", "FRII"]
    assert p.shape == (24, 2) and p.sum(1) == pytest.approx(np.ones(24))
    assert model.score(new, truth) >= 0.9
    assert model.transform(new).shape == (24, 84)
    flat = EquirgzClassifier(**SMALL).fit(X.reshape(24, -1), y)
    assert np.array_equal(flat.predict_proba(new), p)


def test_clone_is_unfitted_and_equal():
    X, y = make_arrays()
    model = EquirgzClassifier(**SMALL, random_state=3).fit(X, y)
    twin = clone(model)
    assert not hasattr(twin, "objective_") and twin.get_params() == model.get_params()
    assert np.array_equal(twin.fit(X, y).predict_proba(X), model.predict_proba(X))
    other = clone(model).set_params(random_state=4).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), model.predict_proba(X))


def test_pipeline_cross_validation_and_grid_search():
    X, y = make_arrays()
    model = EquirgzClassifier(**(SMALL | {"steps": 12}))
    pipeline = make_pipeline(FunctionTransformer(lambda a: a.reshape(len(a), -1)), StandardScaler(), model)
    assert pipeline.fit(X, y).predict(X).shape == (24,)
    assert cross_val_score(model, X, y, cv=2).shape == (2,)
    search = GridSearchCV(model, {"lr": [1e-6, 5e-3]}, cv=2).fit(X, y)
    assert search.best_params_ == {"lr": 5e-3}


def test_bayesian_objectives_average_their_samples():
    X, y = make_arrays()
    model = EquirgzClassifier(**SMALL, objective="mc_dropout").fit(X, y)
    assert np.array_equal(model.predict_proba(X), model.predict_proba(X))
    single = torch.softmax(model.objective_.logits(torch.tensor(X)[:, None]), 1).detach().numpy()
    assert not np.allclose(single, model.predict_proba(X), atol=1e-3)


def test_images_are_masked_alike_in_training_and_prediction():
    X, y = make_arrays()
    sky = np.linspace(0, 2, len(X))[:, None, None]
    corners = (X + sky).astype(np.float32)
    model = EquirgzClassifier(**SMALL).fit(corners, y)
    outside = disk_mask(17).numpy() == 0
    dark = np.where(outside, 0, corners).astype(np.float32)
    assert np.array_equal(model.predict_proba(corners), model.predict_proba(dark))
    assert np.array_equal(model.transform(corners), model.transform(dark))
    bare = EquirgzClassifier(**SMALL, mask=False).fit(corners, y)
    assert not np.array_equal(bare.predict_proba(corners), bare.predict_proba(dark))


def test_a_probability_does_not_depend_on_the_other_images():
    X, y = make_arrays()
    model = EquirgzClassifier(**SMALL, objective="laplace").fit(X, y)
    many = np.concatenate([make_arrays(260, seed=1)[0], X])
    assert model.predict_proba(many)[260:] == pytest.approx(model.predict_proba(X), abs=1e-6)


def test_finetune_copies_the_encoder_and_moves_lower_blocks_less():
    X, y = make_arrays()
    encoder = create_backbone("lenet", image_size=17)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    model = finetune(encoder, X, y, steps=5, batch_size=16, layer_decay=0.01)
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())
    moved = {k: (v - before[k]).abs().max().item() for k, v in model.objective_.backbone.state_dict().items()}
    assert 0 < moved["stages.0.0.weight"] < 0.1 * moved["head.layers.1.weight"]
    frozen = finetune(encoder, X, y, steps=5, batch_size=16, freeze=True)
    assert all(torch.equal(v, before[k]) for k, v in frozen.objective_.backbone.state_dict().items())


def test_an_encoder_that_a_probe_used_can_be_finetuned():
    X, y = make_arrays()
    probed = finetune(create_backbone("lenet", image_size=17), X, y, steps=2, freeze=True).objective_.backbone
    assert all(parameter.requires_grad for parameter in probed.parameters())
    tuned = finetune(probed, X, y, steps=2).objective_.backbone
    moved = [not torch.equal(a, b) for a, b in zip(probed.parameters(), tuned.parameters(), strict=True)]
    assert all(moved)


def test_top_level_names():
    assert equirgz.finetune is finetune and equirgz.EquirgzClassifier is EquirgzClassifier


def test_bad_input():
    X, y = make_arrays()
    with pytest.raises(InputError, match="two classes, got one class"):
        EquirgzClassifier(**SMALL).fit(X, np.zeros(24))
    with pytest.raises(InputError, match="square number"):
        EquirgzClassifier(**SMALL).fit(np.zeros((24, 10)), y)
    with pytest.raises(InputError, match="unlabelled"):
        EquirgzClassifier(**SMALL, objective="fixmatch").fit(X, y)
    with pytest.raises(ValueError, match="inconsistent|one per image"):
        EquirgzClassifier(**SMALL).fit(X, y[:5])
    assert make_backbone().num_features == 8
