"""Every key that a YAML may have, from the models and registries themselves: ``equirgz bench keys``."""

from __future__ import annotations

import fnmatch
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from equirgz.config import RunConfig
from equirgz.errors import InputError, suggest
from equirgz.grid.plan.axes import ALIASES
from equirgz.grid.plan.document import GridDocument
from equirgz.registry import Registry

BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
#: arguments that a run fills in by itself, never options of a YAML
GIVEN = frozenset(
    {"self", "group", "in_channels", "image_size", "width", "backbone", "n_classes", "task", "data_dir", "images"}
)


@dataclass(frozen=True)
class Key:
    """One key of a YAML: ``of`` is the registered name whose option it is, empty for the keys of every run."""

    name: str
    type: str
    default: str
    range: str
    meaning: str
    of: str = ""

    def __str__(self) -> str:
        facts = [self.type, self.range, f"default {self.default}" if self.default else "required"]
        where = f"{self.name}  (of {self.of})" if self.of else self.name
        return f"{where}\n    {', '.join(fact for fact in facts if fact)}\n    {self.meaning}"


def list_keys(pattern: str = "") -> list[Key]:
    """Return the keys that match: a key, all below a section, a shell-style pattern, or a word of a key or an option.

    An alias of an axis, such as ``lr``, is looked up as the keys that it stands for, unless a section has its name.
    Raises InputError, with the nearest key, where nothing matches.
    """
    keys = [*model_keys(), *option_keys()]
    if not pattern:
        return keys
    wanted = (pattern,) if pattern in RunConfig.model_fields else ALIASES.get(pattern, (pattern,))
    found = [
        key for key in keys if any(_is_below(key.name, name) or fnmatch.fnmatch(key.name, name) for name in wanted)
    ]
    found = found or [key for key in keys if pattern in (key.of, *key.name.split("."))]
    if not found:
        raise InputError(f"no key matches {pattern!r}; {suggest(pattern, _near(pattern, keys))}")
    return found


def _is_below(name: str, section: str) -> bool:
    return name == section or name.startswith(section + ".")


def _near(pattern: str, keys: list[Key]) -> list[str]:
    """Return the keys that a wrong pattern can have meant: all of its section, else all of a run without options."""
    section = pattern.rpartition(".")[0]
    return [key.name for key in keys if not key.of and key.name.rpartition(".")[0] == section] or [
        *RunConfig.model_fields
    ]


def model_keys() -> Iterator[Key]:
    """Yield the keys of a run, and those of a grid's YAML with its engine, from the models that check them."""
    yield from _walk(RunConfig, "")
    yield from _walk(GridDocument, "")


def _walk(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        inner = find_model(field.annotation)
        if inner is not None:
            if field.default is None:
                yield Key(prefix + name, _show_sections(field.annotation), "none", "", field.description or "")
            yield from _walk(inner, f"{prefix}{name}{_item(field.annotation)}.")
            continue
        default = "" if field.is_required() else show_default(field.get_default(call_default_factory=True))
        yield Key(prefix + name, show_type(field.annotation), default, _range(field), field.description or "")


def find_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model behind an annotation, through ``| None``, tuples and mappings of it; None without one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(find_model, typing.get_args(annotation))), None)


def _item(annotation: Any) -> str:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = typing.get_args(annotation)
        alone = any(isinstance(option, type) and issubclass(option, BaseModel) for option in options)
        return "" if alone else next(filter(None, map(_item, options)), "")
    return {dict: ".NAME", tuple: "[]", list: "[]"}.get(typing.get_origin(annotation), "")


def _show_sections(annotation: Any) -> str:
    """Return the type of a key that may be one or more sections, none, or text in their place."""
    options = typing.get_args(annotation) or (annotation,)
    words = {
        "text": str in options,
        "a section": any(isinstance(option, type) and issubclass(option, BaseModel) for option in options),
        "a list of sections": any(map(_item, options)),
    }
    return " or ".join(word for word, holds in words.items() if holds)


def show_type(annotation: Any) -> str:
    """Return the type in plain words: "a whole number", "one of a, b", "text or none"."""
    words = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        type(None): "none",
        Any: "any",
    }
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(show_type, arguments)))
    if origin in (list, tuple) or getattr(origin, "__name__", "") in ("Sequence", "Iterable"):
        inner = [show_type(argument) for argument in arguments if argument is not ...]
        return f"a list of {inner[0].removeprefix('a ')}" if inner and inner[0] != "any" else "a list"
    if origin is dict or getattr(origin, "__name__", "") == "Mapping":
        return "a mapping"
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _range(field: Any) -> str:
    bounds = [
        f"{sign} {getattr(m, name):g}" for m in field.metadata for name, sign in BOUNDS.items() if hasattr(m, name)
    ]
    patterns = [f"matches {m.pattern}" for m in field.metadata if getattr(m, "pattern", None)]
    return " and ".join(bounds + patterns)


def show_default(value: Any) -> str:
    """Return a default as YAML writes it."""
    if value is None or value is PydanticUndefined:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(show_default, value))}]"
    if isinstance(value, str):
        return value or '""'
    return "{}" if value == {} else f"{value:g}" if isinstance(value, float) else str(value)


def registries() -> dict[str, Registry]:
    """Return the tables of registered factories by the key under which their options stand."""
    from equirgz.augment.base import AUGMENTATIONS
    from equirgz.backbones.base import BACKBONES
    from equirgz.data.datasets import DATASETS
    from equirgz.objectives.base import OBJECTIVES
    from equirgz.tasks import TASKS

    return {
        "task.params": TASKS,
        "backbone.params": BACKBONES,
        "objective.params": OBJECTIVES,
        "data.params": DATASETS,
        "train.augmentation_params": AUGMENTATIONS,
    }


def option_keys(tables: dict[str, Registry] | None = None) -> Iterator[Key]:
    """Yield the options of everything registered, from the signatures and docstrings of the factories."""
    for key, registry in (registries() if tables is None else tables).items():
        for name in registry:
            factory = registry.get(name)
            meanings = read_parameters(factory)
            for option, (parameter, hint) in _options(factory).items():
                default = "" if parameter.default is parameter.empty else show_default(parameter.default)
                yield Key(f"{key}.{option}", show_type(hint), default, "", meanings.get(option, ""), of=name)


def _options(factory: Callable[..., Any]) -> dict[str, tuple[inspect.Parameter, Any]]:
    """Return parameter and type of every option by name; ``**options`` stand for those of what explains them."""
    parameters, hints = inspect.signature(factory).parameters.values(), _hints(factory)
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = {p.name: (p, hints.get(p.name, Any)) for p in parameters if p.name not in GIVEN and p.kind not in kinds}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        for prefix, maker in getattr(factory, "explained_by", ()):
            found = {prefix + name: option for name, option in _options(maker).items()} | found
    return found


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    except (NameError, TypeError):
        return {}


def read_parameters(factory: Callable[..., Any]) -> dict[str, str]:
    """Return the meaning of each parameter that a numpy-style docstring explains, of it or of what it makes."""
    found: dict[str, str] = {}
    made = factory if inspect.isclass(factory) else _hints(factory).get("return")
    sources = [("", source) for source in reversed(inspect.getmro(made))] if inspect.isclass(made) else []
    for prefix, source in (*sources, *getattr(factory, "explained_by", ()), ("", factory)):
        section = re.search(r"Parameters\n-+\n(.*?)(?:\n\n|\Z)", inspect.cleandoc(source.__doc__ or ""), re.DOTALL)
        for names, text in re.findall(
            r"^(\w[\w, ]*) : (.*(?:\n[ \t]+.*)*)", section[1] if section else "", re.MULTILINE
        ):
            meaning = re.sub(r":\w+:`[~.]?(?:[\w.]*\.)?(\w+)`", r"\1", " ".join(text.split())).replace("``", "")
            found |= {prefix + option: meaning for option in re.split(r", *", names.strip())}
    return found
