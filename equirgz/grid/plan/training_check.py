"""Find the mistakes of one training before any work: its objective, augmentation and schedule."""

from __future__ import annotations

from typing import Any

from equirgz.config import ObjectiveConfig, RunConfig, TrainConfig
from equirgz.errors import InputError
from equirgz.tasks import Task


def check_training(
    backbone: Any,
    objective: ObjectiveConfig,
    training: TrainConfig,
    task: Task,
    config: RunConfig,
    *,
    is_main: bool = True,
) -> int:
    """Make one objective and its augmentation; refuse trainings that must fail at their end.

    Returns the number of images that an update looks at, in batches.
    """
    from equirgz.augment import create_augmentation
    from equirgz.objectives.base import create_objective
    from equirgz.train.optim import lr_factor

    create_augmentation(training.augmentation, **training.augmentation_params)
    made = create_objective(objective.name, backbone=backbone, task=task, **objective.params)
    lr_factor(0, training.steps, training.optimizer.warmup_steps)
    if training.selection_rule == "best_val" and config.split.n_val == 0:
        raise InputError("selection_rule best_val: expected a validation set, got none; set split.n_val")
    if is_main and "network" in config.evaluation.readouts and not made.has_answers:
        raise InputError(
            f"evaluation.readouts: objective {objective.name!r} has no classifier, so no read-out 'network'; "
            "use probe or knn"
        )
    return sum(made.unlabelled_ratio if view.pool == "unlabelled" else 1 for view in made.views.values())


def check_strong_views(config: RunConfig) -> None:
    """Refuse strong views (equalise, posterise, autocontrast: for [0, 1]) of images in units of their rms."""
    from equirgz.objectives.base import OBJECTIVES

    views = getattr(OBJECTIVES.get(config.objective.name), "views", {})
    if config.data.normalise and any(view.strength == "strong" for view in views.values()):
        raise InputError(
            f"data.normalise: expected false with objective {config.objective.name!r}, whose strong views are of "
            "images in [0, 1], got true; set data.normalise: false"
        )
