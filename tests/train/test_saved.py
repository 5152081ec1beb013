"""A classifier on disk: two files without pickle, and the very probabilities of the one that was saved."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn
from torch.nn.utils import parametrizations, prune

import equirgz
from equirgz.backbones import create_backbone, load_encoder, save_encoder
from equirgz.errors import DataError, InputError
from equirgz.objectives.scaled_objective import TemperatureScaled
from equirgz.train.estimators.classifier import EquirgzClassifier, finetune
from tests.train.test_estimator import make_arrays
from tests.train.toy import make_backbone

TINY = {"backbone": "steerable_cnn", "group": "C4", "width": 0.1, "steps": 2, "batch_size": 8, "augmentation": "none"}
LABELS = {
    "texts": np.array(["FRI", "FRII"]),
    "objects": np.array(["FRI", "FRII"], dtype=object),
    "whole numbers": np.array([3, 7]),
    "flags": np.array([False, True]),
}


def make_encoder() -> nn.Module:
    return create_backbone("steerable_cnn", group="C4", image_size=17, width=0.1)


def assert_same_after_loading(model: EquirgzClassifier, path) -> EquirgzClassifier:
    X, _ = make_arrays(10, seed=3)
    loaded = EquirgzClassifier.load(model.save(path))
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert np.array_equal(loaded.predict(X), model.predict(X))
    assert loaded.classes_.dtype == model.classes_.dtype
    return loaded


@pytest.mark.parametrize("objective", ["supervised", "mc_dropout", "laplace", "variational", "ivon", "hybrid", "sngp"])
def test_every_objective_predicts_the_same_after_loading(objective, tmp_path):
    X, y = make_arrays()
    options = {"hidden": 16, "projection": 8} if objective == "hybrid" else None
    model = EquirgzClassifier(**TINY, objective=objective, objective_params=options).fit(X, y)
    loaded = assert_same_after_loading(model, tmp_path / "model")
    assert np.array_equal(loaded.transform(X), model.transform(X))
    assert loaded.n_features_in_ == model.n_features_in_


@pytest.mark.parametrize("kind", LABELS)
def test_classes_keep_their_type(kind, tmp_path):
    X, _ = make_arrays()
    model = EquirgzClassifier(**TINY).fit(X, LABELS[kind][np.arange(24) % 2])
    assert assert_same_after_loading(model, tmp_path / "model").classes_.tolist() == LABELS[kind].tolist()


@pytest.mark.parametrize("how", ["as it is", "frozen", "adapted", "pruned", "wrapped", "saved"])
def test_a_finetuned_encoder_is_saved_whole_and_alone(how, tmp_path):
    X, y = make_arrays()
    encoder = make_encoder()
    first = encoder.blocks()[0]
    if how == "frozen":
        first.requires_grad_(False)
    elif how == "adapted":
        parametrizations.weight_norm(first[0], "weight")
    elif how == "pruned":
        prune.l1_unstructured(first[0], "weight", 0.5)
    elif how == "wrapped":
        encoder = nn.DataParallel(encoder)
    elif how == "saved":
        encoder = save_encoder(encoder, tmp_path / "first")
    model = finetune(encoder, X, y, steps=2, batch_size=8)
    loaded = assert_same_after_loading(model, tmp_path / "model")
    flags = [p.requires_grad for p in loaded.encoder_.parameters()]
    assert all(flags) if how != "frozen" else flags.count(False) == len(list(first.parameters()))
    alone = load_encoder(save_encoder(model.encoder_, tmp_path / "encoder"))
    x_NCHW = torch.tensor(X)[:, None]
    torch.testing.assert_close(alone(x_NCHW), loaded.encoder_(x_NCHW), rtol=1e-5, atol=1e-6)
    if how == "pruned":
        assert int((alone.blocks()[0][0].weight == 0).sum()) >= first[0].weight.numel() // 2
    again = loaded.fit(X, y)
    assert again.encoder_.config == alone.config


def test_the_files_hold_words_and_numbers_alone(tmp_path):
    X, y = make_arrays()
    model = EquirgzClassifier(**TINY, random_state=np.random.RandomState(0)).fit(X, y)
    path = model.save(tmp_path / "model", preprocessing={"crop_arcsec": 270})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "model.safetensors"]
    described = json.loads(path.with_suffix(".json").read_text())
    assert described["format"] == "equirgz-classifier" and described["version"] == equirgz.__version__
    assert described["facts"] == {"preprocessing": {"crop_arcsec": 270}} and described["temperature"] == 1
    assert described["classes"]["values"] == ["FRI", "FRII"]
    assert EquirgzClassifier.load(path.with_suffix(".json")).get_params() == model.get_params() | {"random_state": None}


def test_a_temperature_is_kept(tmp_path):
    X, y = make_arrays()
    model = EquirgzClassifier(**TINY).fit(X, y)
    sharp = model.predict_proba(X)
    model.objective_ = TemperatureScaled(model.objective_, 3.0)
    loaded = assert_same_after_loading(model, tmp_path / "model")
    assert not np.allclose(loaded.predict_proba(X), sharp)
    assert loaded.encoder_.num_features == model.encoder_.num_features


def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path):
    X, y = make_arrays()
    with pytest.raises(NotFittedError):
        EquirgzClassifier(**TINY).save(tmp_path / "model")
    assert not hasattr(EquirgzClassifier(), "encoder_")
    model = EquirgzClassifier(**TINY).fit(X, y)
    with pytest.raises(InputError, match="save: expected JSON values"):
        model.save(tmp_path / "model", fact={1, 2})
    model.encoder_.register_forward_hook(lambda module, args, h: h + 1)
    with pytest.raises(InputError, match="got other probabilities with the same layers"):
        model.save(tmp_path / "model")
    toy = EquirgzClassifier(encoder=make_backbone(), steps=1, batch_size=8)
    toy.fit(X[:, :9, :9], y)
    with pytest.raises(InputError, match="expected an encoder of create_backbone, got a ToyBackbone"):
        toy.save(tmp_path / "model")
    with pytest.raises(InputError, match="a EquirgzClassifier; give its encoder_"):
        save_encoder(model, tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_damaged_and_foreign_files(tmp_path):
    X, y = make_arrays()
    model = EquirgzClassifier(**TINY).fit(X, y)
    path = model.save(tmp_path / "model")
    with pytest.raises(DataError, match="expected format 'equirgz-encoder', got format 'equirgz-classifier'"):
        load_encoder(path)
    with pytest.raises(DataError, match="expected format 'equirgz-classifier', got format 'equirgz-encoder'"):
        EquirgzClassifier.load(save_encoder(model.encoder_, tmp_path / "encoder"))
    with pytest.raises(DataError, match="no such file"):
        EquirgzClassifier.load(tmp_path / "nothing")
    described = json.loads(path.with_suffix(".json").read_text())
    del described["classes"]
    path.with_suffix(".json").write_text(json.dumps(described))
    with pytest.raises(DataError, match="describes no classifier of this version: 'classes'"):
        EquirgzClassifier.load(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="is damaged"):
        EquirgzClassifier.load(path)


def test_a_classifier_is_shown_in_few_words():
    model = EquirgzClassifier(encoder=make_encoder(), steps=7)
    assert repr(model).split() == ["EquirgzClassifier(encoder=<steerable_cnn", "C4,", "17>,", "steps=7)"]


@pytest.mark.parametrize("what", ["head", "plain", "dict", "meta"])
def test_what_is_no_encoder_is_refused_by_finetune(what):
    X, y = make_arrays()
    encoder = make_encoder()
    given, message = {
        "head": lambda: (nn.Sequential(encoder, nn.Linear(6, 2)), r"give the encoder in it, net\[0\]"),
        "plain": lambda: (encoder.to_plain(), "give the encoder that to_plain was called on"),
        "dict": lambda: (dict(encoder.state_dict()), "got a dict; give the network itself"),
        "meta": lambda: (encoder.to("meta"), "on the meta device"),
    }[what]()
    with pytest.raises(InputError, match=message) as refused:
        finetune(given, X, y, steps=1)
    assert "\n" not in str(refused.value)
