"""What can be named in a YAML, from the registries: backbones, objectives, tasks, augmentations, data sets, metrics."""

from __future__ import annotations

from collections.abc import Iterator

from equirgz.data.facts import SETS
from equirgz.grid.plan.keys import option_keys, registries
from equirgz.metrics import METRICS
from equirgz.registry import Registry, default_group
from generate.markdown import cell, code, link, plain, sources, summary, table
from generate.yaml_keys import keys

TITLES = {
    "backbone.params": ("backbones", "Backbones"),
    "objective.params": ("objectives", "Objectives"),
    "task.params": ("tasks", "Tasks"),
    "train.augmentation_params": ("augmentations", "Augmentations"),
    "data.params": ("datasets", "Data sets"),
}
COST = "65 px, default width; parameters and multiply-adds counted, not estimated (`equirgz models`)."


def pages(*, costs: bool) -> Iterator[tuple[str, str]]:
    """Yield name and text of the page of each registry, and of the metrics."""
    for key, registry in registries().items():
        name, title = TITLES[key]
        parts = [f"# {title}"]
        if name == "backbones" and costs:
            parts += [cost_table(registry)]
        if name == "datasets":
            parts += ["Options of each name, then the [archives](#published-archives) that they read."]
        yield name, "\n\n".join([*parts, *entries(key, registry), *(archives() if name == "datasets" else ())]) + "\n"
    yield "metrics", metrics()


def entries(key: str, registry: Registry) -> Iterator[str]:
    """Yield heading, first paragraph and options of every name."""
    options = list(option_keys({key: registry}))
    for name in registry:
        yield f"## {name}\n\n{summary(registry.get(name))}"
        papers = sources(registry.get(name))
        if papers:
            yield f"Source: {', '.join(map(link, papers))}."
        own = [option for option in options if option.of == name]
        if own:
            yield keys(own)


def cost_table(registry: Registry) -> str:
    """Return parameters, multiply-adds and features of every backbone as it is built by its name alone."""
    from equirgz.backbones import create_backbone, measure_cost

    rows = []
    for name in registry:
        backbone = create_backbone(name)
        cost = measure_cost(backbone)
        numbers = (backbone.num_features, cost["parameters"], cost["multiply_adds"])
        rows.append(
            (f"[{name}](#{name})", default_group(name), *(f"{number:,}".replace(",", " ") for number in numbers))
        )
    return f"{table(('name', 'group', 'features', 'parameters', 'multiply-adds'), rows)}\n{COST}"


def archives() -> Iterator[str]:
    """Yield what is known of every published archive."""
    yield "## Published archives"
    yield "`equirgz data list` says which of them lie in your data root; `equirgz data check` tests them."
    for name in SETS:
        info = SETS[name]
        facts = {
            "file": code(info.filename), "md5": code(info.md5 or ""), "address": cell(info.url or ""),
            "licence": cell(info.licence or ""), "cite": plain(info.citation),
            "data sets": ", ".join(map(code, info.datasets)), "notes": plain(info.notes),
        }  # fmt: skip
        yield f"### {name}\n\n{plain(info.title)}\n\n" + "\n".join(
            f"- {k}: {v}" for k, v in facts.items() if v != "–" and v
        )


def metrics() -> str:
    """Return the page of the metrics: of class probabilities from their registry, of tasks from their headlines."""
    rows = []
    for name in METRICS:
        found = METRICS.get(name)
        ends = ", ".join(f"{end:g}" for end in (found.lowest, found.highest))
        rows.append((code(name), found.unit, found.direction, f"[{ends}]", summary(found.function)))
    return (
        "\n\n".join(
            [
                "# Metrics",
                "One measured number is one row: `metric`, `value`, `unit`, `n`, and of which run, split and read-out. "
                "A name is `family/name`. Of class probabilities and labels:",
                table(("metric", "unit", "better", "range", "what it is"), rows),
                "The numbers of other targets are said by their [tasks](tasks.md).",
            ]
        )
        + "\n"
    )
