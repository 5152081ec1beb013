r"""Steerable bases of square filters: functions that a rotation only mixes among themselves.

The *harmonic* basis (arXiv 1911.08251) consists of circular harmonics on Gaussian rings,

    B(x) = exp(-(|x| - r)^2 / (2 sigma_r^2)) cos(m phi)   and   ... sin(m phi),

for rings r = 0 ... k//2 and angular frequencies m up to a band limit per ring; phi is counted
counter-clockwise with row 0 on top. Harmonics with m > 0 have no value at the central pixel and
are set to zero there (otherwise quarter-turn equivariance breaks, by 3e-2). The *pixel* basis has
one function per pixel; it is steerable only by groups that preserve the lattice.

For every element g, ``action_GKK[g]`` gives (g . B_k)(x) = B_k(g^-1 x) = sum_l A[g]_lk B_l(x).
Legend: K basis functions, P pixels of the filter (row-major), G group elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from equirgz.errors import InputError
from equirgz.geometry.group import Group


@dataclass(frozen=True)
class FilterBasis:
    """A steerable basis on a ``kernel_size`` square, with unit-norm functions.

    Parameters
    ----------
    kernel_size : odd number of pixels.
    kind : "harmonic" or "pixel".
    max_frequencies : band limit of each ring (harmonic only); default: :func:`default_frequencies`.

    Raises InputError for an even kernel, an unknown kind, or frequencies that alias on their ring.
    """

    kernel_size: int
    kind: str = "harmonic"
    max_frequencies: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.kernel_size, int | np.integer):
            mend = "write one whole number"
            raise InputError("kernel_size", expected="an odd number", got=repr(self.kernel_size), mend=mend)
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise InputError(
                "kernel_size",
                expected="an odd number, so that a pixel lies at the centre of rotation",
                got=self.kernel_size,
                mend=f"use {max(1, self.kernel_size - 1)} or {self.kernel_size + 1}",
            )
        if self.kind not in ("harmonic", "pixel"):
            raise InputError("basis", expected="'harmonic' or 'pixel'", got=repr(self.kind))
        if self.max_frequencies is not None:
            self._check_frequencies(self.max_frequencies)

    def _check_frequencies(self, frequencies: tuple[int, ...]) -> None:
        rings = self.kernel_size // 2 + 1
        if len(frequencies) != rings:
            raise InputError("max_frequencies", expected=f"{rings} rings", got=len(frequencies))
        for ring, frequency in enumerate(frequencies):
            if not 0 <= frequency <= 2 * ring:
                raise InputError(
                    f"max_frequencies of ring {ring}",
                    expected=f"at most {2 * ring} (higher harmonics alias on its pixels)",
                    got=frequency,
                    mend="lower it or enlarge the kernel",
                )

    @cached_property
    def harmonics(self) -> tuple[tuple[int, int], ...]:
        """(ring, frequency) of each harmonic; frequency m > 0 stands for a cos and a sin function."""
        limits = self.max_frequencies or default_frequencies(self.kernel_size)
        return tuple((ring, m) for ring, limit in enumerate(limits) for m in range(limit + 1))

    def __len__(self) -> int:
        if self.kind == "pixel":
            return self.kernel_size**2
        return sum(1 if m == 0 else 2 for _, m in self.harmonics)

    @cached_property
    def values_KP(self) -> np.ndarray:
        """The basis functions on the pixels, each of unit Euclidean norm (float64)."""
        if self.kind == "pixel":
            return np.eye(self.kernel_size**2)
        axis = np.arange(self.kernel_size) - self.kernel_size // 2
        column, row = np.meshgrid(axis, axis)
        radius, phi = np.hypot(column, row), np.arctan2(-row, column)
        functions = []
        for ring, m in self.harmonics:
            profile = np.exp(-0.5 * ((radius - ring) / _ring_sigma(ring, self.kernel_size // 2)) ** 2)
            if m > 0:
                profile[radius == 0] = 0.0
            functions.append(profile * np.cos(m * phi))
            if m > 0:
                functions.append(profile * np.sin(m * phi))
        values_KP = np.stack(functions).reshape(len(functions), -1)
        # cos and sin of one harmonic share one norm, else a rotation could not mix them.
        norm_K = np.linalg.norm(values_KP, axis=1)
        position = 0
        for _, m in self.harmonics:
            if m > 0:
                norm_K[position : position + 2] = np.sqrt(np.mean(norm_K[position : position + 2] ** 2))
            position += 1 if m == 0 else 2
        return values_KP / norm_K[:, None]

    def action_GKK(self, group: Group) -> np.ndarray:
        """Return A with (g . B_k) = sum_l A[g, l, k] B_l for every element of ``group``.

        Raises InputError when the pixel basis meets a rotation that is not a quarter turn.
        """
        if self.kind == "pixel":
            return self._pixel_action(group)
        action_GKK = np.zeros((group.order, len(self), len(self)))
        for g in range(group.order):
            angle = np.deg2rad(group.angle_deg(g))
            position = 0
            for _, m in self.harmonics:
                if m == 0:
                    action_GKK[g, position, position] = 1.0
                    position += 1
                    continue
                cos, sin = np.cos(m * angle), np.sin(m * angle)
                block = np.array([[cos, -sin], [sin, cos]])
                if group.is_reflection(g):  # phi -> pi - phi comes first
                    block = block @ np.diag([(-1.0) ** m, -((-1.0) ** m)])
                action_GKK[g, position : position + 2, position : position + 2] = block
                position += 2
        return action_GKK

    def _pixel_action(self, group: Group) -> np.ndarray:
        if not all(group.is_lattice(g) for g in range(group.order)):
            raise InputError(
                f"basis 'pixel': expected a group that preserves the pixel lattice (N = 1, 2, 4), "
                f"got {group}; use basis='harmonic'"
            )
        size = self.kernel_size
        action_GKK = np.zeros((group.order, size**2, size**2))
        pixel = np.arange(size**2).reshape(size, size)
        for g in range(group.order):
            moved = np.fliplr(pixel) if group.is_reflection(g) else pixel
            moved = np.rot90(moved, round(group.angle_deg(g) / 90.0))
            action_GKK[g, np.arange(size**2), moved.ravel()] = 1.0
        return action_GKK

    def turned_GKP(self, group: Group) -> np.ndarray:
        """Return the basis functions turned by every element: (g . B_k)(x), float64."""
        return np.einsum("glk,lp->gkp", self.action_GKK(group), self.values_KP)


@cache
def default_frequencies(kernel_size: int) -> tuple[int, ...]:
    """Return the band limit per ring that e2cnn and escnn use: 0 at the centre, 2 at the rim, and in
    between 2r for odd r, 2r - 1 for even r.

    A 3x3 filter then has 6 functions, 5x5 has 11, 7x7 has 18, 9x9 has 31.
    """
    rim = kernel_size // 2
    return tuple(0 if r == 0 else 2 if r == rim else 2 * r - (r + 1) % 2 for r in range(rim + 1))


def _ring_sigma(ring: int, rim: int) -> float:
    if ring == 0:
        return 0.005
    return 0.4 if ring == rim else 0.6
