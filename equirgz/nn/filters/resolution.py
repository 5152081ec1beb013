r"""How finely a filter on pixels can turn: which groups are too fine for a kernel.

Turned filters are computed from the harmonics and not interpolated, so that a fine group adds no error:
every element has its filters, and the pixel lattice is kept exactly whatever N is. But samples of
harmonics are not quite harmonics. On a square lattice, frequencies that differ by a multiple of 4 are
not orthogonal (they alias), so that a filter's norm changes as it turns. With the samples B_kp, their
Gram matrix S = B B^T and its mean over all turns S_0 (for which turning would be a rotation of an
orthonormal set), a random filter of the basis carries the relative error

    aliasing = |S^(1/2) - S_0^(1/2)|_F / sqrt K,

and the element g changes it by  turning(g) = |A(g) - 1|_F / sqrt K  (root mean square over the K basis
functions). A group is too fine where  min_g turning(g) <= aliasing:  neighbouring elements then differ by
less than the pixels distort each of them, and more elements cost time and memory without adding
orientations that the filter can express. With the default harmonics:

    kernel     1x1   3x3     5x5     7x7     9x9
    aliasing   0     0.147   0.076   0.060   0.053
    finest N   1     54      112     169     324

A 1x1 filter does not turn at all: lifted with it, all elements would be copies. Between regular fields it
is a product over the group alone, which is as equivariant at any N, and is not refused.
Legend: K basis functions, P pixels, G group elements.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from equirgz.errors import InputError
from equirgz.geometry.group import Group
from equirgz.nn.filters.basis import FilterBasis

LARGEST_KERNEL = 21  # of those that an error suggests
_MANY_TURNS = 4096


@cache
def aliasing_rms(basis: FilterBasis) -> float:
    """Return the relative error that sampling on pixels adds to a turning filter of ``basis`` (0: none)."""
    if basis.kind == "pixel":
        return 0.0
    gram_KK = basis.values_KP @ basis.values_KP.T
    # The mean over C_n is the mean over all turns when n exceeds twice the highest frequency.
    turn_GKK = basis.action_GKK(Group(2 * _highest(basis) + 1, reflects=False))
    mean_KK = (turn_GKK.transpose(0, 2, 1) @ gram_KK @ turn_GKK).mean(0)
    return float(np.linalg.norm(_root(gram_KK) - _root(mean_KK)) / np.sqrt(len(basis)))


@cache
def turning_rms(basis: FilterBasis, group: Group) -> float:
    """Return the least relative change of a filter in the harmonic ``basis`` under an element of
    ``group`` but the identity.

    With orthogonal A,  |A - 1|_F^2 = 2 (K - tr A):  a turn by t changes cos(m phi) and sin(m phi) by
    4 sin^2(m t / 2) each, a reflection changes them by 4 together.
    Turns by t and by 2 pi - t change it equally, and where N is large the least is among the first.
    Infinite for C1, whose only element is the identity.
    """
    frequency_K = np.array([m for _, m in basis.harmonics for _ in range(2 if m else 1)])
    turn_N = 2 * np.pi * np.arange(1, min(group.n_rotations // 2, _MANY_TURNS) + 1) / group.n_rotations
    square_N = (4 * np.sin(frequency_K * turn_N[:, None] / 2) ** 2).sum(1)
    squares = [*square_N, *([2.0 * np.count_nonzero(frequency_K)] if group.reflects else [])]
    return math.sqrt(min(squares, default=math.inf) / len(basis))


def check_resolution(basis: FilterBasis, group: Group, lifting: bool) -> None:
    """Raise InputError where filters in ``basis`` cannot tell the elements of ``group`` apart.

    ``lifting``: whether the filters are all that tells elements apart, so that 1x1 ones are refused too.
    """
    if basis.kind == "pixel" or (_highest(basis) == 0 and not lifting):
        return
    if _resolves(basis, group):
        return
    size = basis.kernel_size
    turning, aliasing = turning_rms(basis, group), aliasing_rms(basis)
    larger = next((k for k in range(size + 2, LARGEST_KERNEL + 1, 2) if _resolves(FilterBasis(k), group)), None)
    finest = _finest(basis, group)
    choices = [f"kernel_size={larger}"] if larger else []
    choices += [str(_with(group, finest))] if finest > 1 else []
    raise InputError(
        f"group {group} with {size}x{size} filters",
        expected=f"elements that change a filter by more than its aliasing on pixels, {100 * aliasing:.1f} %",
        got=f"{100 * turning:.1f} % between the nearest",
        mend=f"use {' or '.join(choices) or 'a coarser group'}",
    )


def _resolves(basis: FilterBasis, group: Group) -> bool:
    return turning_rms(basis, group) > aliasing_rms(basis) + 1e-9


def _finest(basis: FilterBasis, group: Group) -> int:
    """Return the finest N that ``basis`` resolves below that of ``group``, by bisection; 1 where none is.

    The least turn shrinks as N grows, and the reflections of D_N change filters by one amount.
    """
    below, above = 1, group.n_rotations
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if _resolves(basis, _with(group, middle)) else (below, middle)
    return below


def _with(group: Group, n_rotations: int) -> Group:
    return Group(n_rotations, group.reflects)


def _highest(basis: FilterBasis) -> int:
    return max(m for _, m in basis.harmonics)


def _root(matrix_KK: np.ndarray) -> np.ndarray:
    """Return the square root of a positive semi-definite matrix."""
    value_K, vector_KK = np.linalg.eigh(matrix_KK)
    return (vector_KK * np.sqrt(value_K.clip(0.0))) @ vector_KK.T
