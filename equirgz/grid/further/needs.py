"""What the further measurements need of a run, told before any training; torch is imported only where one asks."""

from __future__ import annotations

from equirgz.config import RunConfig
from equirgz.errors import InputError

OF_TASK = {"masks": "segmentation"}  # of a classification are all others
NEED_VALIDATION = ("class_shares", "conformal")


def check_further(config: RunConfig) -> None:
    """Raise InputError, before any training, where a run lacks what a further measurement needs."""
    for name in config.evaluation.further:
        what = f"evaluation.further: {name}"
        task = OF_TASK.get(name, "classification")
        if config.task.name != task:
            raise InputError(what, expected=f"the task {task}", got=config.task.name, mend="leave it out")
        if name in NEED_VALIDATION and config.split.n_val == 0:
            raise InputError(what, expected="validation sources to fit it on", got="none", mend="set split.n_val")
        if name == "pruning" and not _has_posterior(config.objective.name):
            mend = "use the objective variational or ivon, or leave it out"
            raise InputError(what, expected="weights with a distribution", got=config.objective.name, mend=mend)


def _has_posterior(objective: str) -> bool:
    from equirgz.objectives.base import OBJECTIVES
    from equirgz.objectives.bayesian.posterior import WeightPosterior

    made = OBJECTIVES.get(objective)
    return isinstance(made, type) and issubclass(made, WeightPosterior)
