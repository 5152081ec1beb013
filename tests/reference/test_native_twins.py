"""What is told of a network of a reference engine (cost, export, file, audit) is told of its native twin."""

from __future__ import annotations

import json

import pytest
import torch
from parity import relative

from equirgz.backbones import create_backbone, load_encoder, measure_cost, save_encoder
from equirgz.errors import InputError
from equirgz.evaluate.audit import audit
from equirgz.nn import GroupConv2d

SMALL = {"group": "D4", "image_size": 17, "fields": (2, 3)}


@pytest.fixture(params=[True, False], ids=["train", "eval"])
def backbone(request, engine):
    """A network of each engine in each mode, its normalisation statistics moved, its filters in use."""
    backbone = create_backbone("steerable_cnn", engine=engine.name, **SMALL).train()
    backbone(torch.randn(4, 1, 17, 17))
    backbone.train(request.param)(torch.randn(4, 1, 17, 17))
    return backbone


def test_cost_is_that_of_the_native_engine(backbone) -> None:
    assert measure_cost(backbone) == measure_cost(create_backbone("steerable_cnn", **SMALL))


def test_a_saved_encoder_needs_no_library(backbone, tmp_path) -> None:
    training = backbone.training
    loaded = load_encoder(save_encoder(backbone, tmp_path / "encoder"))
    assert backbone.training == training and isinstance(loaded.stages[0][0], GroupConv2d)
    assert json.loads((tmp_path / "encoder.json").read_text())["backbone"]["engine"] == "native"
    x_BCHW = torch.randn(2, 1, 17, 17)
    assert relative(loaded(x_BCHW), backbone.eval()(x_BCHW)) < 1e-5


def test_to_plain_is_made_of_ordinary_layers(backbone) -> None:
    plain = backbone.to_plain()
    leaves = [m for m in plain.modules() if not any(True for _ in m.children())]
    assert {type(m).__module__.partition(".")[0] for m in leaves} == {"torch"}
    x_BCHW = torch.randn(2, 1, 17, 17)
    assert relative(plain(x_BCHW), backbone.eval()(x_BCHW)) < 1e-5


def test_audit(engine) -> None:
    few = {"angles_deg": (), "train_steps": 2, "layers": False}
    report = audit("steerable_cnn", "C4", 17, fields=(2, 3), engine=engine.name, **few)
    assert report.passed and "measured on the native twin, which has equal weights" in report.notes
    backbone = create_backbone("steerable_cnn", engine=engine.name, **SMALL)
    assert audit(backbone, "C4", **few).group == "C4" and backbone.group.name == "D4"


def test_filters_that_the_library_lacks_are_refused_even_beside_norms_that_it_has(engine) -> None:
    with pytest.raises(InputError, match=f"pixel filters {engine.name} does not have; use engine='native'"):
        create_backbone("steerable_cnn", group="C4", basis="pixel", engine=engine.name)
