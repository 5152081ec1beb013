import itertools

import pytest
import yaml

from equirgz.config import load_yaml
from equirgz.errors import InputError
from equirgz.grid.plan.grid import load_grid, make_grid


def test_runs_are_the_product_of_the_axes_in_order(document):
    grid = make_grid(document)
    got = [(c.backbone.group, c.split.n_labels, c.seed) for c in grid.runs]
    assert got == list(itertools.product(["C1", "D4"], [10, 20], [0, 1]))
    assert all(config.train.steps == 5 for config in grid.runs)
    assert grid.n_cells == 4
    assert grid.columns == ["group", "n_labels", "seed"]
    assert grid.points[-1].labels == {"group": "D4", "n_labels": 20, "seed": 1}


def test_identity_does_not_depend_on_how_a_key_is_written(document):
    by_alias = {config.run_key() for config in make_grid(document).runs}
    document["axes"]["backbone.group"] = document["axes"].pop("group")
    document["axes"]["split.n_labels"] = document["axes"].pop("n_labels")
    grid = make_grid(document)
    assert {config.run_key() for config in grid.runs} == by_alias
    assert set(grid.columns) == {"group", "n_labels", "seed"}


def test_replicate_sets_both_seeds(document):
    document["axes"]["replicate"] = [3, 4]
    del document["axes"]["seed"]
    assert {(c.seed, c.split.split_seed) for c in make_grid(document).runs} == {(3, 3), (4, 4)}


def test_labelled_entries_set_several_keys_together(document):
    document["axes"]["model"] = [
        {"label": "small", "backbone.name": "lenet", "width": 0.5},
        {"label": "large", "backbone.name": "resnet18", "backbone.params.stem": 3},
    ]
    grid = make_grid(document)
    by_label = {point.labels["model"]: point.config.backbone for point in grid.points}
    assert by_label["small"].name == "lenet" and by_label["small"].width == 0.5
    assert by_label["large"].params == {"stem": 3} and by_label["large"].width is None


def test_exclude_removes_what_matches_all_of_a_rule(document):
    document["exclude"] = [{"group": "D4", "n_labels": [20]}, {"seed": 1, "n_labels": 10}]
    kept = {(c.backbone.group, c.split.n_labels, c.seed) for c in make_grid(document).runs}
    assert kept == {("C1", 10, 0), ("C1", 20, 0), ("C1", 20, 1), ("D4", 10, 0)}


@pytest.mark.parametrize(
    ("override", "check"),
    [
        ("train.steps=9", lambda c: c.train.steps == 9),
        ("steps=9", lambda c: c.train.steps == 9),
        ("group=C8", lambda c: c.backbone.group == "C8"),
        ("backbone.group=[C8]", lambda c: c.backbone.group == "C8"),
        ("split.n_labels=null", lambda c: c.split.n_labels is None),
        ("backbone.params.head=flatten", lambda c: c.backbone.params == {"head": "flatten"}),
    ],
)
def test_overrides_reach_every_run(document, override, check):
    assert all(check(config) for config in make_grid(document, [override]).runs)


def test_an_override_with_a_list_makes_an_axis(document):
    grid = make_grid(document, ["augmentation=[none, flips]"])
    assert {c.train.augmentation for c in grid.runs} == {"none", "flips"}
    assert len(grid.runs) == 16


def test_override_of_a_labelled_axis_chooses_by_label(document):
    document["axes"]["model"] = [{"label": "a", "width": 1.0}, {"label": "b", "width": 2.0}]
    assert {c.backbone.width for c in make_grid(document, ["model=b"]).runs} == {2.0}
    with pytest.raises(InputError, match="unknown entry 'c'"):
        make_grid(document, ["model=c"])


@pytest.mark.parametrize(
    ("axes", "override"),
    [
        ({"model": [{"label": n, "backbone.group": "C1", "train.steps": n} for n in (3, 4)]}, "train.steps=5"),
        ({"model": [{"label": n, "group": "C1", "steps": n} for n in (3, 4)]}, "backbone.group=C8"),
        ({"replicate": [0, 1]}, "seed=7"),
    ],
)
def test_an_override_that_every_run_would_overwrite_is_refused(document, axes, override):
    document["axes"] = axes
    with pytest.raises(InputError, match=f"--set .*: the axis '{next(iter(axes))}' sets it in every run"):
        make_grid(document, [override])


def test_an_override_of_what_some_entries_set_reaches_the_others(document):
    document["axes"]["model"] = [{"label": "a", "width": 2.0, "steps": 7}, {"label": "b", "width": 1.0}]
    assert {(c.backbone.width, c.train.steps) for c in make_grid(document, ["steps=9"]).runs} == {(2.0, 7), (1.0, 9)}


def test_exclude_names_labels_of_the_yaml_even_where_an_override_left_them_out(document):
    document["exclude"] = [{"group": "D4", "n_labels": 20}]
    document["profiles"] = {"small": {"axes": {"group": ["C1"]}}}
    assert len(make_grid(document, ["group=[C1]"]).runs) == len(make_grid(document, profile="small").runs) == 4
    document["exclude"] = [{"group": "D44"}]
    with pytest.raises(InputError, match="exclude: axis 'group' has no 'D44'; did you mean 'D4'"):
        make_grid(document)


def test_axes_that_would_share_a_column_get_whole_names(document):
    document["base"]["pretrain"] = {"objective": {"name": "byol"}}
    document["axes"] = {"train.optimizer.weight_decay": [0.0, 0.1], "pretrain.train.optimizer.weight_decay": [0.2, 0.3]}
    grid = make_grid(document)
    assert grid.columns == ["train_optimizer_weight_decay", "pretrain_train_optimizer_weight_decay"]
    assert len({tuple(point.labels.values()) for point in grid.points}) == 4
    document["axes"] = {"lr": [0.1], "train.optimizer.lr": [0.2]}
    assert len(set(make_grid(document).columns)) == 2


def test_profile_replaces_axes_and_merges_the_base(document):
    document["profiles"] = {"smoke": {"base": {"train": {"batch_size": 8}}, "axes": {"group": ["C1"]}}}
    grid = make_grid(document, profile="smoke")
    assert grid.name == "tiny_smoke" and len(grid.runs) == 4
    assert {(c.train.steps, c.train.batch_size) for c in grid.runs} == {(5, 8)}
    assert make_grid(document).name == "tiny"
    with pytest.raises(InputError, match="did you mean 'smoke'"):
        make_grid(document, profile="smok")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(axis={}), "unknown key 'axis'; did you mean 'axes'"),
        (lambda d: d["axes"].update(grup=["C1"]), "unknown key 'grup'; did you mean 'group'"),
        (lambda d: d["axes"].update({"backbone.grup": ["C1"]}), "unknown key 'backbone.grup'; did you mean 'group'"),
        (lambda d: d["axes"].update({"seed.x": [1]}), "'seed' has no parts"),
        (lambda d: d["axes"].update(group=[]), "at least one value"),
        (lambda d: d["axes"].update(group=["C1", "C1"]), "'C1' twice"),
        (lambda d: d["axes"].update(group=["C1", {"label": "x"}]), "got both"),
        (lambda d: d["axes"].update(model=[{"backbone.name": "lenet"}]), "expected a `label`"),
        (lambda d: d["axes"].update(split=[{"label": "a", "width": 1.0}]), "a column of the results has this name"),
        (lambda d: d["axes"].update(n_labels=["many"]), "key 'split.n_labels'.*got 'many'"),
        (lambda d: d["base"].update(train={"stepz": 1}), "unknown key 'train.stepz'; did you mean 'steps'"),
        (lambda d: d.update(base=[1]), "key 'base': .*got \\[1\\]"),
        (lambda d: d.update(exclude=[{"grup": "C1"}]), "exclude: unknown axis 'grup'"),
        (lambda d: d.update(exclude=[{"group": ["C1", "D4"]}]), "at least one run"),
        (lambda d: d.update(name="a/b"), "expected a word"),
        (lambda d: d["axes"].update({"model": [{"label": i, "width": 1.0} for i in "ab"]}), "are the same run"),
    ],
)
def test_every_mistake_is_one_line_that_names_it(document, change, message):
    change(document)
    with pytest.raises(InputError, match=message) as caught:
        make_grid(document)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("override", ["steps", "=3", "stepz=3", "steps=[1"])
def test_bad_overrides_are_refused(document, override):
    with pytest.raises(InputError, match="--set"):
        make_grid(document, [override])


def test_load_grid_reads_yaml(document, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(document))
    assert load_grid(path).runs == make_grid(document).runs
    path.write_text("name: tiny\nbase: {seed: 1, seed: 2}\n")
    with pytest.raises(InputError, match="key 'seed' stands twice"):
        load_grid(path)
    path.write_text("a: &a {name: tiny, base: {}}\nb: {<<: *a, name: other}\n")
    assert load_yaml(path)["b"] == {"name": "other", "base": {}}  # merged keys may be overridden
    path.write_text("name: [")
    with pytest.raises(InputError, match="not valid YAML"):
        load_grid(path)
