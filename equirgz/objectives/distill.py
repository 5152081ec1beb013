"""Distillation: a small network learns what a large one, or several, says of images without labels (arXiv 1503.02531).

Legend: B batch, F features, K classes, T teachers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError, require
from equirgz.objectives.base import OBJECTIVES, Batch, Objective, View
from equirgz.objectives.heads.base import make_classifier
from equirgz.objectives.precision import full_precision
from equirgz.objectives.teachers import START, Teacher, is_classifier, load_teachers
from equirgz.tasks import Task


@full_precision
def compute_distillation_loss(student_BK: Tensor, teacher_TBK: Tensor, temperature: float) -> Tensor:
    """Return ``t^2 mean_B KL(p || q)``, nat: p the mean over teachers of softmax(logits / t), q the student's.

    0 where the student says the same; t^2 keeps the gradient's size whatever the temperature.
    """
    p_BK = torch.softmax(teacher_TBK / temperature, -1).mean(0)
    log_q_BK = torch.log_softmax(student_BK / temperature, -1)
    return temperature**2 * F.kl_div(log_q_BK, p_BK, reduction="batchmean")


@OBJECTIVES.register("distill")
class Distill(Objective):
    """The student sees the view that its teachers see, and learns their answers, or their features.

    Teachers that are classifiers give classes: the loss is :func:`compute_distillation_loss` of the mean of their
    probabilities, and the student answers by itself afterwards. Encoders give features: the loss is the mean squared
    distance of a linear map of the student's features from all teachers' features, each standardised by batch norm.
    No label is read. Where teachers lie is part of a run's identity, what is in their files is not.

    Parameters
    ----------
    teacher : path of a saved encoder or classifier, a list of them (an ensemble), or ``start``: the network as it is
        when this training starts, such as a pre-training left it.
    temperature : t, by which logits of classifiers are divided.
    """

    views = {"unlabelled": View("unlabelled")}
    tasks = None
    needs_labels = False
    uses_unlabelled = True

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int = 2,
        teacher: str | Sequence[str] = START,
        temperature: float = 2.0,
    ) -> None:
        super().__init__(backbone, task)
        require(temperature > 0, "temperature", expected="a positive number", got=temperature)
        self.temperature = temperature
        teachers: list[Teacher] = load_teachers(teacher, backbone)
        self.teachers = nn.ModuleList(teachers)
        answers = [is_classifier(one) for one in teachers]
        if any(answers) and not all(answers):
            raise InputError("teacher", expected="classifiers or encoders", got="both")
        self.by_answers = all(answers)
        if self.by_answers:
            self._check_classes()
            self.classifier = make_classifier(backbone.num_features, self.task.n_outputs)
            return
        widths = [one.num_features for one in teachers]
        self.predictor = nn.Linear(backbone.num_features, sum(widths))
        self.standard = nn.BatchNorm1d(sum(widths), affine=False)

    @property
    def has_answers(self) -> bool:
        return self.by_answers

    def _check_classes(self) -> None:
        found = sorted({getattr(one, "objective", one).n_classes for one in self.teachers} | {self.n_classes})
        expected, own = "a classification with the teachers' classes", f"task {self.task.name}, {found} classes"
        require(self.task.name == "classification" and len(found) == 1, "teacher", expected=expected, got=own)

    def frozen_parts(self) -> list[nn.Module]:
        return [self.teachers]

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return the student's logits_BK; InputError where its teachers gave features."""
        return self.classifier(self.backbone(x_BCHW)) if self.by_answers else super().logits(x_BCHW)

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss, and with classifiers the share of sources on which student and teachers differ."""
        x_BCHW = batch.view["unlabelled"]
        h_BF = self.backbone(x_BCHW)
        if not self.by_answers:
            with torch.no_grad():
                target_BF = self.standard(torch.cat([teacher(x_BCHW).flatten(1) for teacher in self.teachers], 1))
            return F.mse_loss(self.predictor(h_BF), target_BF), {}
        with torch.no_grad():
            teacher_TBK = torch.stack([teacher.logits(x_BCHW) for teacher in self.teachers])
        student_BK = self.classifier(h_BF)
        said_B = torch.softmax(teacher_TBK, -1).mean(0).argmax(1)
        differ = (student_BK.detach().argmax(1) != said_B).float().mean()
        return compute_distillation_loss(student_BK, teacher_TBK, self.temperature), {"differ": differ}
