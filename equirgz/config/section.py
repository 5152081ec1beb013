"""What every part of a configuration is: frozen, typed, and strict about its keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from equirgz.errors import InputError, suggest
from equirgz.registry import in_words


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
    """Return one line for the first problem of a pydantic ``error``."""
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        section: Any = model
        for part in path[:-1]:
            section = section_type(section, part)
        valid = section.model_fields if section is not None else ()
        return f"unknown key {key!r}; {suggest(path[-1], valid)}"
    if problem["type"] == "missing":
        return f"key {key!r}: expected a value, got none"
    where = f"key {key!r}: " if key else ""
    return f"{where}{in_words(problem['msg'])}, got {problem['input']!r}"


def section_type(model: Any, name: str) -> Any:
    """Return the Section type behind field ``name`` of ``model``, through ``| None``."""
    annotation = model.model_fields[name].annotation if model is not None and name in model.model_fields else None
    options = getattr(annotation, "__args__", (annotation,))
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
