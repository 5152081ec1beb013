"""Pre-training in stages: on data of their own, with labels or without, from an encoder, shared by what they read."""

import numpy as np
import pytest
import torch

from equirgz.backbones import create_backbone, save_encoder
from equirgz.config import parse_run
from equirgz.errors import EquirgzError, InputError
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.plan.preflight import check_grid
from equirgz.grid.run.cell import run_cell
from equirgz.grid.run.prepare import make_backbone, prepare_run, prepare_stage
from equirgz.grid.run.pretraining import PretrainedStore, stage_keys
from equirgz.grid.run.training import TrainOptions, pretrain
from equirgz.grid.run.zero_shot import match_outputs
from equirgz.tasks import create_task
from equirgz.tasks.base import Named

SEVERAL = {
    "name": "several",
    "params": {
        "tasks": [
            {"name": "classification"},
            {"name": "regression", "weight": 0.2, "params": {"targets": ["las_arcsec", "core_share"]}},
        ]
    },
}
LABELS = {"FRII": ["FRII"], "FRI": ["FRI", "bent"]}  # in another order than the run's
RADIO = {"name": "synthetic_radio", "params": {"labels": LABELS, "n_train": 40, "n_test": 0, "size_px": 64}}
TRAIN = {"steps": 2, "batch_size": 8}
SIMULATED = {"data": RADIO, "task": SEVERAL, "objective": {"name": "supervised"}, "train": TRAIN}
ALONE = {"objective": {"name": "simclr"}, "train": TRAIN}
BASE = {
    "data": {"name": "synthetic_fr", "image_size": 17, "params": {"n_train": 40, "n_test": 20}},
    "backbone": {"name": "steerable_lenet", "group": "D4", "width": 0.5},
    "split": {"n_labels": 20},
    "train": TRAIN,
    "evaluation": {"readouts": ["network"], "rotation_angles": 1},
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def config(pretrain=None, **changes):
    fields = {**BASE, **changes}
    return parse_run(fields if pretrain is None else {**fields, "pretrain": pretrain})


def features_after(run_config, **options):
    run = prepare_run(run_config)
    done = pretrain(run, TrainOptions(**options))
    return run.backbone.state_dict(), done


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_stages_in_a_row_are_the_stages_one_after_another():
    both, done = features_after(config([SIMULATED, ALONE]))
    assert [log["stage"] for log in done.logs] == ["pretrain", "pretrain_1"] and done.last is None
    first, _ = features_after(config(SIMULATED))
    run = prepare_run(config([SIMULATED, ALONE]))
    assert pretrain(run, n_stages=1).last is not None and same(run.backbone.state_dict(), first)
    assert not same(both, first)


def test_a_stored_stage_is_where_the_next_one_goes_on(tmp_path):
    direct, _ = features_after(config([SIMULATED, ALONE]))
    features_after(config(SIMULATED), store=tmp_path)
    (log,) = tmp_path.glob("*.json")
    written = log.stat().st_mtime_ns
    for _ in range(2):  # from the first stage, then from the last
        stored, done = features_after(config([SIMULATED, ALONE]), store=tmp_path)
        assert same(stored, direct) and len(done.logs) == 2
    assert log.stat().st_mtime_ns == written and len(list(tmp_path.glob("*.json"))) == 2


def test_zero_shot_answers_by_the_head_of_the_last_stage_also_from_the_store(tmp_path):
    asked = config(SIMULATED, evaluation={"readouts": ["network", "zero_shot"], "rotation_angles": 1})
    results = [run_cell(asked, None, None, store=tmp_path) for _ in range(2)]
    assert results[0]["rows"] == results[1]["rows"] and results[0]["predictions"] == results[1]["predictions"]
    (block,) = [b for b in results[0]["predictions"] if b["readout"] == "zero_shot"]
    run = prepare_run(asked)
    last = pretrain(run).last
    raw = last.logits(torch.from_numpy(run.data.tests["test"].x_NCHW)).detach()[:, :2].double().softmax(1).numpy()
    assert np.allclose(block["probability"], raw[:, ::-1]), "the run's classes in the run's order"


@pytest.mark.parametrize("classes", [("FRI",), ("FRI", "FRII", "none")])
def test_zero_shot_needs_all_classes_of_the_run(classes):
    stage = create_task("several", Named("s", ("compact", "frii", "FRI")), **SEVERAL["params"])
    assert match_outputs(stage, create_task("classification", Named("r", ("FRI", "FRII")))) == [2, 1]
    asked = create_task("classification", Named("r", classes))
    if "none" not in classes:
        assert match_outputs(stage, asked) == [2]
        return
    with pytest.raises(InputError, match="classes of the last stage: expected FRI, FRII, none, got compact, frii, FRI"):
        match_outputs(stage, asked)


def test_a_stage_is_shared_by_all_that_do_not_differ_in_what_it_reads():
    def keys(stages, **changes):
        return stage_keys(config(stages, **changes))

    both = keys([SIMULATED, ALONE])
    assert both[0] == keys(SIMULATED)[0] and both[1] != both[0]
    other = {"data": BASE["data"] | {"params": {"n_train": 50}}, "split": {"split_seed": 3}}
    assert keys(SIMULATED, **other) == keys(SIMULATED), "nothing of the run's sources is read"
    assert keys(SIMULATED, seed=1) != keys(SIMULATED)
    assert keys(ALONE, **other) != keys(ALONE)
    seeded = SIMULATED | {"seed": 0}
    assert keys(seeded, seed=1) == keys(seeded) != keys(SIMULATED)
    changed = keys([seeded, ALONE], seed=1)
    assert changed[0] == keys(seeded)[0] and changed[1] != keys([seeded, ALONE])[1]
    shared, held = ALONE | {"seed": 0}, {"split_seed": 3, "n_val": 5}
    assert keys(shared, split={"split_seed": 3}) == keys(shared) != keys(shared, split=held), "nobody is held apart"
    assert keys(shared, split=held | {"split_seed": 4}) != keys(shared, split=held)
    cleaned = SIMULATED | {"data": RADIO | {"drop_leaks": True}}
    assert keys(cleaned, **other) != keys(cleaned), "what is dropped depends on what the run holds out"


def test_a_stage_of_one_seed_gives_all_runs_one_network():
    seeded = SIMULATED | {"seed": 5}
    first, second = (features_after(config(seeded, seed=seed))[0] for seed in (0, 1))
    assert same(first, second)
    assert not same(*(features_after(config(SIMULATED, seed=seed))[0] for seed in (0, 1)))


def test_the_head_of_a_stage_is_kept_beside_the_weights(tmp_path):
    _, done = features_after(config(SIMULATED), store=tmp_path)
    (key,) = stage_keys(config(SIMULATED))
    head = PretrainedStore(tmp_path).read_head(key)
    assert head and all(torch.equal(done.last.state_dict()[name], value) for name, value in head.items())
    assert not any(name.startswith("backbone.") for name in head)


def test_a_stage_on_its_own_data_sees_nothing_that_the_run_holds_out():
    own = {"data": BASE["data"], "objective": {"name": "supervised"}, "train": TRAIN}
    held = config(own, split={"hold_out": 10, "n_val": 6, "n_labels": 20})
    run = prepare_run(held)
    with pytest.raises(InputError, match="expected no source with the id of a test .*got 16"):
        prepare_stage(run, held.stages[0])
    cleaned = config(own | {"data": BASE["data"] | {"drop_leaks": True}}, split=dict(held.split))
    stage = prepare_stage(run, cleaned.stages[0])
    out = {*run.data.tests["test"].source_id_N, *run.data.train.source_id_N[run.split.val_index]}
    assert len(stage.labelled) == 24 and out.isdisjoint(stage.labelled.source_id_N) and not stage.eval_sets


def test_labels_and_an_unlabelled_set_go_into_one_stage():
    hybrid = {
        "data": RADIO | {"unlabelled": "synthetic_fr", "unlabelled_params": {"n_train": 12}},
        "objective": {"name": "hybrid"},
        "train": TRAIN,
    }
    _, done = features_after(config(hybrid))
    assert np.isfinite(done.logs[0]["last"]["loss"])


def test_an_encoder_is_where_a_run_starts(tmp_path):
    encoder = create_backbone("steerable_lenet", group="D4", image_size=17, width=0.5)
    facts = {"stretch": "sqrt", "mask": True, "pixel_scale_arcsec": 1.8 * 150 / 17, "rms": 0.2}
    path = str(save_encoder(encoder, tmp_path / "mine", preprocessing=facts))
    state, _ = features_after(config({"encoder": path}))
    assert same(state, encoder.state_dict())
    after, done = features_after(config([{"encoder": path}, ALONE]))
    assert not same(after, state) and len(done.logs) == 2
    wrong = [
        (config({"encoder": "no_such"}), r"pretrain.encoder: expected a shipped encoder \(.*got no_such"),
        (config({"encoder": path}, backbone=BASE["backbone"] | {"group": "C4"}), "group: expected D4, got C4"),
        (config({"encoder": path}, backbone=BASE["backbone"] | {"width": 1.0}), "width: expected 0.5, got 1.0"),
        (config({"encoder": path}, data=BASE["data"] | {"crop": 75}), "size of a pixel: expected 15.88 arcsec"),
        (config({"encoder": path}, data=BASE["data"] | {"stretch": "linear"}), "data.stretch: expected sqrt"),
        (
            config({"encoder": path}, data=BASE["data"] | {"normalise": False}),
            "data.normalise: expected True, got False",
        ),
    ]
    for bad, line in wrong:
        with pytest.raises(InputError, match=line):
            features_after(bad)


@pytest.mark.parametrize(
    ("stages", "changes", "line"),
    [
        ({"objective": {"name": "supervised"}}, {}, "pretrain.objective: expected one that needs no labels"),
        (
            [ALONE, {"objective": {"name": "simclrr"}}],
            {},
            "pretrain.1: .*unknown 'simclrr'",
        ),
        ({"data": {"name": "no_such_set"}}, {}, "pretrain: .*no_such_set"),
        ([{"data": RADIO | {"params": RADIO["params"] | {"n_sigma": -1}}}, {}], {}, "pretrain.0: .*"),
        ({"data": RADIO | {"params": {"n_train": 9, "priors": {"FRI": {"las": [-5, 1]}}}}}, {}, "pretrain: .*"),
        (SIMULATED | {"task": {"name": "regression", "params": {"targets": ["no_such"]}}}, {}, "pretrain: .*no_such"),
        (ALONE, {"evaluation": {"readouts": ["zero_shot"]}}, "zero_shot: expected a last stage that learns classes"),
        (None, {"evaluation": {"readouts": ["zero_shot"]}}, "zero_shot: .* got no pre-training"),
        ({"encoder": "no_such"}, {}, "pretrain.encoder: expected a shipped encoder"),
        (SIMULATED | {"train": {"augmentation": "no_such"}}, {}, "pretrain: .*no_such"),
        (SIMULATED | {"train": {"steps": 3, "optimizer": {"warmup_steps": 5}}}, {}, "pretrain: warmup_steps"),
    ],
)
def test_a_dry_run_finds_what_is_wrong_with_a_stage(stages, changes, line):
    base = {**BASE, **changes} | ({} if stages is None else {"pretrain": stages})
    with pytest.raises(EquirgzError, match=line) as error:
        check_grid(make_grid({"name": "g", "question": "?", "base": base}), None)
    assert "\n" not in str(error.value)


def test_a_dry_run_counts_each_stage_once_and_makes_few_simulated_sources():
    many = SIMULATED | {"data": RADIO | {"params": RADIO["params"] | {"n_train": 10**9}}}
    before = [{"label": "one", "pretrain": many}, {"label": "two", "pretrain": [many, ALONE]}]
    axes = {"before": before, "seed": [0, 1]}
    costs = [
        *check_grid(make_grid({"name": "g", "question": "?", "base": BASE, "axes": axes}), None).multiply_adds.values()
    ]
    alone = check_grid(make_grid({"name": "g", "question": "?", "base": BASE}), None).multiply_adds
    (plain,) = alone.values()
    one, two = costs[0] - plain, costs[2] - plain
    assert one == plain and two == 2 * plain, "TRAIN is that of the run; SimCLR has two views"
    assert costs[1] == costs[0] and costs[3] == costs[2]


def test_the_network_of_a_stage_is_that_of_its_seed():
    run = config(SIMULATED | {"seed": 9})
    stage = prepare_stage(prepare_run(run), run.stages[0])
    assert same(make_backbone(stage.config, 1).state_dict(), make_backbone(config(seed=9), 1).state_dict())
    assert stage.task.name == "several" and len(stage.labelled) == 40
