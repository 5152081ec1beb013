"""Which read-outs a run may be asked for, and what each of them needs; no torch."""

from __future__ import annotations

from equirgz.config import RunConfig
from equirgz.errors import InputError, check_choice
from equirgz.metrics.calibration.recalibration import RECALIBRATIONS
from equirgz.tasks import Task

OTHERS = ("network", "probe", "knn", "linear_probe", "zero_shot")


def list_readouts() -> tuple[str, ...]:
    """Return the names of all read-outs: the network and the ways to recalibrate it, probes, and zero-shot answers."""
    return (OTHERS[0], *RECALIBRATIONS.names(), *OTHERS[1:])


def recalibrations(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the named read-outs that mend the network's probabilities by its validation sources."""
    return tuple(name for name in names if name in RECALIBRATIONS.names())


def check_readouts(config: RunConfig) -> None:
    """Raise InputError for an unknown read-out, a recalibration without validation sources or network, and
    ``zero_shot`` without a last stage that learns from data of its own."""
    names = config.evaluation.readouts
    for name in names:
        check_choice("evaluation.readouts", name, list_readouts())
    if "zero_shot" in names and (not config.stages or config.stages[-1].data is None):
        got = "no pre-training" if not config.stages else "a last stage without data"
        mend = "leave zero_shot out, or give that stage data with the run's classes"
        expected = "a last stage that learns classes from data of its own"
        raise InputError("evaluation.readouts: zero_shot", expected=expected, got=got, mend=mend)
    for name in recalibrations(names)[:1]:
        what = f"evaluation.readouts: {name}"
        if config.split.n_val == 0:
            expected = "validation sources to fit it on, held out of training"
            raise InputError(what, expected=expected, got="none", mend="set split.n_val")
        if "network" not in names:
            raise InputError(what, expected="network beside it", got="none", mend="add network")


def check_served(names: tuple[str, ...], task: Task) -> None:
    """Raise InputError, with those that can, for the first read-out that does not answer ``task``."""
    able = [name for name in list_readouts() if _answers(name, task)]
    for name in names:
        if name not in able:
            mend = f"of this task use {' or '.join(able)}"
            expected = "a read-out that answers the task"
            raise InputError("evaluation.readouts", expected=expected, got=f"{name} for {task.name}", mend=mend)


def _answers(name: str, task: Task) -> bool:
    classes = task.categorical
    needs = {
        **dict.fromkeys(RECALIBRATIONS.names(), classes),
        "probe": classes,
        "zero_shot": task.name == "classification",
        "linear_probe": task.read_as,
        "knn": task.read_as,
    }
    return bool(needs.get(name, True))
