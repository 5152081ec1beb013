"""scikit-learn's own checks of an estimator, and its customs with images.

Its checks hold flat arrays of any number of features, and an image needs a square number of pixels: the estimator
they see puts zeros behind them, up to 17 x 17, and is as it is otherwise.
"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import estimator_checks_generator

from equirgz.backbones import create_backbone
from equirgz.errors import ImageError, ImagesChangedWarning, InputError
from equirgz.train.estimators.classifier import EquirgzClassifier, finetune
from equirgz.train.sources.streams import IndexStream

SIDE = 17
TINY = {"backbone": "lenet", "width": 0.2, "steps": 1, "batch_size": 16, "augmentation": "none", "mask": False}

#: checks that this estimator cannot or should not pass, each with its reason
EXCLUDED = {
    "check_array_api_input": "images are brought to numpy, whatever holds them",
    "check_classifiers_train": "asks for an accuracy that takes a real training",
    "check_classifiers_classes": "asks for an accuracy that takes a real training",
    "check_class_weight_classifiers": "there is no class_weight",
    "check_sample_weight_equivalence_on_dense_data": "weights are how often a source is drawn, in a random order",
    "check_sample_weight_equivalence_on_sparse_data": "sparse images are refused",
    "check_dataframe_column_names_consistency": "the same message, on one line as every error of this package",
    "check_dtype_object": "asks for a TypeError; objects that are no numbers are an ImageError, a ValueError",
    "check_complex_data": "asks for other words than 'complex numbers'",
    "check_estimators_empty_data_messages": "zero features get zeros behind them here",
    "check_estimator_sparse_tag": "sparse images are refused in other words",
    "check_estimator_sparse_array": "sparse images are refused in other words",
    "check_estimator_sparse_matrix": "sparse images are refused in other words",
}


def padded(X):
    """Return flat images of 17 x 17 px of any flat array that is one, else what came."""
    if hasattr(X, "toarray"):
        return X
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] > SIDE**2:
        return X
    return np.pad(X, ((0, 0), (0, SIDE**2 - X.shape[1])))


class Padded(EquirgzClassifier):
    """The estimator, for arrays that hold no square number of pixels."""

    def _prepare(self, X, network):
        return super()._prepare(padded(X), network)


def applicable():
    return [
        pytest.param(check, id=name)
        for _, check in estimator_checks_generator(Padded(**TINY))
        if (name := (check.func if isinstance(check, functools.partial) else check).__name__) not in EXCLUDED
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", applicable())
def test_check_of_scikit_learn(check):
    check(Padded(**TINY))


def make(n=12, size=SIDE):
    rng = np.random.default_rng(0)
    return rng.random((n, size, size), dtype=np.float32), np.arange(n) % 2


def test_unfitted_estimators_say_so():
    X, _ = make()
    for method in ("predict", "predict_proba", "transform"):
        with pytest.raises(NotFittedError):
            getattr(EquirgzClassifier(), method)(X)
    with pytest.raises(NotFittedError):
        EquirgzClassifier().get_feature_names_out()


def test_outputs_have_names_and_become_tables():
    X, y = make()
    model = EquirgzClassifier(**TINY).set_output(transform="pandas").fit(X, y)
    table = model.transform(X)
    names = [f"equirgzclassifier{i}" for i in range(model.objective_.backbone.num_features)]
    assert list(table.columns) == names == list(model.get_feature_names_out())
    assert model.n_features_in_ == SIDE**2


def test_flat_features_are_counted_and_named():
    X, y = make()
    frame = pd.DataFrame(X.reshape(len(X), -1), columns=[f"p{i}" for i in range(SIDE**2)])
    model = EquirgzClassifier(**TINY).fit(frame, y)
    assert model.n_features_in_ == SIDE**2 and list(model.feature_names_in_) == list(frame.columns)
    assert np.array_equal(model.predict_proba(frame), EquirgzClassifier(**TINY).fit(X, y).predict_proba(X))
    with pytest.raises(ImageError, match="The feature names should match") as refused:
        model.predict(frame.rename(columns={"p0": "q"}))
    assert "\n" not in str(refused.value)
    with pytest.raises(ImageError, match=r"\(17, 17\): X has 17 features.*one image is images\[None\]"):
        EquirgzClassifier(**TINY).fit(X, y).predict(X[0])


def test_weights_are_how_often_a_source_is_drawn():
    X, y = make()
    plain = EquirgzClassifier(**TINY).fit(X, y).predict_proba(X)
    for weight in (np.ones(12), np.full(12, 3.0), 2.0):
        assert np.array_equal(EquirgzClassifier(**TINY).fit(X, y, weight).predict_proba(X), plain)
    without = EquirgzClassifier(**TINY).fit(X, y, np.arange(12) < 8).predict_proba(X)
    assert np.array_equal(without, EquirgzClassifier(**TINY).fit(X[:8], y[:8]).predict_proba(X))
    assert not np.array_equal(EquirgzClassifier(**TINY).fit(X, y, np.arange(12) + 1.0).predict_proba(X), plain)
    for bad in (np.ones(3), np.ones((12, 1)), -np.ones(12), np.zeros(12), np.full(12, np.nan), ["a"] * 12):
        with pytest.raises(InputError, match="sample_weight: expected 12 finite numbers"):
            EquirgzClassifier(**TINY).fit(X, y, bad)
    with pytest.raises(InputError, match="learns from batches alone, got LastLayerLaplace"):
        EquirgzClassifier(**TINY, objective="laplace").fit(X, y, np.arange(12) + 1)


@settings(max_examples=30, deadline=None)
@given(weights=st.lists(st.integers(1, 5), min_size=2, max_size=9), seed=st.integers(0, 99))
def test_a_pass_holds_every_source_as_often_as_it_weighs(weights, seed):
    n, weight_N = len(weights), torch.tensor(weights, dtype=torch.float64)
    stream = IndexStream(n, n, seed, weight_N)
    share_N = n * weight_N / weight_N.sum()
    for _ in range(3):
        count_N = torch.bincount(stream.next(), minlength=n)
        assert bool(((count_N >= share_N.floor() - 1e-9) & (count_N <= share_N.ceil() + 1e-9)).all())


def test_images_of_another_size_are_resampled_with_a_warning():
    X, y = make()
    larger = np.repeat(np.repeat(X, 2, -1), 2, -2)
    encoder = create_backbone("lenet", image_size=SIDE, width=0.2)
    model = finetune(encoder, X, y, steps=1)
    with pytest.warns(ImagesChangedWarning, match="resampled from 34 to 17 px"):
        again = finetune(encoder, larger, y, steps=1)
    for images in (larger, torch.from_numpy(larger), (larger * 255).round().astype("u1")):
        with pytest.warns(ImagesChangedWarning, match="resampled from 34 to 17 px"):
            assert np.allclose(model.predict_proba(images), again.predict_proba(X), atol=2e-3)


@pytest.mark.parametrize("kind", ["f2", "<f8", ">f4", ">f8", "u1", ">i4"])
def test_every_type_of_pixel_trains_the_same_classifier(kind):
    byte, y = np.random.default_rng(0).integers(0, 256, (12, SIDE, SIDE)), make()[1]
    plain = EquirgzClassifier(**TINY).fit((byte / 255).astype("f4"), y)
    images = (byte if kind[-2] in "iu" else byte / 255).astype(kind)
    model = clone(plain).fit(images, y)
    assert np.allclose(model.predict_proba(images), plain.predict_proba((byte / 255).astype("f4")), atol=1e-2)


def test_an_encoder_says_what_it_takes():
    encoder = create_backbone("lenet", image_size=SIDE, width=0.2)
    x = torch.rand(2, 1, SIDE, SIDE)
    for images, message in (
        (x.numpy(), "expected a tensor .* got ndarray; equirgz.evaluate.embed"),
        ((x * 255).byte(), "expected real floats, got torch.uint8; .* by images / 255"),
        (x + 0j, "expected real floats, got torch.complex64"),
        (x.double(), "expected torch.float32 as the weights, got torch.float64"),
        (x.half(), "got torch.float16; use images.to"),
        (x[0], "one image is|give 1 channel|put the images"),
        (x[0, 0], r"\(17, 17\); one image is images\[None\]"),
        (x.expand(2, 3, SIDE, SIDE), r"\(2, 3, 17, 17\); give 1 channel, or build the network with in_channels=3"),
        (x.permute(0, 2, 3, 1), r"np.moveaxis\(images, -1, 1\)"),
        (x[..., :9], "oblong"),
        (x[..., :9, :9], r"got \(2, 1, 9, 9\); crop or resample"),
    ):
        with pytest.raises(ImageError, match=message):
            encoder(images)
