"""Named entry points: backbones, objectives, datasets and augmentations register themselves here.

A registry maps a lower-snake name to a factory. Looking up an unknown name, or calling a factory
with a keyword that it does not take, is an :class:`~equirgz.errors.InputError` with the nearest
valid choice. Modules that register entries are imported on first use, so that listing names costs
no import of torch until a registry that needs it is asked.

An installed package adds names of its own as entry points of the group ``equirgz.backbones``, ``equirgz.objectives``,
``equirgz.datasets``, ... (the kind in the plural)::

    [options.entry_points]
    equirgz.backbones =
        my_network = my_package.networks:my_network

The command line and every worker process see them, wherever the package is installed.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib
import inspect
import json
import logging
import typing
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from equirgz.errors import EquirgzError, InputError, check_choice, suggest

STEERABLE, SYMMETRY = "steerable_", "D4"
JSON_WORDS = {
    "array": "a list", "list": "a list", "tuple": "a list", "an object": "a mapping", "dictionary": "a mapping",
    "integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false",
}  # fmt: skip
Entry = TypeVar("Entry", bound=Callable[..., Any])


def default_group(backbone: str) -> str:
    """Return the group that ``group=None`` means: D4 for a steerable backbone, C1 for a plain one.

    The name alone tells which it is: all backbones that take a group, and no others, are called ``steerable_...``.

    >>> default_group("steerable_lenet"), default_group("resnet18")
    ('D4', 'C1')
    """
    return SYMMETRY if str(backbone).startswith(STEERABLE) else "C1"


class Registry(Generic[Entry]):
    """A table of named factories of one ``kind``, filled by importing ``modules`` once."""

    def __init__(self, kind: str, modules: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._modules = modules
        self._loaded = False
        self._entries: dict[str, Entry] = {}
        self._broken: dict[str, str] = {}

    @property
    def group(self) -> str:
        """The group of entry points with which other packages add to this table, such as ``equirgz.backbones``."""
        return f"equirgz.{self.kind}s"

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that enters a factory under ``name`` (each name once)."""

        def enter(factory: Entry) -> Entry:
            if name in self._entries:
                raise InputError(f"{self.kind} {name!r} is registered already; choose another name")
            self._entries[name] = factory
            return factory

        return enter

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            for module in self._modules:
                importlib.import_module(module)
            for point in entry_points(group=self.group):
                self._add(point)

    def _add(self, point: EntryPoint) -> None:
        """Enter what another package offers; what cannot be loaded is logged, and named when it is asked for.

        The target may register itself, with :meth:`register`, when its module is imported. A name that is taken stays
        with who had it.
        """
        package = point.dist.name if point.dist is not None else point.value
        try:
            found = point.load()
        except Exception as error:
            self._broken[point.name] = f"{self.kind} {point.name!r} of the package {package} cannot be loaded: {error}"
            logging.getLogger("equirgz").warning(self._broken[point.name])
            return
        if self._entries.setdefault(point.name, found) is not found:
            self._broken[point.name] = ""
            logging.getLogger("equirgz").warning(
                "%s %r of the package %s is left out: the name is taken; choose another",
                self.kind,
                point.name,
                package,
            )

    def names(self, pattern: str = "*") -> list[str]:
        """Return the sorted names that match a shell-style ``pattern``."""
        self._load()
        return sorted(fnmatch.filter(self._entries, pattern))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def get(self, name: str) -> Entry:
        """Return the factory called ``name``; raise InputError with the nearest valid name."""
        self._load()
        if name not in self._entries and self._broken.get(name):
            raise InputError(self._broken[name])
        return self._entries[check_choice(self.kind, name, self._entries)]

    def create(self, name: str, *args: Any, **keywords: Any) -> Any:
        """Call the factory ``name`` (see :func:`call_checked`)."""
        return call_checked(f"{self.kind} {name!r}", self.get(name), *args, **keywords)


def explained_by(*makers: Callable[..., Any], **prefixed: Callable[..., Any]) -> Callable[[Entry], Entry]:
    """Return a decorator for a factory whose options the docstrings of ``makers`` explain (``equirgz bench keys``).

    Options are passed on to them under their own names, or with the prefix that a keyword gives: with
    ``blur_=make_blur`` the option ``blur_sigma_px`` is what ``make_blur`` calls ``sigma_px``. A factory that takes
    ``**options`` has the parameters of its makers as options.
    """

    def mark(factory: Entry) -> Entry:
        factory.explained_by = [("", maker) for maker in makers] + list(prefixed.items())
        return factory

    return mark


def call_checked(what: str, factory: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Call ``factory``; unknown keywords, and values of another type than it declares, are an InputError.

    What the factory itself says of a value comes first, since it knows the range and the mend.
    """
    check_keywords(what, factory, keywords)
    try:
        made = factory(*args, **keywords)
    except EquirgzError:
        raise
    except Exception:
        check_types(what, factory, keywords)
        raise
    check_types(what, factory, keywords)
    return made


def in_words(message: str) -> str:
    """Return what a message of pydantic expects, in the words of all other errors.

    >>> in_words("Input should be a valid integer, unable to parse string as an integer")
    'expected a whole number'
    """
    text = message.removeprefix("Value error, ")
    expected = text.removeprefix("Input should be ")
    if expected == text:
        return text
    short = expected.removeprefix("a valid ").partition(", ")[0]
    for word, ours in JSON_WORDS.items():
        if short == word or short.startswith(f"{word} or instance"):
            return f"expected {ours}"
    return f"expected {expected}"


def check_keywords(what: str, factory: Callable[..., Any], keywords: dict[str, Any]) -> None:
    """Raise InputError for the first keyword that ``factory`` does not accept by name."""
    parameters = inspect.signature(factory).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    valid = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for key in keywords:
        if key not in valid:
            raise InputError(f"{what}: unknown keyword {key!r}; {suggest(key, valid)}")


def check_types(what: str, factory: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    """Raise InputError for the first value that is not of the type that ``factory`` declares.

    Values are judged as YAML gives them: a whole number is a float too, a list a tuple, but "40" and true are no
    numbers. What is no such value (a module, an array), or declared as none, is left to the factory.
    """
    from pydantic import ValidationError

    for key, value in keywords.items():
        adapter = _type_of(factory, key)
        try:
            text = json.dumps(value)
        except (TypeError, ValueError):
            continue
        if adapter is None:
            continue
        try:
            adapter.validate_json(text, strict=True)
        except ValidationError as error:
            problem = error.errors()[0]
            raise InputError(f"{what}: {key}: {in_words(problem['msg'])}, got {problem['input']!r}") from error


@functools.cache
def _type_of(factory: Callable[..., Any], key: str) -> Any:
    """Return what validates values of the keyword ``key`` of ``factory``, None where its type cannot be told."""
    from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

    called = factory.__init__ if inspect.isclass(factory) else factory
    try:
        hint = typing.get_type_hints(called).get(key)
        return None if hint is None else TypeAdapter(hint)
    except (NameError, TypeError, PydanticSchemaGenerationError, PydanticUserError):
        return None
