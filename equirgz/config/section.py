"""What every part of a configuration is: frozen, typed, and strict about its keys."""

from __future__ import annotations

import types
import typing
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from equirgz.errors import InputError, suggest
from equirgz.registry import in_words

_SAID = "value_error"  # a problem in words of our own


class Section(BaseModel):
    """A frozen part of a configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            name = type(self).__name__.removesuffix("Config").lower()
            raise InputError(f"{name} configuration: {explain_validation(error, type(self))}") from error

    __init__.__pydantic_base_init__ = True  # parts of a whole are still validated by the whole, which names the key

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        words = str(cls.model_fields[info.field_name].annotation)
        if isinstance(value, bool) and "bool" not in words:
            raise ValueError("expected no truth value")
        return value


def explain_validation(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one line for the first problem of a pydantic ``error``.

    Of a value that fits none of several types, such as a section or a list of them, it is the problem of the type that
    was meant: the one whose problem lies deepest.
    """
    first, *others = error.errors()
    place = _walk(first["loc"], model)
    same = [other for other in others if place.choice and other["loc"][: place.choice] == first["loc"][: place.choice]]
    deepest = max(len(found["loc"]) for found in (first, *same))
    problem, *alike = sorted(
        (found for found in (first, *same) if len(found["loc"]) == deepest), key=lambda found: found["type"] != _SAID
    )
    place = _walk(problem["loc"], model)
    key = ".".join(place.path)
    if problem["type"] == "extra_forbidden":
        valid = place.section.model_fields if place.section is not None else ()
        return f"unknown key {key!r}; {suggest(place.path[-1], valid)}"
    if problem["type"] == "missing":
        return f"key {key!r}: expected a value, got none"
    where = f"key {key!r}: " if key else ""
    words = in_words(problem["msg"])
    for other in alike if problem["type"] != _SAID else ():
        words += " or " + in_words(other["msg"]).removeprefix("expected ")
    return f"{where}{words}" if ", got " in words else f"{where}{words}, got {problem['input']!r}"


class _Place(NamedTuple):
    """Where a problem lies: its keys as a YAML has them, the section that holds it, and how many parts of its place
    come before the first choice among types (0: none was to be made)."""

    path: list[str]
    section: type[BaseModel] | None
    choice: int


def _walk(loc: tuple[int | str, ...], model: type[BaseModel]) -> _Place:
    """Return the place that pydantic calls ``loc``, in which the types that it tried are parts of their own."""
    path: list[str] = []
    section, here, choice = None, model, 0
    for depth, part in enumerate(loc):
        options = _options(here)
        if len(options) > 1:
            choice = choice or depth
            here = _tried(options, str(part))
            continue
        (here,) = options
        path.append(str(part))
        if _is_section(here):
            section = here
            here = here.model_fields[part].annotation if part in here.model_fields else None
        else:
            here = next((inner for inner in typing.get_args(here) if _is_section(inner)), None)
    return _Place(path, section, choice)


def _tried(options: list[Any], words: str) -> Any:
    """Return the type of which pydantic speaks as "tuple[...]" or as "function-after[check(), NameConfig]"."""
    lists = [option for option in options if typing.get_args(option)]
    sections = [option for option in options if _is_section(option) and option.__name__ in words]
    return next(iter(lists if words.startswith(("tuple[", "list[")) else sections), None)


def _options(annotation: Any) -> list[Any]:
    """Return the types of which a value may be one, without None."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return [annotation]
    return [option for option in typing.get_args(annotation) if option is not type(None)]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def section_type(model: Any, name: str) -> Any:
    """Return the Section type behind field ``name`` of ``model``, through ``| None`` and other types."""
    field = model.model_fields.get(name) if model is not None else None
    return next(filter(_is_section, _options(field.annotation)), None) if field is not None else None


def item_type(model: Any, name: str) -> Any:
    """Return the Section type of which field ``name`` of ``model`` may be a list; None where it may not."""
    field = model.model_fields.get(name) if model is not None else None
    lists = (
        [o for o in _options(field.annotation) if typing.get_origin(o) in (tuple, list)] if field is not None else ()
    )
    return next((inner for one in lists for inner in typing.get_args(one) if _is_section(inner)), None)
