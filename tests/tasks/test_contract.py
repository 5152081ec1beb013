"""What every task owes by being registered, on backbones and objectives that fit; each test runs on all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz.augment import create_augmentation
from equirgz.backbones import create_backbone
from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import InputError
from equirgz.evaluate.predict import predict
from equirgz.objectives import OBJECTIVES, create_objective, list_objectives
from equirgz.objectives.heads import HEADS
from equirgz.tasks import create_task, list_tasks
from equirgz.train import TrainImages, make_validation, train
from tests.tasks.toy import DENSE, PARAMS, make_blobs
from tests.train.test_trainer import Stop, stop_after

TASKS = list_tasks()
SERVED = {
    name: [task for task in TASKS if (getattr(OBJECTIVES.get(name), "tasks", None) or TASKS).__contains__(task)]
    for name in list_objectives()
    if OBJECTIVES.get(name).needs_labels and not OBJECTIVES.get(name).needs_unlabelled
}
SMALL = {"hybrid": {"hidden": 8, "projection": 4}}


def make(task_name: str, objective: str = "supervised", backbone: str = "steerable_lenet", seed: int = 0):
    """Return an objective for a task on blobs, and what it trains on."""
    images = make_blobs(dense=task_name)
    task = create_task(task_name, images, **PARAMS.get(task_name, {}))
    group = {"group": "C4"} if backbone.startswith("steerable") else {}
    width = {"width": 0.2}
    if task_name == "denoising":  # it asks for noise levels, and for maps as fine as the image
        backbone = backbone.replace("lenet", "unet")
        width = {"fields": (6, 8), "convolutions": 1, "conditioned": True}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = create_backbone(backbone, image_size=17, **width, **group)
    made = create_objective(objective, network, task=task, init_seed=seed, **SMALL.get(objective, {}))
    target_N = task.targets(images)
    known_N = task.known(target_N)
    if task_name == "image_to_image":
        known_N[:] = True
    return made, TrainImages(images.x_NCHW[known_N], target_N[known_N])


def config(steps: int, augmentation: str = "rotation_flips", lr: float = 0.01) -> TrainConfig:
    optimizer = OptimizerConfig(lr=lr)
    return TrainConfig(steps=steps, batch_size=8, augmentation=augmentation, optimizer=optimizer)


def test_every_task_has_words_a_head_and_sources_to_learn_from():
    assert list_tasks() == sorted(PARAMS) == HEADS.names()


@pytest.mark.parametrize("name", TASKS)
def test_the_loss_falls(name):
    """The middle one of three seeds decides: another processor's rounding is one more seed, and one may be unlucky."""
    for backbone, steps in (("steerable_lenet", 30), ("lenet", 90)):
        falls = []
        for seed in range(3):
            objective, images = make(name, backbone=backbone, seed=seed)
            rows = train(objective, images, config(steps, "flips"), seed=seed, log_every=1).rows
            falls.append(np.mean([row["loss"] for row in rows[-5:]]) / np.mean([row["loss"] for row in rows[:3]]))
        assert sorted(falls)[1] < 0.9


@pytest.mark.parametrize(("objective", "name"), [(o, t) for o, served in SERVED.items() for t in served])
def test_every_objective_that_serves_a_task_trains_and_answers_it(objective, name):
    made, images = make(name, objective)
    train(made, images, config(2, lr=0.001), seed=0)
    validate = make_validation(images.x_NCHW, images.y_N)
    assert all(np.isfinite(value) for value in validate(made).values())
    answer_N = predict(made, images.x_NCHW, n_samples=min(2, made.n_predictive_samples))
    task = made.task
    rows = task.score(task.keep(answer_N, images.y_N.numpy()))
    assert task.headline.metric in {row["metric"] for row in rows}
    for row in rows:
        assert row["direction"] in ("lower", "higher", "none") and row["n"] > 0


@pytest.mark.parametrize("name", TASKS)
def test_resume_is_exact(name, tmp_path, monkeypatch):
    keywords = {"seed": 7, "checkpoint_every": 2, "log_every": 1}
    whole, images = make(name)
    log = train(whole, images, config(5), work_dir=tmp_path / "whole", **keywords)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(Stop):
            train(make(name)[0], images, config(5), work_dir=tmp_path / "parts", **keywords)
    resumed = make(name)[0]
    again = train(resumed, images, config(5), work_dir=tmp_path / "parts", **keywords)
    assert again.resumed_from == 2 and again.rows == log.rows
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in whole.state_dict().items())


@pytest.mark.parametrize("name", TASKS)
def test_targets_of_another_kind_are_refused_before_training(name):
    objective, images = make(name)
    other = torch.zeros(len(images.x_NCHW), 7, 3) if name != "classification" else torch.rand(len(images.x_NCHW))
    with pytest.raises(InputError) as caught:
        train(objective, TrainImages(images.x_NCHW, other), config(1), seed=0)
    assert "\n" not in str(caught.value) and "expected" in str(caught.value)


def test_class_codes_are_no_numbers_to_regress():
    objective, images = make("regression")
    with pytest.raises(InputError, match="class codes are the task classification"):
        train(objective, TrainImages(images.x_NCHW, torch.arange(len(images.x_NCHW)) % 2), config(1), seed=0)


def test_a_mask_that_is_not_in_register_is_refused():
    objective, images = make("segmentation")
    with pytest.raises(InputError, match=r"maps of 17 x 17 pixels, in register with the images, got \(16, 1, 15, 15\)"):
        train(objective, TrainImages(images.x_NCHW, images.y_N[..., 1:-1, 1:-1]), config(1), seed=0)


@pytest.mark.parametrize("objective", ["laplace", "fixmatch", "sidda"])
def test_a_task_that_an_objective_cannot_serve_names_those_that_can(objective):
    images = make_blobs()
    task = create_task("regression", images, **PARAMS["regression"])
    with pytest.raises(InputError, match="expected the task classification, got task regression.*supervised") as caught:
        create_objective(objective, create_backbone("lenet", image_size=17, width=0.2), task=task)
    assert "laplace" not in str(caught.value).split("objectives that can")[1]


@pytest.mark.parametrize("dense", DENSE)
def test_answers_per_pixel_turn_with_the_sources_and_views_are_turned_back(dense):
    objective, images = make(dense)
    objective.head.learn(images.y_N.numpy())
    turned = torch.rot90(images.x_NCHW, 1, (-2, -1))
    whole, again = predict(objective, images.x_NCHW), predict(objective, turned)
    np.testing.assert_allclose(again, np.rot90(whole, 1, (-2, -1)), atol=1e-5)
    np.testing.assert_allclose(predict(objective, images.x_NCHW, views=4), whole, atol=1e-5)
    with pytest.raises(InputError, match="expected 1, 2, 4, whose answers are turned back exactly, got 3"):
        predict(objective, images.x_NCHW, views=3)


@pytest.mark.parametrize("augment", ["rotation_flips", "strong", "full"])
def test_a_view_turns_the_maps_with_the_image(augment):
    """A map that equals the image goes where the image goes, to the last bit; what comes from outside is unknown."""
    x_BCHW = torch.rand(6, 1, 17, 17) + 1
    params = {"strong": {"n_operations": 2, "pool": ("identity", "shear_rows", "shift_columns")}}.get(augment, {})
    params |= {"full": {"brightness": 0.0, "blur_probability": 0.0}}.get(augment, {})
    augmentation = create_augmentation(augment, mask=False, **params)
    view, maps = augmentation.with_maps(x_BCHW, x_BCHW.clone(), torch.Generator().manual_seed(0))
    alone = augmentation(x_BCHW, torch.Generator().manual_seed(0))
    known = torch.isfinite(maps)
    assert torch.equal(view, alone) and 0.3 < known.float().mean() < 1
    torch.testing.assert_close(maps[known], view[known], rtol=0, atol=1e-6)
    quarter = create_augmentation("rotation_flips", step_deg=90.0, mask=False)
    view, maps = quarter.with_maps(x_BCHW, x_BCHW.clone(), torch.Generator().manual_seed(1))
    assert torch.equal(view, maps)
    x_BCHW[0, 0, 3, 4] = torch.nan
    _, maps = quarter.with_maps(torch.ones_like(x_BCHW), x_BCHW, torch.Generator().manual_seed(1))
    assert torch.isnan(maps).sum() == 1
    masked, hidden = create_augmentation("none").with_maps(view, view, torch.Generator())
    assert torch.equal(masked, hidden)


def test_outputs_are_standardised_by_the_training_set():
    objective, images = make("regression")
    objective.prepare(images.y_N, 0)
    learnt_N = np.log10(images.y_N.numpy()[:, 0])
    assert objective.head.centre_O.item() == pytest.approx(learnt_N.mean(), rel=1e-6)
    raw = torch.zeros(len(learnt_N), 1)
    standard_N = (learnt_N - learnt_N.mean()) / learnt_N.std()
    expected = np.where(np.abs(standard_N) < 1, standard_N**2 / 2, np.abs(standard_N) - 0.5).mean()
    assert objective.head.loss(raw, images.y_N).item() == pytest.approx(expected, rel=1e-5)
    assert objective.task.decode(objective.head.answer(raw).numpy())[0, 0] == pytest.approx(10 ** learnt_N.mean())


@pytest.mark.parametrize("task_name", ["regression", "multilabel", "segmentation", "image_to_image"])
def test_what_is_missing_gives_no_loss_and_no_gradient(task_name):
    objective, images = make(task_name)
    objective.prepare(images.y_N, 0)
    raw = torch.randn(images.y_N.shape if task_name in DENSE else (len(images.y_N), objective.task.n_outputs))
    raw.requires_grad_()
    target = images.y_N.clone()
    target[:4] = torch.nan
    loss = objective.head.loss(raw, target)
    loss.backward()
    assert not raw.grad[:4].any() and raw.grad[4:].any()
    torch.testing.assert_close(loss, objective.head.loss(raw[4:], target[4:]))
    assert objective.head.loss(raw, torch.full_like(target, torch.nan)).item() == 0
