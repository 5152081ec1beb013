"""A fitted classifier on disk: ``NAME.safetensors`` (all weights) beside ``NAME.json`` (how to build it).

Loading needs no pickle and runs no code of the file, and gives the probabilities that the saved one gives.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

import equirgz
from equirgz.backbones.reference.convert import native_twin
from equirgz.backbones.storage import (
    check_pair,
    common_dtype,
    load_weights,
    read_files,
    write_files,
)
from equirgz.backbones.structure import find_other_layer, find_other_weight
from equirgz.backbones.wrapped import copy_network, make_weights_plain
from equirgz.errors import DataError, InputError
from equirgz.evaluate.predict import predict
from equirgz.objectives.scaled_objective import TemperatureScaled
from equirgz.objectives.teachers import CLASSIFIER, build_classifier

_FITTED = ("n_features_in_", "feature_names_in_", "pretrained_")


def save_classifier(model: BaseEstimator, path: Path | str, facts: dict[str, Any]) -> Path:
    """Write a fitted ``model`` to ``path``; return the path of the weights.

    Before anything is written the classifier is built anew from what will be written, and its probabilities
    of two random images compared. Raises InputError where they differ, for classes that JSON does not
    hold, and for an encoder that ``create_backbone`` did not build; ResultsError where nothing can be written.
    """
    objective, temperature = _parts(model)
    if not getattr(objective.backbone, "config", None):
        kind, mend = type(objective.backbone).__name__, "fit with one of them, or pickle the classifier"
        raise InputError("save", expected="an encoder of create_backbone", got=f"a {kind}", mend=mend)
    twin = native_twin(objective.backbone)
    instead = {} if twin is objective.backbone else {id(objective.backbone): twin}
    plain = make_weights_plain(copy_network(objective, instead))
    described = {
        "version": equirgz.__version__,
        "backbone": twin.config,
        "parameters": _parameters(model, twin.config),
        "classes": _write_classes(model.classes_),
        "temperature": temperature,
        "frozen": sorted(name for name, p in plain.backbone.named_parameters() if not p.requires_grad),
        "fitted": {name: _plain(getattr(model, name)) for name in _FITTED if hasattr(model, name)},
        "facts": ({"pretrained": model.pretrained_} if getattr(model, "pretrained_", None) else {}) | facts,
    }
    weights = plain.state_dict()
    _check_same(plain, build_classifier(described), weights)
    return write_files(path, CLASSIFIER, described, weights, what="save")


def load_classifier(kind: type[BaseEstimator], path: Path | str) -> BaseEstimator:
    """Return the classifier of class ``kind`` saved at ``path``, on the CPU.

    Raises DataError when a file is missing, damaged, of another version or no classifier.
    """
    path, described, weights = read_files(
        path, CLASSIFIER, mend="give the path that save returned, with both of its files"
    )
    try:
        objective = build_classifier(described)
        model = kind(**_with_tuples(kind, described["parameters"]))
        classes = described["classes"]
        model.classes_ = np.array(classes["values"], dtype=np.dtype(classes["dtype"]))
        fitted, temperature = described["fitted"], described["temperature"]
    except (InputError, KeyError, TypeError) as error:
        raise DataError(f"{path.with_suffix('.json')} describes no classifier of this version: {error}") from error
    objective.to(common_dtype(weights.values()))
    load_weights(objective, weights, source=str(path))
    check_pair(path, described)
    objective.eval()
    model.objective_ = objective if temperature == 1 else TemperatureScaled(objective, temperature)
    for name, value in fitted.items():
        setattr(model, name, np.array(value, dtype=object) if isinstance(value, list) else value)
    return model


def _parts(model: BaseEstimator) -> tuple[nn.Module, float]:
    """Return the objective and the temperature by which its logits are divided."""
    if isinstance(model.objective_, TemperatureScaled):
        return model.objective_.objective, float(model.objective_.temperature)
    return model.objective_, 1.0


def _parameters(model: BaseEstimator, config: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the estimator; in place of an encoder, what built it."""
    parameters = {name: _plain(value) for name, value in model.get_params(deep=False).items() if name != "encoder"}
    if model.encoder is not None:
        own = ("name", "engine", "group", "width", "in_channels", "image_size")
        options = {key: value for key, value in config.items() if key not in own}
        parameters |= {"backbone": config["name"], "group": config.get("group"), "width": config["width"]}
        parameters["backbone_params"] = options or None
    if isinstance(model.random_state, np.random.RandomState):
        parameters["random_state"] = None
    return parameters


def _with_tuples(kind: type[BaseEstimator], parameters: dict[str, Any]) -> dict[str, Any]:
    """Return ``parameters`` with the tuples that JSON wrote as lists, as the defaults of ``kind`` tell."""
    defaults = inspect.signature(kind).parameters
    return {
        name: tuple(value) if name in defaults and isinstance(defaults[name].default, tuple) else value
        for name, value in parameters.items()
    }


def _plain(value: Any) -> Any:
    """Return ``value`` with numpy's numbers and arrays, paths and groups as what JSON has."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) or hasattr(value, "n_rotations") else value


def _write_classes(classes: np.ndarray) -> dict[str, Any]:
    values = classes.tolist()
    odd = next((value for value in values if not isinstance(value, (str, bool, int, float))), None)
    if odd is not None:
        mend = "fit on their names or numbers"
        raise InputError("save", expected="classes that are texts or numbers", got=f"a {type(odd).__name__}", mend=mend)
    return {"values": values, "dtype": "object" if classes.dtype == object else classes.dtype.str}


def _check_same(plain: nn.Module, again: nn.Module, weights: dict[str, Any]) -> None:
    difference = find_other_layer(plain.backbone, again.backbone) or find_other_weight(weights, again.state_dict())
    if difference is None:
        first = next(iter(plain.parameters()))
        again.to(device=first.device, dtype=first.dtype).load_state_dict(weights)
        x_NCHW = again.backbone.make_example()
        samples = min(2, plain.n_predictive_samples)
        p_NK, q_NK = (predict(network.eval(), x_NCHW, n_samples=samples) for network in (plain, again))
        if not np.allclose(p_NK, q_NK, atol=1e-4):
            difference = "other probabilities with the same layers and weights (a hook, forward or buffer was changed)"
    if difference is not None:
        mend = "undo the change, or keep the state_dict beside your own code"
        raise InputError("save", expected="a classifier that its parameters give again", got=difference, mend=mend)
