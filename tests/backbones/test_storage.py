"""Encoders on disk: two files in any spelling of their path; anything else is one clear DataError."""

import inspect
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from equirgz import create_backbone, load_encoder, save_encoder
from equirgz.backbones.base import BACKBONES
from equirgz.errors import DataError, InputError, ResultsError
from equirgz.geometry.group import Group, get_group
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


def test_what_is_saved_names_every_option_so_that_no_default_of_another_version_changes_it(tmp_path):
    for name in ("steerable_convnext", "lenet"):
        options = set(inspect.signature(BACKBONES.get(name)).parameters)
        backbone = create_backbone(name, image_size=33, width=0.25)
        written = json.loads(save_encoder(backbone, tmp_path / name).with_suffix(".json").read_text())["backbone"]
        assert set(written) == options | {"name", "engine"}
    assert load_encoder(tmp_path / "steerable_convnext").config["norm"] == "group"


@pytest.mark.parametrize("name", ["steerable_convnext", "steerable_vit"])
def test_weights_of_the_norm_of_single_positions_do_not_fit_that_of_images(tmp_path, name):
    """Both hold as many numbers: before, one was taken for the other without a word."""
    path = save_encoder(create_backbone(name, image_size=33, width=0.25, norm="layer"), tmp_path / "old")
    written = json.loads(path.with_suffix(".json").read_text())["backbone"]
    edit(path, backbone={key: value for key, value in written.items() if key != "norm"})
    with pytest.raises(DataError, match="norm.*: expected .*, got .*; build the backbone"):
        load_encoder(path)


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
    if "name" in config:  # a network with other options
        written = {key: written[key] for key in ("engine", "group", "in_channels", "image_size", "width")}
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


def test_a_group_may_be_an_object_and_is_saved_by_name(tmp_path):
    backbone = create_backbone("steerable_cnn", group=Group(4, reflects=True), fields=(2, 3), image_size=17)
    assert backbone.config["group"] == "D4" and backbone.group == get_group("D4") == get_group(backbone.group)
    assert load_encoder(save_encoder(backbone, tmp_path / "encoder")).group.name == "D4"


def test_facts_are_kept_and_the_file_is_never_executed(saved):
    edit(saved, facts={"trained_on": "nothing"})
    assert load_encoder(saved).config["name"] == "steerable_cnn"
    assert set(load_file(saved)) == set(load_encoder(saved).state_dict())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_stored_dtype_is_kept(tmp_path, dtype):
    """Weights and what is derived from them: a float64 encoder answers as it did, to the last digit."""
    backbone = shake(create_backbone("steerable_cnn", group="D4", fields=(2, 3), image_size=17)).to(dtype).eval()
    loaded = load_encoder(save_encoder(backbone, tmp_path / "encoder"))
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    x_BCHW = images(backbone).to(dtype)
    assert torch.equal(loaded(x_BCHW), backbone(x_BCHW))


def test_dtypes_that_differ_lose_no_digits(tmp_path):
    backbone = create_backbone("lenet", image_size=17)
    backbone.head.double()
    loaded = load_encoder(save_encoder(backbone, tmp_path / "encoder")).state_dict()
    assert {t.dtype for t in loaded.values()} == {torch.float64}
    assert all(torch.equal(loaded[name], t.double()) for name, t in backbone.state_dict().items())


def test_weights_of_another_group_with_equal_shapes(tmp_path):
    for group in ("C8", "D4"):
        save_encoder(create_backbone("steerable_cnn", group=group, fields=(2, 3), image_size=17), tmp_path / group)
    (tmp_path / "C8.json").replace(tmp_path / "D4.json")
    refuse(
        tmp_path / "D4.safetensors",
        r"D4\.safetensors: expected weights of the configuration in D4\.json, got those of another encoder; give both",
    )


def test_files_of_earlier_versions_carry_no_hash_and_load(saved):
    weights = load_file(saved)
    save_file(weights, saved)
    loaded = load_encoder(saved).state_dict()
    assert loaded.keys() == weights.keys() and all(torch.equal(loaded[name], weights[name]) for name in weights)


def test_an_interrupted_save_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ResultsError, match="No space left on device"):
        save_encoder(create_backbone("lenet", image_size=17), saved)
    assert saved.read_bytes() == before
    assert sorted(p.name for p in saved.parent.iterdir()) == ["encoder.json", "encoder.safetensors"]


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), torch.ones(2)], ids=["set", "nan", "tensor"])
def test_facts_that_json_cannot_hold_are_refused_before_anything_is_written(tmp_path, value):
    with pytest.raises(InputError, match="save_encoder: expected JSON values, got .*; use numbers"):
        save_encoder(create_backbone("lenet", image_size=17), tmp_path / "encoder", fact=value)
    assert not any(tmp_path.iterdir())
