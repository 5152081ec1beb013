r"""The Fourier transform of regular fields: one orthogonal matrix per group, in real irreps.

A regular field at one position is |G| numbers f(g). In the basis of matrix elements of the real irreps,

    f^(k, c, m) = sqrt(d_k / |G|) sum_g rho_k(g)_cm f(g),        d_k = 1 or 2,

an element h acts by rho_k(h) on the index c alone: m counts copies. Irreps of one dimension (*lines*) come
once, those of two (*planes*) twice for D_N. For C_N the turning planes come once (m = 0), and what commutes
with them are the matrices (a -b; b a) on c, that is, the complex numbers. By Schur's lemma a linear map of
regular fields that commutes with the group therefore mixes fields by

    lines       one F' x F matrix each,
    planes      D_N: one 2F' x 2F matrix on (m, field), the same for both c;   C_N: one complex F' x F matrix,

which are |G| free numbers for each pair of fields, as many as a product over the group has, at a cost of
4 + 8 (N - 2) / 2 products instead of 4 N^2 (D_N, N even): 12 of 64 for D4, 28 of 256 for D8.
Legend: G group elements, I coordinates of all irreps (|G| of them), F fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from equirgz.geometry.group import Group
from equirgz.geometry.representation import Representation


@dataclass(frozen=True)
class RegularTransform:
    """The transform of ``group``: rows of ``matrix_IG`` are first the lines, then (plane, c, m).

    ``lines`` and ``planes`` are how many irreps of one and of two dimensions there are; ``copies`` is how often
    a plane comes (2 for D_N, 1 for C_N). The first row is the trivial irrep, 1 / sqrt |G| throughout.
    """

    group: Group
    matrix_IG: np.ndarray
    lines: int
    planes: int
    copies: int

    @property
    def irrep_of_row_I(self) -> np.ndarray:
        """The number of the irrep, lines first, that each row of ``matrix_IG`` belongs to."""
        return np.concatenate([np.arange(self.lines), np.repeat(self.lines + np.arange(self.planes), 2 * self.copies)])

    @property
    def products(self) -> int:
        """Products for each pair of fields that a block-diagonal map makes, of |G|^2 that a dense one makes."""
        return self.lines + 4 * self.copies * self.planes


def irreps_of(group: Group) -> list[Representation]:
    """Return all real irreps of ``group``, those of one dimension first, the trivial one before all."""
    half = group.n_rotations // 2
    names = [f"irrep({k})" for k in range(half + 1)]
    if group.reflects:
        names += ["irrep(0-)"] + ([f"irrep({half}-)"] if 2 * half == group.n_rotations and half else [])
    return sorted((Representation(group, name) for name in names), key=lambda r: r.size)


@cache
def regular_transform(group: Group) -> RegularTransform:
    """Return the transform of ``group``, float64."""
    irreps = irreps_of(group)
    copies = 2 if group.reflects else 1
    rows = []
    for irrep in irreps:
        matrix_GDD = irrep.matrix_GDD[:, :, : min(irrep.size, copies)]
        rows.append(matrix_GDD.reshape(group.order, -1).T * np.sqrt(irrep.size / group.order))
    lines = sum(irrep.size == 1 for irrep in irreps)
    return RegularTransform(group, np.concatenate(rows), lines, len(irreps) - lines, copies)
