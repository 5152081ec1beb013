"""Configurations as YAML: read, overridden from the command line, addressed by dotted keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from equirgz.errors import InputError
from equirgz.paths import as_path


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; a missing, unreadable or wrongly shaped file is an InputError."""
    try:
        content = parse_yaml(as_path(path).read_text())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}; give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: it is no text; give the path of a YAML file") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a YAML mapping, got {type(content).__name__}")
    return content


def parse_yaml(text: str) -> Any:
    """Return what a YAML text holds; numbers, truth values and nothing are those of YAML 1.2 (its core schema).

    ``020`` is 20 and ``1e1`` is 10.0; ``yes``, ``off``, ``1:30`` and ``2020-01-01`` are text, as they look. A key that
    stands twice in a mapping is an error. Raises yaml.YAMLError for a text that is no YAML.
    """
    return yaml.load(text, Loader=_Yaml12)


class _Yaml12(yaml.SafeLoader):
    """Safe YAML with the scalars of YAML 1.2, in which a key that stands twice is an error, not a silent choice."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merge = "tag:yaml.org,2002:merge"  # of "<<: *anchor", whose keys may be overridden
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != merge]
        twice = [key for i, key in enumerate(keys) if key in keys[:i]]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    bases = {"0o": 8, "0x": 16}
    return int(text[2:], bases[text[:2]]) if text[:2] in bases else int(text)


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan"))


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
     "-+0123456789."),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):  # fmt: skip
    _first_letters = ["" if letter == "\0" else letter for letter in _first]
    _Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first_letters)
_Yaml12.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Yaml12.add_constructor("tag:yaml.org,2002:float", _number)


def parse_setting(text: str) -> tuple[str, Any]:
    """Return key and value of a ``key=value`` of the command line; the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set: expected key=value, got {text!r}")
    try:
        return key.strip(), parse_yaml(value)
    except yaml.YAMLError as error:
        raise InputError(f"--set {key.strip()}: expected a YAML value, got {value!r}") from error


def set_dotted(fields: dict[str, Any], key: str, value: Any) -> None:
    """Set ``fields["a"]["b"] = value`` for the key ``"a.b"``, making mappings on the way; a number is a list's place.

    Raises InputError for a place that a list does not have, and for a key of a list without a place.
    """
    *parents, last = key.split(".")
    here: Any = fields
    for part in parents:
        place = _place(here, part, key)
        if not isinstance(here[place] if isinstance(here, list) else here.get(place), (dict, list)):
            here[place] = {}
        here = here[place]
    here[_place(here, last, key)] = value


def _place(here: dict[str, Any] | list[Any], part: str, key: str) -> str | int:
    """Return ``part`` as a key of a mapping, or as a place in a list."""
    if isinstance(here, dict):
        return part
    if not part.isdigit() or int(part) >= len(here):
        expected = f"a place 0 to {len(here) - 1} in the list"
        raise InputError(f"key {key!r}", expected=expected, got=part, mend="such as pretrain.0.train.steps")
    return int(part)
