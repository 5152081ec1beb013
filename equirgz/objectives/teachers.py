"""Trained networks that a training learns from: saved encoders and classifiers, or the network as it was before.

Legend: B batch, C channel, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from equirgz.backbones.base import Backbone
from equirgz.backbones.storage import (
    build_backbone,
    check_pair,
    common_dtype,
    find_encoder,
    load_encoder,
    load_weights,
    read_files,
)
from equirgz.errors import DataError, InputError
from equirgz.objectives.base import create_objective
from equirgz.objectives.ema import make_target
from equirgz.objectives.scaled_objective import TemperatureScaled
from equirgz.records import read_json

CLASSIFIER = "equirgz-classifier"  # the format of a saved classifier (equirgz.train.estimators.saved)
START = "start"
Teacher = str | Path | nn.Module


def build_classifier(described: dict[str, Any]) -> nn.Module:
    """Return the objective of a saved classifier's description, without its weights."""
    backbone = build_backbone(described["backbone"])
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(name not in described["frozen"])
    parameters, n_classes = described["parameters"], len(described["classes"]["values"])
    return create_objective(
        parameters["objective"], backbone, n_classes, init_seed=0, **(parameters["objective_params"] or {})
    )


def load_teachers(teacher: Teacher | Sequence[Teacher], backbone: nn.Module) -> list[nn.Module]:
    """Return the teachers, frozen and in eval mode.

    ``teacher`` is one or several of: the path of a saved encoder or classifier, a network, or ``start``: the
    student's ``backbone`` as it is now, which after a pre-training is what that stage made.
    Raises DataError for files that are none of these, InputError for networks of other images than the student's.
    """
    given = teacher if isinstance(teacher, (list, tuple)) else [teacher]
    if not given:
        raise InputError("teacher", expected="at least one network", got="an empty list")
    found = [_load(one, backbone) for one in given]
    for one in found:
        inner = getattr(getattr(one, "objective", one), "backbone", one)
        for what in ("in_channels", "image_size"):
            own, other = getattr(backbone, what, None), getattr(inner, what, None)
            if None not in (own, other) and own != other:
                raise InputError(f"teacher: {what}", expected=f"{own}, as the student's", got=other)
    return found


def _load(teacher: Teacher, backbone: nn.Module) -> nn.Module:
    if isinstance(teacher, nn.Module):
        return make_target(teacher).eval()
    if teacher == START:
        return make_target(backbone).eval()
    path = find_encoder(teacher)
    file = path.with_suffix(".json")
    described = read_json(file) if file.is_file() else {}
    if not (isinstance(described, dict) and described.get("format") == CLASSIFIER):
        return load_encoder(path).requires_grad_(False)
    return _load_classifier(path).requires_grad_(False).eval()


def _load_classifier(path: Path) -> nn.Module:
    path, described, weights = read_files(path, CLASSIFIER, mend="give the path that save returned")
    try:
        objective, temperature = build_classifier(described), float(described["temperature"])
    except (InputError, KeyError, TypeError) as error:
        raise DataError(f"{path.with_suffix('.json')} describes no classifier of this version: {error}") from error
    objective.to(common_dtype(weights.values()))
    load_weights(objective, weights, source=str(path))
    check_pair(path, described)
    return objective if temperature == 1 else TemperatureScaled(objective, temperature)


def is_classifier(teacher: nn.Module) -> bool:
    """Return whether a teacher answers with logits; else it gives features."""
    return not isinstance(teacher, Backbone) and hasattr(teacher, "logits")
