"""Distillation against closed forms: from classifiers, encoders, several of them, and files."""

from __future__ import annotations

import math

import pytest
import torch

import equirgz
from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import DataError, InputError
from equirgz.geometry.action import disk_mask
from equirgz.objectives import create_objective
from equirgz.objectives.base import Batch
from equirgz.objectives.distill import compute_distillation_loss
from equirgz.train import TrainImages, train
from tests.train.toy import make_backbone, make_task


def _encoder(seed: int = 0, **options):
    torch.manual_seed(seed)
    options = {"group": "C4", "image_size": 9, "fields": (2, 3), "kernel_sizes": (3, 3)} | options
    return equirgz.create_backbone("steerable_cnn", **options)


def _classifier(seed: int):
    objective = create_objective("supervised", make_backbone(seed), 2, init_seed=seed)
    return objective.eval()


def test_loss_is_the_divergence_from_the_mean_of_probabilities() -> None:
    teacher = torch.log(torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]]))
    student = torch.log(torch.tensor([[0.4, 0.6]]))
    wanted = 0.7 * math.log(0.7 / 0.4) + 0.3 * math.log(0.3 / 0.6)
    assert float(compute_distillation_loss(student, teacher, 1.0)) == pytest.approx(wanted, rel=1e-5)
    same = torch.randn(5, 3)
    assert float(compute_distillation_loss(same, same[None], 3.0)) == pytest.approx(0.0, abs=1e-6)
    # For small logits the loss does not depend on the temperature: it is the squared distance over 2 K.
    tiny, other = 1e-2 * torch.randn(2, 200, 4, dtype=torch.float64)
    losses = [float(compute_distillation_loss(tiny, other[None], t)) for t in (1.0, 10.0)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_a_student_says_what_an_ensemble_says() -> None:
    x, y = make_task(32)
    optimizer = OptimizerConfig(lr=0.02, weight_decay=0.0)
    config = TrainConfig(steps=40, batch_size=16, augmentation="none", optimizer=optimizer)
    teachers = [_classifier(seed) for seed in (0, 1)]
    for teacher in teachers:
        train(teacher, TrainImages(x, y), config, seed=0)
    before = [{k: v.clone() for k, v in teacher.state_dict().items()} for teacher in teachers]
    student = create_objective("distill", make_backbone(7), 2, init_seed=7, teacher=teachers)
    log = train(student, TrainImages(u_MCHW=x), config, seed=1)
    assert log.last("differ") == 0 and student.has_answers
    assert (student.logits(x).argmax(1) == y).float().mean() == 1, "without having seen a label"
    for teacher, state in zip(student.teachers, before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in teacher.state_dict().items())
    assert not student.train().teachers.training


def test_a_student_learns_features_and_has_no_answers_of_its_own() -> None:
    teachers = [_encoder(1), _encoder(2, group="D4")]
    student = create_objective("distill", _encoder(3), 2, teacher=teachers)
    x = torch.rand(8, 1, 9, 9)
    loss, _ = student.train().training_step(Batch({"unlabelled": x}), 0, 1)
    target = torch.cat([teacher.eval()(x) for teacher in teachers], 1)
    target = (target - target.mean(0)) / torch.sqrt(target.var(0, correction=0) + 1e-5)
    predicted = student.predictor(student.backbone(x))
    torch.testing.assert_close(loss, (predicted - target).square().mean(), rtol=1e-4, atol=0)
    assert not student.has_answers
    with pytest.raises(InputError, match="no classifier"):
        student.logits(x)


def test_teachers_are_read_from_files(tmp_path) -> None:
    encoder = _encoder(4).eval()
    equirgz.save_encoder(encoder, tmp_path / "encoder")
    x, y = make_task(16)
    x = x * disk_mask(9)  # as the classifier sees its images
    model = equirgz.finetune(_encoder(5), x, y, steps=2, batch_size=8)
    model.save(tmp_path / "classifier")
    student = create_objective("distill", _encoder(6), 2, teacher=str(tmp_path / "encoder"))
    torch.testing.assert_close(student.teachers[0](x), encoder(x))
    student = create_objective("distill", _encoder(6), 2, teacher=[str(tmp_path / "classifier")] * 2)
    torch.testing.assert_close(
        torch.softmax(student.teachers[1].logits(x), -1).detach().double().numpy(),
        model.predict_proba(x),
        atol=1e-5,
        rtol=0,
    )
    assert not any(parameter.requires_grad for parameter in student.teachers.parameters())


def test_the_start_is_the_network_as_an_earlier_stage_left_it() -> None:
    backbone = _encoder(8)
    student = create_objective("distill", backbone, 2)
    with torch.no_grad():
        kept = backbone.eval()(torch.ones(1, 1, 9, 9))
        for parameter in backbone.parameters():
            parameter.add_(1.0)
        torch.testing.assert_close(student.teachers[0](torch.ones(1, 1, 9, 9)), kept)


def test_bad_teachers_are_one_line(tmp_path) -> None:
    with pytest.raises(DataError, match="no such file"):
        create_objective("distill", _encoder(), 2, teacher=str(tmp_path / "none"))
    with pytest.raises(InputError, match="image_size: expected 9, as the student's, got 17"):
        create_objective("distill", _encoder(), 2, teacher=_encoder(image_size=17))
    with pytest.raises(InputError, match="expected classifiers or encoders, got both"):
        create_objective("distill", make_backbone(), 2, teacher=[_classifier(0), _encoder()])
    with pytest.raises(InputError, match="the teachers' classes"):
        create_objective("distill", make_backbone(), 3, teacher=_classifier(0))
    with pytest.raises(InputError, match="at least one network"):
        create_objective("distill", make_backbone(), 2, teacher=[])
    with pytest.raises(InputError, match="temperature"):
        create_objective("distill", make_backbone(), 2, temperature=0.0)
