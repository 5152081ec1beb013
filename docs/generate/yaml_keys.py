"""The keys of a YAML, from the models that check them."""

from __future__ import annotations

from equirgz.grid.plan.keys import Key, model_keys
from generate.markdown import cell, code, table

INTRODUCTION = """# Keys of a YAML

`equirgz bench keys PATTERN` prints the same; `equirgz bench schema` writes a JSON schema for editors. A key that is not
here is an error that names the nearest one. The options under `params` belong to what is named beside them:
[backbones](backbones.md), [objectives](objectives.md), [tasks](tasks.md), [data sets](datasets.md),
[augmentations](augmentations.md)."""


def page() -> str:
    """Return the page of all keys, a table per section."""
    sections: dict[str, list[Key]] = {}
    for key in model_keys():
        section = key.name.partition(".")[0] if "." in key.name else "top level"
        sections.setdefault(section, []).append(key)
    top = sections.pop("top level")
    parts = [INTRODUCTION, "## Top level", keys(top)]
    for name, of_section in sections.items():
        parts += [f"## {name}", keys(of_section)]
    return "\n\n".join(parts)


def keys(found: list[Key]) -> str:
    """Return the table of some keys."""
    rows = [
        (code(key.name), ", ".join(filter(None, (cell(key.type), code(key.range) if key.range else ""))),
         code(key.default) if key.default else "required", cell(key.meaning))
        for key in found
    ]  # fmt: skip
    return table(("key", "type", "default", "meaning"), rows)
