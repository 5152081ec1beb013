"""The planar point groups C_N (rotations) and D_N (rotations and reflections).

Elements are numbered ``g = r`` for the rotation by ``360 r / N`` degrees and ``g = N + r`` for the
same rotation after the reflection of the column axis (``x -> -x``):

    g = R(360 r / N) M^f,      f = g // N,  r = g mod N,      R(a) M = M R(-a).

Legend: G group elements, N order of the rotation subgroup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from equirgz.errors import InputError


@dataclass(frozen=True)
class Group:
    """The cyclic group C_N (``reflects`` false, N elements) or the dihedral D_N (true, 2N).

    Attributes: ``n_rotations`` is N; ``order`` is |G|; ``name`` is the mathematicians' notation.
    """

    n_rotations: int
    reflects: bool

    @property
    def name(self) -> str:
        """``C8`` or ``D8``: the letter says whether it reflects, the number how many turns it has."""
        return f"{'D' if self.reflects else 'C'}{self.n_rotations}"

    @property
    def order(self) -> int:
        """Number of elements, ``|C_N| = N`` and ``|D_N| = 2 N``."""
        return self.n_rotations * (2 if self.reflects else 1)

    def angle_deg(self, g: int) -> float:
        """Return the rotation angle of element ``g`` in degrees."""
        return 360.0 * (g % self.n_rotations) / self.n_rotations

    def is_reflection(self, g: int) -> bool:
        """Return whether element ``g`` reflects."""
        return g >= self.n_rotations

    def is_lattice(self, g: int) -> bool:
        """Return whether element ``g`` maps the pixel lattice onto itself (a quarter turn)."""
        return (4 * (g % self.n_rotations)) % self.n_rotations == 0

    @cached_property
    def product_GG(self) -> np.ndarray:
        """Table of ``g h``: applying h first, then g."""
        g, h = np.meshgrid(np.arange(self.order), np.arange(self.order), indexing="ij")
        f_g, r_g = np.divmod(g, self.n_rotations)
        f_h, r_h = np.divmod(h, self.n_rotations)
        r = (r_g + np.where(f_g == 1, -r_h, r_h)) % self.n_rotations
        return ((f_g + f_h) % 2) * self.n_rotations + r

    @cached_property
    def inverse_G(self) -> np.ndarray:
        """Index of the inverse of each element."""
        return np.argmin(self.product_GG, axis=1)

    @cached_property
    def matrix_G22(self) -> np.ndarray:
        """Orthogonal matrix of each element on (column, row-up) coordinates."""
        angle_G = np.deg2rad([self.angle_deg(g) for g in range(self.order)])
        sign_G = np.where(np.arange(self.order) >= self.n_rotations, -1.0, 1.0)
        cos_G, sin_G = np.cos(angle_G), np.sin(angle_G)
        return np.stack([np.stack([cos_G * sign_G, -sin_G], -1), np.stack([sin_G * sign_G, cos_G], -1)], -2)

    def __deepcopy__(self, memo: dict) -> Group:
        return self

    def __repr__(self) -> str:
        return self.name


def get_group(name: str | Group) -> Group:
    """Return the group called ``name``, such as ``"C8"`` or ``"D16"`` (|D_N| = 2N), or a Group itself.

    Raises InputError for anything else; N must be at least 1.
    """
    if isinstance(name, Group):
        return name
    match = re.fullmatch(r"([CD])([1-9]\d*)", str(name))
    if match is None:
        near = re.search(r"\d+", str(name))
        example = f"C{int(near.group()) or 1} or D{int(near.group()) or 1}" if near else "C8 or D8"
        raise InputError(f"group: expected C or D and an order N >= 1, got {name!r}; did you mean {example}?")
    return _shared_group(int(match[2]), match[1] == "D")


@cache
def _shared_group(n_rotations: int, reflects: bool) -> Group:
    """Return one object per group, so that its tables are made once."""
    return Group(n_rotations, reflects)
