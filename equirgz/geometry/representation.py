r"""How one field of a group mixes its channels: regular, trivial, irreducible, quotient, vector.

A field f with representation rho is acted on by  (g . f)(p) = rho(g) f(g^-1 p).  Written here:

    trivial        rho(g) = 1
    regular        one channel per element, f(p, h):  (g . f)(p, h) = f(g^-1 p, g^-1 h)
    quotient(H)    one channel per coset k H,         (g . f)(p, k H) = f(g^-1 p, g^-1 k H)
    irrep(k)       as cos(k phi), sin(k phi) turn:  rho(r) = R(k a_r),  rho(M) = diag((-1)^k, -(-1)^k)
    vector         as arrows (column, row up) turn: the matrices of geometry.group

for a turn r by a_r and the reflection M of columns. Where k = 0 or k = N / 2, the two functions do not
mix: irrep(k) is then the one channel of cos(k phi), and irrep(k-) that of sin(k phi), which C_N does
not tell apart. H is C_M or D_M with M a divisor of N; D_M holds the reflection of columns.
Legend: G group elements, D channels of one field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from equirgz.errors import InputError, suggest
from equirgz.geometry.group import Group, get_group

_KINDS = ("regular", "trivial", "vector", "irrep(K)", "irrep(K-)", "quotient(H)")


@dataclass(frozen=True)
class Representation:
    """One kind of field of ``group``, by its name (module docstring); equal kinds have one name.

    irrep(0) is trivial, irrep(1) vector for N > 2, quotient(C1) regular and quotient(G) trivial; the
    regular field of C1 is trivial. Raises InputError for a name that ``group`` does not have.
    """

    group: Group
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _canonical(self.group, self.name))

    @cached_property
    def matrix_GDD(self) -> np.ndarray:
        """The orthogonal matrices rho(g), float64."""
        if self.cosets is not None:
            return _permutations(self.group, self.cosets)
        if self.name == "vector":
            matrix_GDD = self.group.matrix_G22
        else:
            k, odd = _frequency(self.name)
            matrix_GDD = _turning(self.group, k)
            if 2 * k % self.group.n_rotations == 0:
                part = slice(1, 2) if odd else slice(0, 1)
                matrix_GDD = matrix_GDD[:, part, part]
        nearest = np.round(matrix_GDD)  # quarter turns are exact
        return np.where(np.abs(matrix_GDD - nearest) < 1e-14, nearest, matrix_GDD)

    @cached_property
    def cosets(self) -> tuple[tuple[int, ...], ...] | None:
        """The cosets k H that the channels stand for, H first; None where channels are not permuted."""
        if not self.permutes:
            return None
        subgroup = _subgroup(self.group, self.name)
        cosets: list[tuple[int, ...]] = []
        for k in range(self.group.order):
            coset = tuple(sorted({int(self.group.product_GG[k, h]) for h in subgroup}))
            if coset not in cosets:
                cosets.append(coset)
        return tuple(cosets)

    @property
    def permutes(self) -> bool:
        """Whether every element permutes the channels, so that any function of single numbers is equivariant."""
        return not self.name.startswith(("vector", "irrep"))

    @cached_property
    def size(self) -> int:
        """Number of channels D of one field, told without any table of the group."""
        if self.permutes:
            return self.group.order // len(_subgroup(self.group, self.name))
        return 1 if "irrep" in self.name and 2 * _frequency(self.name)[0] % self.group.n_rotations == 0 else 2

    def source_D(self, g: int) -> np.ndarray:
        """Return the channel that ``g`` moves to each channel; only where channels are permuted."""
        return np.argmax(self.matrix_GDD[g], axis=1)

    def __deepcopy__(self, memo: dict) -> Representation:
        return self

    def __repr__(self) -> str:
        return f"{self.group} {self.name}"


def _canonical(group: Group, name: str) -> str:
    name = re.sub(r"\s", "", str(name))
    if name == "regular":
        return "trivial" if group.order == 1 else "regular"
    if name == "trivial":
        return name
    if name == "vector" or (name == "irrep(1)" and group.n_rotations > 2):
        return "vector"
    if re.fullmatch(r"irrep\(\d+-?\)", name):
        k, odd = _frequency(name)
        _check_frequency(group, name, k, odd)
        return "trivial" if (k, odd) == (0, False) else f"irrep({k}{'-' if odd else ''})"
    if match := re.fullmatch(r"quotient\((.+)\)", name):
        subgroup = get_group(match[1])
        _check_subgroup(group, subgroup)
        if subgroup.order == 1:
            return _canonical(group, "regular")
        return "trivial" if subgroup == group else f"quotient({subgroup})"
    raise InputError(f"field of {group}: unknown {name!r}; {suggest(name, _KINDS)}")


def _frequency(name: str) -> tuple[int, bool]:
    inside = name.removeprefix("irrep(").removesuffix(")")
    return int(inside.removesuffix("-")), inside.endswith("-")


def _check_frequency(group: Group, name: str, k: int, odd: bool) -> None:
    highest = group.n_rotations // 2
    if k > highest:
        expected = f"a frequency of 0 to {highest}"
        raise InputError(f"field {name} of {group}", expected=expected, got=k, mend=f"use irrep({highest})")
    if odd and not (group.reflects and 2 * k % group.n_rotations == 0):
        expected = "'-' only where cos and sin do not mix: k = 0 or N / 2 of a D_N"
        raise InputError(f"field {name} of {group}", expected=expected, got=name, mend=f"use irrep({k})")


def _check_subgroup(group: Group, subgroup: Group) -> None:
    divides = group.n_rotations % subgroup.n_rotations == 0
    if not divides or (subgroup.reflects and not group.reflects):
        kinds = "C_M or D_M" if group.reflects else "C_M"
        expected = f"a subgroup of {group}: {kinds} with M a divisor of {group.n_rotations}"
        raise InputError("field quotient(H)", expected=expected, got=subgroup, mend="use quotient(C1)")


def _subgroup(group: Group, name: str) -> list[int]:
    """Return the elements of H for a field of functions on G / H."""
    if name == "regular":
        return [0]
    if name == "trivial":
        return list(range(group.order))
    subgroup = get_group(name.removeprefix("quotient(").removesuffix(")"))
    step = group.n_rotations // subgroup.n_rotations
    turns = list(range(0, group.n_rotations, step))
    return turns + [group.n_rotations + r for r in turns] if subgroup.reflects else turns


def _permutations(group: Group, cosets: tuple[tuple[int, ...], ...]) -> np.ndarray:
    place = {element: d for d, coset in enumerate(cosets) for element in coset}
    matrix_GDD = np.zeros((group.order, len(cosets), len(cosets)))
    for g in range(group.order):
        for d, coset in enumerate(cosets):
            matrix_GDD[g, place[int(group.product_GG[g, coset[0]])], d] = 1.0
    return matrix_GDD


def _turning(group: Group, k: int) -> np.ndarray:
    """Return how cos(k phi) and sin(k phi) mix under every element, (G, 2, 2)."""
    angle_G = k * np.deg2rad([group.angle_deg(g) for g in range(group.order)])
    cos_G, sin_G = np.cos(angle_G), np.sin(angle_G)
    turn_G22 = np.stack([np.stack([cos_G, -sin_G], -1), np.stack([sin_G, cos_G], -1)], -2)
    flip_22 = np.diag([(-1.0) ** k, -((-1.0) ** k)])
    reflected_G = np.array([group.is_reflection(g) for g in range(group.order)])
    return np.where(reflected_G[:, None, None], turn_G22 @ flip_22, turn_G22)
