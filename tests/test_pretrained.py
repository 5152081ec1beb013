"""Encoders inside the package: made by one command, loaded by name wherever an encoder is taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import equirgz
from equirgz import pretrained
from equirgz.backbones.storage import FORMAT, write_files
from equirgz.cli import app
from equirgz.errors import DataError, InputError


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A tiny encoder, in half precision, as ``python -m benchmarks.encoders`` writes it."""
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    encoder = equirgz.create_backbone("steerable_cnn", group="C4", image_size=17, width=0.1).eval()
    parameters = {name for name, _ in encoder.named_parameters()}
    weights = {name: t.half() if name in parameters else t for name, t in encoder.state_dict().items()}
    facts = {"summary": "simulated sources", "parameters": 12, "preprocessing": {"crop": 81}}
    write_files(tmp_path / "tiny", FORMAT, {"backbone": encoder.config, "facts": facts}, weights, what="tiny")
    (tmp_path / "tiny.md").write_text("# tiny\n")
    return encoder


def test_it_is_listed_loaded_and_described(shipped):
    assert equirgz.list_pretrained() == ["tiny"] and equirgz.list_pretrained("d4*") == []
    encoder = equirgz.load_pretrained("tiny")
    assert {p.dtype for p in encoder.parameters()} == {torch.float32} and not encoder.training
    assert encoder.facts["preprocessing"] == {"crop": 81}
    x = torch.randn(2, 1, 17, 17)
    torch.testing.assert_close(encoder(x), shipped(x), rtol=1e-2, atol=1e-2)
    runner = CliRunner()
    assert "tiny" in runner.invoke(app, ["pretrained", "list"]).output
    assert runner.invoke(app, ["pretrained", "card", "tiny"]).output == "# tiny\n"


def test_every_door_takes_its_name(shipped):
    x = torch.randn(2, 1, 17, 17)
    own = equirgz.load_pretrained("tiny")(x)
    for encoder in (equirgz.load_encoder("tiny"), equirgz.create_backbone("steerable_cnn", pretrained="tiny")):
        torch.testing.assert_close(encoder.eval().float()(x), own)
    classifier = equirgz.create_backbone("steerable_cnn", pretrained="tiny", num_classes=3)
    assert classifier(x).shape == (2, 3)
    images = np.random.default_rng(0).random((8, 17, 17), dtype=np.float32)
    assert equirgz.finetune("tiny", images, np.arange(8) % 2, steps=1, batch_size=4).predict(images).shape == (8,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "lenet"}, "pretrained 'tiny': name: expected steerable_cnn, got lenet"),
        ({"name": "steerable_cnn", "group": "D4"}, "pretrained 'tiny': group: expected C4, got D4"),
        ({"name": "steerable_cnn", "in_channels": 3}, "pretrained 'tiny': in_channels: expected 1, got 3"),
        ({"name": "steerable_cnn", "image_size": 33}, "pretrained 'tiny': image_size: expected 17, got 33"),
    ],
)
def test_another_architecture_is_refused(shipped, options, words):
    with pytest.raises(InputError, match=words):
        equirgz.create_backbone(**options, pretrained="tiny")


def test_unknown_and_damaged_encoders_are_one_line(shipped, tmp_path):
    with pytest.raises(InputError, match="unknown 'tinny'; did you mean 'tiny'"):
        equirgz.load_pretrained("tinny")
    (tmp_path / "tiny.safetensors").write_bytes(b"broken")
    with pytest.raises(DataError, match="is damaged"):
        equirgz.create_backbone("steerable_cnn", pretrained="tiny")


def test_without_any_the_list_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    assert "no encoder comes with this version" in CliRunner().invoke(app, ["pretrained", "list"]).output


def test_an_estimator_starts_from_one_by_name_and_tells_so(shipped, tmp_path):
    images = np.random.default_rng(0).random((8, 17, 17), dtype=np.float32)
    model = equirgz.EquirgzClassifier(
        pretrained="auto", objective_params={"freeze_backbone": True}, steps=1, batch_size=4, mask=False
    )
    assert "pretrained='auto'" in repr(model)
    model.fit(images, np.arange(8) % 2)
    np.testing.assert_allclose(
        model.transform(images), equirgz.load_pretrained("tiny")(torch.from_numpy(images)[:, None]).detach(), atol=1e-5
    )
    assert model.pretrained_ == "tiny" and "pretrained='tiny'" in repr(model)
    again = equirgz.EquirgzClassifier.load(model.save(tmp_path / "model"))
    assert again.pretrained_ == "tiny" and '"pretrained": "tiny"' in (tmp_path / "model.json").read_text()
    scratch = equirgz.EquirgzClassifier(steps=1, batch_size=4).fit(images, np.arange(8) % 2)
    assert scratch.pretrained_ is None and "pretrained" not in repr(scratch)
    with pytest.raises(InputError, match="pretrained: expected pretrained or encoder, got both"):
        equirgz.EquirgzClassifier(pretrained="tiny", encoder=shipped).fit(images, np.arange(8) % 2)
    with pytest.raises(InputError, match="unknown 'tinny'; did you mean 'tiny'"):
        equirgz.EquirgzRegressor(pretrained="tinny").fit(images, np.arange(8))


def test_the_usual_one_is_the_small_d4_of_first(monkeypatch):
    monkeypatch.setattr(pretrained, "list_pretrained", lambda pattern="*": ["a", "radio_d4_small"])
    assert pretrained.choose_pretrained("auto") == "radio_d4_small" and pretrained.choose_pretrained("a") == "a"
    monkeypatch.setattr(pretrained, "list_pretrained", lambda pattern="*": [])
    with pytest.raises(InputError, match="got none in this version"):
        pretrained.choose_pretrained("auto")
