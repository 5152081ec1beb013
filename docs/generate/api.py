"""The public names of the package and of its rooms, for autodoc."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType

#: page -> what it is of: a room with ``__all__``, or modules whose own public names are meant
PAGES: dict[str, tuple[str, ...]] = {
    "equirgz": ("equirgz",),
    "backbones": ("equirgz.backbones", "equirgz.backbones.hub", "equirgz.backbones.reference"),
    "nn": ("equirgz.nn",),
    "geometry": (
        "equirgz.geometry.group", "equirgz.geometry.representation", "equirgz.geometry.field_type",
        "equirgz.geometry.action", "equirgz.geometry.transform",
    ),
    "augment": ("equirgz.augment",),
    "data": ("equirgz.data",),
    "tasks": ("equirgz.tasks",),
    "objectives": (
        "equirgz.objectives", "equirgz.objectives.heads", "equirgz.objectives.generative.flow_matching",
        "equirgz.objectives.generative.noise_schedules",
        "equirgz.objectives.generative.velocity_field", "equirgz.objectives.generative.condition",
        "equirgz.objectives.generative.ode",
    ),
    "train": ("equirgz.train", "equirgz.train.loggers", "equirgz.train.estimators.classifier"),
    "evaluate": ("equirgz.evaluate",),
    "answers": (
        "equirgz.answers.classify_images", "equirgz.answers.source_model", "equirgz.answers.fit",
    ),
    "metrics": ("equirgz.metrics", "equirgz.metrics.uncertainty.coverage"),
    "report": ("equirgz.report",),
    "config": ("equirgz.config",),
    "grid": (
        "equirgz.grid.plan.grid", "equirgz.grid.plan.preflight", "equirgz.grid.runner", "equirgz.grid.single",
        "equirgz.grid.results.publish", "equirgz.grid.engine.engine_config",
    ),
    "residual": ("equirgz.residual.flow", "equirgz.residual.of_table", "equirgz.residual.readings"),
    "imaging": (
        "equirgz.imaging.antennas", "equirgz.imaging.measurement", "equirgz.imaging.gridded",
        "equirgz.imaging.non_uniform", "equirgz.imaging.gaussian_prior", "equirgz.imaging.network_prior",
        "equirgz.imaging.posterior_score", "equirgz.imaging.samplers", "equirgz.imaging.clean",
        "equirgz.imaging.visibilities", "equirgz.imaging.simulated",
    ),
    "retrieval": (
        "equirgz.retrieval.engine", "equirgz.retrieval.judge", "equirgz.retrieval.weights",
        "equirgz.retrieval.approximate", "equirgz.retrieval.papers.corpus", "equirgz.retrieval.papers.word_model",
        "equirgz.retrieval.papers.paper_index", "equirgz.retrieval.papers.titles",
    ),
    "tags": (
        "equirgz.tags.annotations", "equirgz.tags.terms", "equirgz.tags.forest", "equirgz.tags.study",
        "equirgz.tags.find",
    ),
    "registry_and_errors": ("equirgz.registry", "equirgz.errors", "equirgz.images", "equirgz.pretrained"),
}  # fmt: skip


def pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of a page per room."""
    for name, modules in PAGES.items():
        title = (
            name.replace("_", " ")
            if name == "registry_and_errors"
            else modules[0]
            if len(modules) == 1
            else f"equirgz.{name}"
        )
        yield (
            name,
            "\n\n".join([f"# {title[0].upper() + title[1:] if ' ' in title else title}", *map(section, modules)])
            + "\n",
        )


def section(name: str) -> str:
    """Return what autodoc is to show of one module: its docstring and its public names."""
    module = importlib.import_module(name)
    lines = ["```{eval-rst}", f".. automodule:: {name}", "   :no-members:", ""]
    for public in public_names(module):
        thing = getattr(module, public)
        lines += [f".. {directive(thing)}:: {name}.{public}", *options(thing), ""]
    return "\n".join([*lines, "```"])


def public_names(module: ModuleType) -> list[str]:
    """Return ``__all__`` without the version, else the classes and functions that the module itself defines."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not name.startswith("__")]
    own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", None) == module.__name__]
    return [
        name
        for name in own
        if not name.startswith("_") and (inspect.isclass(vars(module)[name]) or inspect.isfunction(vars(module)[name]))
    ]


def directive(thing: object) -> str:
    """Return the directive of autodoc for ``thing``."""
    return (
        "autoclass"
        if inspect.isclass(thing)
        else "autofunction"
        if callable(thing) and hasattr(thing, "__name__")
        else "autodata"
    )


def options(thing: object) -> list[str]:
    """Return the options of that directive."""
    if inspect.isclass(thing):
        routing = ("fit", "score", "transform", "inverse_transform")  # methods that scikit-learn adds for these
        return ["   :members:", f"   :exclude-members: {', '.join(f'set_{name}_request' for name in routing)}"]
    return [] if callable(thing) and hasattr(thing, "__name__") else ["   :no-value:"]
