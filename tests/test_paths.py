"""A path of a user is read by ``as_path`` wherever one is taken: ``~`` is expanded, and no folder named "~" is made."""

from __future__ import annotations

import ast
import os
import typing
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import equirgz
from equirgz.cli import app
from equirgz.config import load_yaml
from equirgz.data.cache import cache_dir
from equirgz.data.root import data_root
from equirgz.errors import InputError
from equirgz.evaluate.embedding_table import EmbeddingTable
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import load_grid
from equirgz.grid.results.status import describe_status
from equirgz.grid.runner import run_grid
from equirgz.grid.single import embed_images
from equirgz.paths import as_path
from equirgz.records import read_json, write_json_atomic

PACKAGE = Path(equirgz.__file__).parent


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with odd characters; the current folder is another one and must stay empty."""
    folder, here = tmp_path / "my home (~)", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(here)
    yield folder
    assert os.listdir(here) == []


def test_as_path(home):
    assert as_path("~/a b") == as_path(b"~/a b") == as_path(Path("~/a b")) == home / "a b"
    assert as_path("~no_such_user/x") == Path("~no_such_user/x") and as_path("a/~") == Path("a/~")
    for nothing in (None, 3, ["a"]):
        with pytest.raises(InputError, match="path: expected a text or a pathlib.Path, got"):
            as_path(nothing)


def commands(group) -> typing.Iterator[typing.Callable]:
    yield from (command.callback for command in group.registered_commands)
    for inner in group.registered_groups:
        yield from commands(inner.typer_instance)


def test_every_path_of_the_command_line():
    found = 0
    for command in commands(app):
        for name, hint in typing.get_type_hints(command, include_extras=True).items():
            base, *infos = typing.get_args(hint) or (hint,)
            if "Path" in str(base):
                assert getattr(infos[0], "parser", None) is as_path, f"{command.__name__} {name}: use path_option"
                found += 1
    assert found > 20


def raw_paths(tree: ast.AST) -> typing.Iterator[int]:
    """Yield the lines in which a function makes a ``Path`` of an argument of its own."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            taken = function.args
            hints = {a.arg: ast.unparse(a.annotation) for a in [*taken.posonlyargs, *taken.args, *taken.kwonlyargs]
                     if a.annotation is not None}  # fmt: skip
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Path" and node.args:
                    hint = hints.get(ast.unparse(node.args[0]), "")
                    if "Path" in hint and "list" not in hint:
                        yield node.lineno


def test_no_function_reads_a_path_on_its_own():
    sources = {str(file.relative_to(PACKAGE)): file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py")}
    assert [name for name, source in sources.items() if "expanduser" in source] == ["paths.py"]
    found = {name: list(raw_paths(ast.parse(source))) for name, source in sources.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}, "use as_path"


def test_encoders_grids_tables_and_images_below_the_home_folder(home, monkeypatch):
    encoder = equirgz.create_backbone("lenet", image_size=17, width=0.2)
    saved = equirgz.save_encoder(encoder, "~/models/encoder")
    assert saved == home / "models" / "encoder.safetensors"
    assert type(equirgz.load_encoder("~/models/encoder")) is type(encoder)
    (home / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        fits.writeto(home / "images" / f"{i}.fits", rng.random((17, 17)).astype(np.float32) ** 9)
    embed_images(Path("~/models/encoder"), "~/images", Path("~/features.csv"))
    assert len(EmbeddingTable.load("~/features.csv").feature_NF) == 3
    (home / "grid.yaml").write_text("name: tiny\nbase: {data: {name: synthetic_fr}}\naxes: {seed: [0, 1]}\n")
    (home / "engine.yaml").write_text("name: inline\n")
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "grid"))
    engine = make_engine_config("~/engine.yaml")
    assert engine.name == "inline" and load_yaml("~/grid.yaml")["name"] == "tiny"
    assert run_grid(load_grid("~/grid.yaml"), "~/out", engine=engine, cell="fake_cells:instant").complete
    assert "2 of 2" in describe_status("~/out")[0] or (home / "out" / "cells").is_dir()
    write_json_atomic("~/a.json", 1)
    assert read_json("~/a.json") == 1 and (home / "a.json").exists()
    frozen = Path(__file__).parent / "golden" / "frozen"
    (home / "frozen").symlink_to(frozen)
    assert len(equirgz.load_results("~/frozen")) == len(equirgz.load_results(frozen))
    for variable, where in (("EQUIRGZ_DATA", data_root), ("EQUIRGZ_CACHE", cache_dir)):
        monkeypatch.setenv(variable, "~/data")
        assert where() == home / "data"
    assert data_root("~/other") == home / "other"
