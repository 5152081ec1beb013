"""The fields of a pre-training: one stage or several, what they inherit, and the lines that bad ones give."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.config import DataConfig, PretrainConfig, RunConfig, parse_run, set_dotted
from equirgz.errors import InputError
from equirgz.grid.plan.axes import resolve_key
from equirgz.grid.plan.grid import make_grid

SIMULATED = {"name": "synthetic_radio", "params": {"n_train": 9}}


def test_a_list_of_one_stage_is_that_stage_and_old_keys_stay():
    assert parse_run({"pretrain": [{}]}).run_key() == parse_run({"pretrain": {}}).run_key() == "7fffcc1ed5fa1767"
    assert parse_run({}).stages == () and len(parse_run({"pretrain": [{}, {}]}).stages) == 2
    assert parse_run({"pretrain": [{}, {}]}).run_key() != parse_run({"pretrain": {}}).run_key()
    assert set(PretrainConfig().model_dump()) == {"objective", "train"}


def test_a_stage_sees_pixels_as_the_run_does_unless_it_says_otherwise():
    data = {"image_size": 49, "crop": 81, "stretch": "asinh", "softening": 0.1, "mask": False}
    stage = parse_run({"data": data, "pretrain": {"data": SIMULATED}}).stages[0]
    assert {key: getattr(stage.data, key) for key in data} == data
    own = SIMULATED | {"crop_arcsec": 100.0, "stretch": "sqrt"}
    stage = parse_run({"data": data, "pretrain": [{"data": own}, {}]}).stages[0].data
    assert (stage.crop, stage.crop_arcsec, stage.stretch, stage.softening) == (None, 100.0, "sqrt", 0.05)


PIXELS = st.fixed_dictionaries(
    {},
    optional={
        "stretch": st.sampled_from(["linear", "asinh"]),
        "softening": st.sampled_from([0.05, 0.1]),
        "mask": st.booleans(),
    },
)
CUTS = st.sampled_from([{}, {"crop": 20}, {"crop_arcsec": 30.0}, {"crop": None}])


@settings(max_examples=40, deadline=None)
@given(PIXELS, CUTS, PIXELS, CUTS, st.integers(1, 3))
def test_a_run_read_from_its_own_fields_is_the_same_run(run, run_cut, stage, stage_cut, n):
    stages = [{"data": SIMULATED | stage | stage_cut, "seed": k} for k in range(n)]
    config = parse_run({"data": run | run_cut, "pretrain": stages})
    again = parse_run(config.model_dump(mode="json"))
    assert again == config and again.run_key() == config.run_key()


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"pretrain": []}, "expected at least one stage in pretrain"),
        ({"pretrain": 5}, "key 'pretrain': expected a mapping or a list, got 5"),
        ({"pretrain": {"trainn": 1}}, "unknown key 'pretrain.trainn'; did you mean 'train'"),
        ({"pretrain": [{"objectiv": 1}, {}]}, "unknown key 'pretrain.0.objectiv'; did you mean 'objective'"),
        ({"pretrain": [{}, {"train": {"stepz": 1}}]}, "unknown key 'pretrain.1.train.stepz'; did you mean 'steps'"),
        ({"pretrain": [{}, {"train": {"steps": "a"}}]}, "key 'pretrain.1.train.steps': expected a whole number"),
        ({"pretrain": {"encoder": "x", "train": {}}}, "expected encoder alone, got train beside it"),
        ({"pretrain": [{}, {"encoder": "x"}]}, "expected an encoder as the first stage, got pretrain.1.encoder"),
        ({"pretrain": {"task": {"name": "several"}}}, "expected data beside task, got none"),
        ({"pretrain": {"data": SIMULATED | {"image_size": 33}}}, "expected pretrain.data.image_size 65 as the run's"),
        ({"pretrain": {"data": SIMULATED, "train": {"selection_rule": "best_val"}}}, "expected train.selection_rule"),
        ({"pretrain": {"data": SIMULATED | {"extra_tests": {"mnist": {}}}}}, "expected data without extra_tests"),
        ({"data": {"unlabelled": 5}}, "key 'data.unlabelled': expected text or a list, got 5"),
        ({"data": {"unlabelled": [{"nam": 1}]}}, "key 'data.unlabelled.0.name': expected a value, got none"),
        ({"evaluation": {"probe_penalty": "x"}}, "key 'evaluation.probe_penalty': expected 'cv' or a number, got 'x'"),
    ],
)
def test_bad_fields_give_one_line(fields, line):
    with pytest.raises(InputError) as error:
        parse_run(fields)
    assert line in str(error.value) and "\n" not in str(error.value)


def test_stages_given_as_objects_are_taken_as_they_are():
    stage = PretrainConfig(data=DataConfig(name="synthetic_radio"))
    assert RunConfig(data=DataConfig(crop=81), pretrain=(stage, PretrainConfig())).stages[0].data.crop is None


def test_axes_and_settings_reach_a_stage_by_its_place():
    document = {
        "name": "g",
        "question": "?",
        "base": {"pretrain": [{}, {}]},
        "axes": {"pretrain.1.train.steps": [1, 2]},
    }
    grid = make_grid(document)
    assert [[stage.train.steps for stage in run.stages] for run in grid.runs] == [[600, 1], [600, 2]]
    assert make_grid(document, ["pretrain.0.seed=3"]).runs[0].stages[0].seed == 3
    assert resolve_key("data.unlabelled.0.share", "") == ("data.unlabelled.0.share",)
    for key, line in (("pretrain.2.seed", "a place 0 to 1 in the list, got 2"), ("pretrain.seed", "got seed")):
        with pytest.raises(InputError, match=line):
            make_grid(document, [f"{key}=1"])
    with pytest.raises(InputError, match="unknown key 'pretrain.0.sed'; did you mean 'seed'"):
        resolve_key("pretrain.0.sed", "axis")


def test_dotted_keys_make_mappings_and_replace_what_is_none():
    fields = {"a": {"b": 1}, "c": [{"d": 1}]}
    set_dotted(fields, "a.b.x", 2)
    set_dotted(fields, "c.0.d", 3)
    set_dotted(fields, "e.f", 4)
    assert fields == {"a": {"b": {"x": 2}}, "c": [{"d": 3}], "e": {"f": 4}}
