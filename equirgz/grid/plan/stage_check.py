"""Find the mistakes of a stage of a pre-training, or of sources beside a run's own, before any work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from equirgz.config import JointConfig, PretrainConfig, RunConfig
from equirgz.errors import EquirgzError
from equirgz.grid.plan.training_check import check_training
from equirgz.grid.run.pretraining import SIMULATED
from equirgz.tasks import Task

if TYPE_CHECKING:
    from equirgz.grid.run.prepare import PreparedRun
    from equirgz.objectives.base import Objective

Part = TypeVar("Part", PretrainConfig, JointConfig)
FEW = 128  # simulated sources that a check makes of a set


@dataclass(frozen=True)
class CheckedStage:
    """``n_views``: images that an update looks at, in batches; ``task``: what the stage answers, if it does."""

    n_views: int
    task: Task | None = None


def check_stage(run: PreparedRun, place: int) -> CheckedStage:
    """Make the parts of the stage at ``place``; raise the first EquirgzError, prefixed by its key.

    Of simulated sources few are made. Training is not tried.
    """
    stages = run.config.stages
    try:
        return _check(run, thin(stages[place]))
    except EquirgzError as error:
        where = "pretrain" if len(stages) == 1 else f"pretrain.{place}"
        raise type(error)(str(error) if str(error).startswith(where) else f"{where}: {error}") from error


def _check(run: PreparedRun, stage: PretrainConfig) -> CheckedStage:
    from equirgz.grid.run.encoders import start_from_encoder
    from equirgz.grid.run.prepare import prepare_stage
    from equirgz.grid.run.training import check_labels, make_objective

    if stage.encoder is not None:
        start_from_encoder(run, stage.encoder)
        return CheckedStage(0)
    prepared = prepare_stage(run, stage)
    n_views = check_training(prepared.backbone, stage.objective, stage.train, prepared.task, run.config, is_main=False)
    objective = make_objective(prepared, stage.objective)
    check_labels(prepared, stage, objective)
    answers = stage.data is not None and objective.needs_labels and objective.has_answers
    return CheckedStage(n_views, prepared.task if answers else None)


def check_joint(run: PreparedRun, objective: Objective) -> None:
    """Make the joint sources of a run; raise EquirgzError where its objective cannot learn from them."""
    from equirgz.grid.run.training import gather_images
    from equirgz.train.images import check_training_set

    config = run.config.model_copy(update={"joint": thin(run.config.joint)})
    check_training_set(objective, gather_images(replace(run, config=config), objective))


def thin(part: Part) -> Part:
    """Return a stage, or a joint set, with few simulated sources, whose options are checked all the same."""
    data = part.data
    if data is None or not data.name.startswith(SIMULATED):
        return part
    counts = {key: min(n, FEW) for key, n in data.params.items() if key.startswith("n_") and isinstance(n, int)}
    return part.model_copy(update={"data": data.model_copy(update={"params": data.params | counts})})


def check_zero_shot(config: RunConfig, task: Task, last: CheckedStage | None) -> None:
    """Raise InputError where a run reads out ``zero_shot`` and its last stage does not tell its classes apart."""
    from equirgz.grid.run.zero_shot import NAME, match_outputs

    if NAME in config.evaluation.readouts and last is not None and last.task is not None:
        match_outputs(last.task, task)
