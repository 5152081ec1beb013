"""``save_pretrained`` and its kin against a folder; the Hub is stood in for, and its own mixin reads our files."""

from __future__ import annotations

import inspect
import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
import yaml

import equirgz
from equirgz.backbones import Backbone, create_backbone
from equirgz.errors import DataError, InputError, MissingPackageError

METHODS = ("save_pretrained", "from_pretrained", "push_to_hub")


@pytest.fixture
def network():
    torch.manual_seed(0)
    built = create_backbone("steerable_lenet", group="C4", image_size=17, width=0.25).eval()
    built.facts = {"trained": True, "preprocessing": {"image_size": 17}}
    return built


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub that is a folder per repository."""
    root = tmp_path / "hub"
    fake = ModuleType("huggingface_hub")

    class HfApi:
        def __init__(self, token=None):
            self.token = token

        def create_repo(self, repo_id, private, exist_ok):
            (root / f"me/{repo_id}").mkdir(parents=True, exist_ok=exist_ok)
            return SimpleNamespace(repo_id=f"me/{repo_id}")

        def upload_folder(self, *, repo_id, folder_path, **options):
            import shutil

            shutil.copytree(folder_path, root / repo_id, dirs_exist_ok=True)
            return f"https://hub/{repo_id}/commit/1"

    def snapshot_download(repo_id, **options):
        if not (root / repo_id).is_dir():
            raise OSError("404:\nnot found")
        return str(root / repo_id)

    fake.HfApi, fake.snapshot_download = HfApi, snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)


def same(one: Backbone, other: Backbone) -> bool:
    x_BCHW = torch.randn(2, 1, 17, 17)
    return torch.equal(one(x_BCHW), other(x_BCHW)) and one.config == other.config and one.facts == other.facts


def test_a_folder_gives_the_network_again_without_the_library(network, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert network.save_pretrained(tmp_path / "out") is None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.safetensors", "model.json", "config.json", "README.md"
    }  # fmt: skip
    again = Backbone.from_pretrained(tmp_path / "out")
    assert same(network, again) and not again.training and type(again) is type(network)
    assert same(network, type(network).from_pretrained(str(tmp_path / "out")))
    assert same(network, equirgz.load_encoder(tmp_path / "out" / "model"))
    assert create_backbone(**json.loads((tmp_path / "out" / "config.json").read_text())).config == network.config


def test_a_card_says_what_it_is_and_a_card_of_yours_stays(network, tmp_path):
    network.save_pretrained(tmp_path, model_card_kwargs={"license": "bsd-3-clause"})
    _, head, text = (tmp_path / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "bsd-3-clause" and yaml.safe_load(head)["library_name"] == "equirgz"
    assert "group C4" in text and '"trained": true' in text
    (tmp_path / "README.md").write_text("mine")
    network.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_pushed_and_pulled(network, hub):
    assert network.push_to_hub("net") == "https://hub/me/net/commit/1"
    assert same(network, Backbone.from_pretrained("me/net"))


def test_saved_and_pushed_in_one_call(network, hub, tmp_path):
    assert network.save_pretrained(tmp_path / "named", push_to_hub=True).startswith("https://hub/me/named/")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda n, p: Backbone.from_pretrained("me/none"), "'me/none': expected one on the Hub, got 404: not found"),
        (lambda n, p: Backbone.from_pretrained(p), "cannot read .*model.safetensors"),
        (lambda n, p: Backbone.from_pretrained(p, group="D8"), r"expected no arguments, got \['group'\]"),
        (lambda n, p: n.save_pretrained(p, config={"group": "D8"}), "config: expected None"),
        (lambda n, p: n.save_pretrained(p, private=True), r"expected no more options, got \['private'\]"),
    ],
)
def test_what_cannot_be_is_one_line(call, words, network, hub, tmp_path):
    with pytest.raises((DataError, InputError), match=words) as found:
        call(network, tmp_path)
    assert "\n" not in str(found.value)


def test_another_class_is_refused(network, tmp_path):
    network.save_pretrained(tmp_path)
    other = type(create_backbone("steerable_vit", image_size=33, width=0.25))
    with pytest.raises(InputError, match="Backbone.from_pretrained"):
        other.from_pretrained(tmp_path)


def test_without_the_library_the_hub_is_one_line(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: Backbone.from_pretrained("me/net"), lambda: network.push_to_hub("net")):
        with pytest.raises(MissingPackageError, match=r"pip install 'equirgz\[hub\]'$"):
            call()


def test_the_mixin_of_the_library_has_the_same_arguments_and_reads_the_folder(network, tmp_path):
    library = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed (nox -s extras)")
    for name in METHODS:
        theirs = inspect.signature(getattr(library.PyTorchModelHubMixin, name)).parameters
        ours = inspect.signature(getattr(Backbone, name)).parameters
        assert set(theirs) - set(ours) == set(), name

    class Mixed(library.PyTorchModelHubMixin, type(network)):
        def __init__(self, name, config=None, **arguments):
            self.__dict__.update(create_backbone(name, **arguments).__dict__)

    network.save_pretrained(tmp_path)
    x_BCHW = torch.randn(2, 1, 17, 17)
    assert torch.allclose(Mixed.from_pretrained(str(tmp_path))(x_BCHW), network(x_BCHW))
    with pytest.raises(DataError, match="on the Hub"):
        Backbone.from_pretrained("me/none", local_files_only=True, cache_dir=tmp_path / "cache")
