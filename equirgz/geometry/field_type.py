"""What the channels of a tensor are: a direct sum of fields of one group, as a value.

``FieldType("D4", "8 regular + 2 trivial")`` describes tensors of 8 * 8 + 2 channels: first the 8 regular
fields, each with its |G| channels together, then the two trivial ones. Kinds of fields:
:mod:`equirgz.geometry.representation`. The action on tensors: :func:`equirgz.geometry.action.apply_element_to_fields`.
Legend: C channels, G group elements, D channels of one field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from equirgz.errors import InputError
from equirgz.geometry.group import Group, get_group
from equirgz.geometry.representation import Representation


@dataclass(frozen=True)
class FieldPart:
    """``count`` equal fields that stand together: channels ``start`` to ``stop`` of the whole."""

    count: int
    representation: Representation
    start: int

    @property
    def size(self) -> int:
        """Number of channels of its fields."""
        return self.count * self.representation.size

    @property
    def channels(self) -> slice:
        """Where its channels lie among those of the whole type."""
        return slice(self.start, self.start + self.size)

    @property
    def type(self) -> FieldType:
        """The part as a type of its own."""
        return FieldType(self.representation.group, f"{self.count} {self.representation.name}")


@dataclass(frozen=True)
class FieldType:
    """A direct sum of fields of ``group``; equal types are equal values, whatever way they were written.

    Parameters
    ----------
    group : "C8", "D4", ..., or a Group.
    fields : counts and kinds in the order of the channels, such as "8 regular + 2 trivial", "vector",
        "4 quotient(C2) + 3 irrep(2)". Neighbours of one kind are counted together.

    ``str`` gives "D4: 8 regular + 2 trivial", which :meth:`parse` reads back; ``a + b`` is the direct sum,
    ``3 * a`` three copies of a. Raises InputError for anything else.

    >>> FieldType("D4", "8 regular + 2 trivial").size
    66
    """

    group: Group
    fields: str

    def __post_init__(self) -> None:
        group = get_group(self.group)
        parts: list[list] = []
        for word in str(self.fields).split("+"):
            count, representation = _parse_part(group, word, self.fields)
            if parts and parts[-1][1] == representation:
                parts[-1][0] += count
            else:
                parts.append([count, representation])
        object.__setattr__(self, "group", group)
        object.__setattr__(self, "fields", " + ".join(_write(count, r.name) for count, r in parts))

    @classmethod
    def parse(cls, text: str) -> FieldType:
        """Return the type that ``str`` wrote, such as "D4: 8 regular + 2 trivial"."""
        group, colon, fields = str(text).partition(":")
        if not colon:
            expected = "GROUP: FIELDS, such as 'D4: 8 regular + 2 trivial'"
            raise InputError("field type", expected=expected, got=repr(text))
        return cls(get_group(group.strip()), fields)

    @classmethod
    def regular(cls, group: Group | str, count: int) -> FieldType:
        """Return ``count`` regular fields."""
        return cls(get_group(group), f"{count} regular")

    @classmethod
    def trivial(cls, group: Group | str, count: int) -> FieldType:
        """Return ``count`` trivial fields: the channels of an image."""
        return cls(get_group(group), f"{count} trivial")

    @cached_property
    def parts(self) -> tuple[FieldPart, ...]:
        """The runs of equal fields, in the order of the channels."""
        parts, start = [], 0
        for word in self.fields.split(" + "):
            count, representation = _parse_part(self.group, word, self.fields)
            parts.append(FieldPart(count, representation, start))
            start += parts[-1].size
        return tuple(parts)

    @property
    def size(self) -> int:
        """Number of channels."""
        return self.parts[-1].channels.stop

    @property
    def count(self) -> int:
        """Number of fields."""
        return sum(part.count for part in self.parts)

    @property
    def field_size(self) -> int:
        """Channels of each field; raises InputError where kinds are mixed."""
        if len(self.parts) != 1:
            raise InputError("field type", expected="fields of one kind", got=self)
        return self.parts[0].representation.size

    @property
    def is_regular(self) -> bool:
        """Whether all fields are regular (on C1, whose regular fields are trivial, these)."""
        return all(part.representation == Representation(self.group, "regular") for part in self.parts)

    @property
    def is_trivial(self) -> bool:
        """Whether all fields are trivial."""
        return all(part.representation.name == "trivial" for part in self.parts)

    @property
    def permutes(self) -> bool:
        """Whether every element permutes the channels: what lets ReLU and maxima through."""
        return all(part.representation.permutes for part in self.parts)

    @cached_property
    def field_of_channel_C(self) -> np.ndarray:
        """The number of the field that each channel belongs to."""
        sizes = [part.representation.size for part in self.parts for _ in range(part.count)]
        return np.repeat(np.arange(len(sizes)), sizes)

    def matrix_CC(self, g: int) -> np.ndarray:
        """Return the block-diagonal matrix by which element ``g`` mixes the channels, float64."""
        matrix_CC = np.zeros((self.size, self.size))
        for part in self.parts:
            block = np.kron(np.eye(part.count), part.representation.matrix_GDD[g])
            matrix_CC[part.channels, part.channels] = block
        return matrix_CC

    def __add__(self, other: FieldType) -> FieldType:
        if not isinstance(other, FieldType):
            return NotImplemented
        check_same_group("direct sum", self, other)
        return FieldType(self.group, f"{self.fields} + {other.fields}")

    def __mul__(self, count: int) -> FieldType:
        return FieldType(self.group, " + ".join([self.fields] * count))

    __rmul__ = __mul__

    def __str__(self) -> str:
        return f"{self.group}: {self.fields}"

    def __repr__(self) -> str:
        return f"FieldType({self.group.name!r}, {self.fields!r})"

    def __deepcopy__(self, memo: dict) -> FieldType:
        return self


def check_same_group(what: str, *types: FieldType) -> Group:
    """Return the one group of ``types``; raise InputError that names two types of different groups."""
    for other in types[1:]:
        if other.group != types[0].group:
            raise InputError(
                what, expected=f"fields of {types[0].group} ({types[0]})", got=str(other), mend="use one group"
            )
    return types[0].group


def check_field_type(what: str, got: FieldType, expected: FieldType) -> FieldType:
    """Return ``got`` where it is ``expected``; raise InputError that names both types where it is not."""
    if got != expected:
        raise InputError(f"{what} fields", expected=str(expected), got=str(got))
    return got


def check_kinds(what: str, field_type: FieldType, *kinds: str) -> FieldType:
    """Return ``field_type`` where all its fields are of one of ``kinds``, else raise InputError."""
    group = field_type.group
    kinds = [kind for kind in kinds if kind != "regular" or group.order > 1] or ["trivial"]
    if len(field_type.parts) != 1 or field_type.parts[0].representation.name not in kinds:
        raise InputError(what, expected=f"all {' or all '.join(kinds)} fields", got=str(field_type))
    return field_type


def _write(count: int, name: str) -> str:
    return f"{count} {name}"


def _parse_part(group: Group, word: str, whole: object) -> tuple[int, Representation]:
    match = re.fullmatch(r"\s*(?:(\d+)\s+)?([a-z]\S*(?:\s*\(.*\))?)\s*", word)
    if match is None or match[1] is not None and int(match[1]) < 1:
        expected = "counts and kinds, such as '8 regular + 2 trivial'"
        raise InputError(f"fields of {group}", expected=expected, got=repr(whole))
    return int(match[1] or 1), Representation(group, match[2])
