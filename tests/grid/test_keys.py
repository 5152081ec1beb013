"""The keys of a YAML as ``bench keys`` prints them, and the schema for editors: both from the models that check it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from equirgz.config import RunConfig, load_yaml, parse_yaml
from equirgz.data.overlap.grouping import Grouping
from equirgz.errors import InputError
from equirgz.grid.plan.document import check_document
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.plan.keys import list_keys, option_keys, read_parameters
from equirgz.grid.plan.schema import make_schema
from equirgz.registry import Registry, explained_by

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
YAMLS = sorted(BENCHMARKS.glob("*.yaml"))


def test_the_keys_of_a_section_have_type_range_default_and_meaning():
    found = {key.name: key for key in list_keys("train.optimizer")}
    model = RunConfig.model_fields["train"].annotation.model_fields["optimizer"].annotation
    assert list(found) == [f"train.optimizer.{name}" for name in model.model_fields]
    lr = found["train.optimizer.lr"]
    assert (lr.type, lr.range, lr.default) == ("a number", "> 0", "0.002") and "learning rate" in lr.meaning
    assert found["train.optimizer.schedule"].type == "one of cosine, constant"
    assert found["train.optimizer.clip_norm"].type == "a number or none"
    assert list_keys("lr") == [lr]


def test_the_task_of_a_run_has_the_options_of_every_task():
    found = {(key.name, key.of): key for key in list_keys("task")}
    assert found["task.name", ""].default == "classification"
    assert found["task.params.targets", "regression"].type == "a list of text"
    assert {of for _, of in found} == {
        "", "regression", "votes", "multilabel", "segmentation", "denoising", "several",
    }  # fmt: skip


def test_classification_is_no_part_of_the_identity_of_a_run():
    assert RunConfig(task={"name": "classification"}).run_key() == RunConfig().run_key()
    assert "task" not in RunConfig().model_dump()
    regression = RunConfig(task={"name": "regression", "params": {"targets": ["las_arcsec"]}})
    assert regression.run_key() != RunConfig().run_key() and regression.model_dump()["task"]["name"] == "regression"


def test_every_key_says_what_it_means():
    assert [str(key) for key in list_keys() if not key.of and not key.meaning] == []


@pytest.mark.parametrize("section", ["backbone.params", "objective.params", "data.params", "train.augmentation_params"])
def test_every_option_of_what_is_registered_says_what_it_means(section):
    options = list(list_keys(section))
    assert options and [str(key) for key in options if not key.meaning] == []


def test_what_explains_an_option_gives_its_meaning_and_stands_for_further_options():
    @explained_by(Grouping, blur_=make_shape)
    def factory(path: str, radius_arcsec: float = 1.0, blur_size: int = 2, **more: float) -> None:
        """A factory.

        Parameters
        ----------
        path : of the ``file`` (:class:`equirgz.data.overlap.grouping.Grouping`).
        """

    meanings = read_parameters(factory)
    assert meanings["path"] == "of the file (Grouping)." and meanings["blur_size"] == "of the shape, pixels."
    assert meanings["tile_arcsec"].startswith("sources in one tile")
    registry = Registry("factory")
    registry.register("made")(factory)
    keys = {key.name: key for key in option_keys({"made.params": registry})}
    assert [*keys] == [f"made.params.{name}" for name in ("blur_size", "radius_arcsec", "tile_arcsec", "path")]
    assert keys["made.params.radius_arcsec"].default == "1" and keys["made.params.tile_arcsec"].default == "none"


def make_shape(size: int = 1) -> int:
    """Return a size.

    Parameters
    ----------
    size : of the shape, pixels.
    """
    return size


def test_a_registered_name_has_its_options():
    found = {key.name: key for key in list_keys("byol")}
    assert found["objective.params.base_momentum"].default == "0.99"
    assert {key.of for key in found.values()} == {"byol"}
    assert {key.of for key in list_keys("backbone.params.fields")} >= {"steerable_cnn", "steerable_lenet"}


def test_a_key_that_is_not_there_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="no key matches 'train.optimizer.lrr'; did you mean 'train.optimizer.lr'"):
        list_keys("train.optimizer.lrr")


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_the_shipped_yamls_fit_the_schema_and_name_it(path):
    jsonschema.validate(load_yaml(path), make_schema())
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")


def test_the_shipped_schema_is_that_of_the_code():
    assert json.loads((BENCHMARKS / "schema.json").read_text()) == make_schema(), "run `make schema`"


@pytest.mark.parametrize(
    "change",
    [{"nam": "x"}, {"base": {"trian": {}}}, {"base": {"train": {"steps": 0}}}, {"report": {"extras": ["x"]}}],
)
def test_the_schema_refuses_what_the_code_refuses(change):
    document = {"name": "tiny", "axes": {"group": ["C1"]}} | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, make_schema())
    with pytest.raises(InputError):
        make_grid(document)


def test_engine_options_in_a_yaml_are_no_part_of_its_runs():
    plain = {"name": "tiny", "axes": {"group": ["C1"]}}
    grid = make_grid(plain | {"engine": {"jobs": 3}})
    assert grid.engine == {"jobs": 3} and grid.document == make_grid(plain).document
    with pytest.raises(InputError, match="unknown key 'engine.job'"):
        check_document(plain | {"engine": {"job": 3}}, "tiny.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [("020", 20), ("1e1", 10.0), ("0o17", 15), ("0x1F", 31), (".5", 0.5), ("-.inf", float("-inf")), ("+1", 1),
     ("yes", "yes"), ("off", "off"), ("1:30", "1:30"), ("2020-01-01", "2020-01-01"), ("1_000", "1_000"),
     ("~", None), ("", None), ("true", True), ("'020'", "020"), ("1e", "1e"), ("none", "none")],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text, value):
    found = parse_yaml(f"key: {text}")["key"]
    assert found == value and type(found) is type(value)
