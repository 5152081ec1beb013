"""Encoders on disk: two files in any spelling of their path; anything else is one clear DataError."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from equirgz import create_backbone, load_encoder, save_encoder
from equirgz.errors import DataError
from tests.backbones.test_contract import images, shake


@pytest.fixture
def saved(tmp_path):
    backbone = create_backbone("steerable_cnn", group="D4", fields=(2, 3), image_size=17)
    return save_encoder(shake(backbone).eval(), tmp_path / "encoder")


def refuse(path, message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        load_encoder(path)
    assert "\n" not in str(refused.value) and str(path.parent) in str(refused.value)


def edit(path, **changes) -> None:
    """Change entries of the .json (None: drop them)."""
    described = json.loads(path.with_suffix(".json").read_text()) | changes
    kept = {key: value for key, value in described.items() if value is not None}
    path.with_suffix(".json").write_text(json.dumps(kept))


def test_every_spelling_of_the_path_loads_and_a_dot_in_the_name_is_kept(saved, tmp_path):
    backbone = load_encoder(saved)
    for path in (saved.with_suffix(""), saved.with_suffix(".json"), str(saved)):
        assert torch.equal(load_encoder(path)(images(backbone)), backbone(images(backbone)))
    paths = {save_encoder(backbone, tmp_path / stem).name for stem in ("momentum_0.9", "momentum_0.98")}
    assert paths == {"momentum_0.9.safetensors", "momentum_0.98.safetensors"}
    assert load_encoder(tmp_path / "momentum_0.9").config == backbone.config


@pytest.mark.parametrize("missing", [".safetensors", ".json"])
def test_a_missing_file(saved, missing):
    saved.with_suffix(missing).unlink()
    refuse(saved, rf"cannot read .*encoder\{missing}: .*; give the path that save_encoder returned")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"group": "C4"}, r"stages\.1\.0\.weight: expected \(3, 2, 4, 11\), got \(3, 2, 8, 11\)"),
        ({"fields": [2, 4]}, r"stages\.1\.0\.weight: expected \(4, 2, 8, 11\), got \(3, 2, 8, 11\)"),
        ({"fields": [2, 3, 3]}, r"stages\.2\.0\.weight: expected \(3, 3, 8, 11\), got no such entry"),
        ({"fields": [2]}, r"stages\.1\.0\.weight: expected no such entry, got \(3, 2, 8, 11\)"),
        ({"name": "steerable_lenet"}, r"stages\.\d.*: expected .*, got .*"),
    ],
    ids=str,
)
def test_weights_of_another_architecture(saved, config, message):
    written = json.loads(saved.with_suffix(".json").read_text())["backbone"]
    edit(saved, backbone={**written, **config})
    mend = "build the backbone with the name, group and width it was saved with"
    refuse(saved, rf"encoder\.safetensors, {message}; {mend}")


def test_weights_of_another_file(saved, tmp_path):
    other = create_backbone("lenet", image_size=17)
    save_file(other.state_dict(), saved)
    refuse(saved, r"encoder\.safetensors, head.*: expected no such entry, got \(.*\); build the backbone")
    save_encoder(other, tmp_path / "lenet")
    assert load_encoder(tmp_path / "lenet").config["name"] == "lenet"


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "header"])
def test_damaged_weights(saved, damage):
    content = saved.read_bytes()
    saved.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "empty": b"",
            "foreign": b"PK\x03\x04 not these weights",
            "header": b"\xff" * 8 + content[8:],
        }[damage]
    )
    refuse(saved, r"encoder\.safetensors is damaged \(.*\); save or download it again")


@pytest.mark.parametrize("keep", [0, 1, 40, -3])
def test_a_half_written_description(saved, keep):
    described = saved.with_suffix(".json")
    described.write_text(described.read_text()[:keep])
    refuse(saved, r"encoder\.json is not whole JSON \(.*\); give the path that save_encoder returned")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected format 'equirgz-encoder', got another file; give the path"),
        ({"weights": 3}, "expected format 'equirgz-encoder', got another file; give the path"),
        ({"format": "other-9"}, "expected format 'equirgz-encoder', got format 'other-9'; give the path"),
        ({"format": "equirgz-encoder"}, "expected an entry 'backbone' with a name, got entries format; give"),
        (
            {"format": "equirgz-encoder", "backbone": {"group": "D4"}},
            "expected an entry 'backbone' with a name, got entries",
        ),
    ],
    ids=str,
)
def test_a_foreign_description(saved, content, message):
    saved.with_suffix(".json").write_text(json.dumps(content))
    refuse(saved, rf"encoder\.json: {message}")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "steerable_cnnn"}, "did you mean 'steerable_cnn'"),
        ({"name": "steerable_cnn", "depth": 3}, "unknown keyword 'depth'"),
        ({"name": "steerable_cnn", "group": "D4", "image_size": 18}, "1 mod 16 .*use 17 or 33"),
        ({"name": "steerable_cnn", "width": "wide"}, "width: expected a finite number"),
    ],
    ids=str,
)
def test_a_description_of_no_backbone(saved, config, message):
    edit(saved, backbone=config)
    refuse(saved, rf"encoder\.json describes no backbone of this version: .*({message})")


def test_facts_are_kept_and_the_file_is_never_executed(saved):
    edit(saved, facts={"trained_on": "nothing"})
    assert load_encoder(saved).config["name"] == "steerable_cnn"
    assert set(load_file(saved)) == set(load_encoder(saved).state_dict())
