r"""Constants of the factored group convolution: which Fourier components meet, and with which weights.

Write an element as R^r M^f (rotation r of N, flip f) and a regular field as F = 1 or 2 fields over
the rotations alone. With theta = 2 pi / N, the Fourier components over the rotations are

    fhat(n) = sum_r f(r) exp(-i theta n r),        n in Z_N,

and b_{rho,m} = cos + i sin is the harmonic of ring rho and frequency m = -M ... M. Since turning
b_{rho,m} by R^r multiplies it by exp(-i theta m r), the convolution couples n only to n + m:

    yhat_o(n) = sum_{i,rho,m} chat_{oi,rho,m}(n + m)  (b_{rho,m} * fhat_i(n + m)),
    chat_m(n) = sum_d c_m(d) exp(i theta n d),

where c_m(d) = a_m[f', d] for output flip 0 and (-1)^m a_{-m}[1 - f', -d] for output flip 1, and a
filter is sum_m a_m b_m. Its cost grows with |G|, where the expanded convolution's grows with |G|^2.

Maps are real, so n and N - n are conjugate: S = N / 2 *slots* of two real maps hold everything.
Slot s > 0 holds Re and Im of fhat(s), slot 0 holds fhat(0) and fhat(N/2), which are real.
Legend: N rotations, S slots, J real basis maps of one slot (real and imaginary part of every
b_{rho,m}), F flips, U elements, K real basis functions, P pixels of the filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from equirgz.geometry.group import Group
from equirgz.nn.filters.basis import FilterBasis


@dataclass(frozen=True)
class Band:
    """Output slots ``out ... out + count - 1`` take basis maps ``first ... last - 1`` of slots
    ``source ... source + count - 1``; ``weights`` (count, 2, F, F', maps, U * K) says with which weights."""

    out: int
    source: int
    count: int
    first: int
    last: int
    weights: np.ndarray
    straight: bool  # follows n -> n + m; no two straight bands share a basis map

    @property
    def first_writer(self) -> bool:
        """Whether it is the first band of its output slots; the others add to what it wrote."""
        return self.first == 0 and self.out == self.source and self.straight == (self.out > 0)


@dataclass(frozen=True)
class FourierPlan:
    """``transform_NN`` takes rotations to slots, ``inverse_NN`` back; ``filters_JP`` (J, 2 P) makes the basis
    maps of one slot from its two maps; ``bands`` mix them. The first writers cover every output slot once."""

    transform_NN: np.ndarray
    inverse_NN: np.ndarray
    filters_JP: np.ndarray
    bands: tuple[Band, ...]

    @property
    def uncovered(self) -> tuple[tuple[int, int, int], ...]:
        """(slot, first, last) of the basis maps that no straight band takes."""
        n_rows, half = len(self.filters_JP), len(self.transform_NN) // 2
        taken = np.zeros((half, n_rows), bool)
        for band in self.bands:
            if band.straight:
                taken[band.source : band.source + band.count, band.first : band.last] = True
        found = []
        for slot in range(half):
            edges = np.flatnonzero(np.diff(np.concatenate([[False], ~taken[slot], [False]]).astype(int)))
            found += [(slot, int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        return tuple(found)


def can_factor(group: Group, basis: FilterBasis) -> bool:
    """Return whether the plan exists: an even number of rotations, at least 4, and circular harmonics."""
    return basis.kind == "harmonic" and group.n_rotations % 2 == 0 and group.n_rotations >= 4


@cache
def make_plan(group: Group, basis: FilterBasis) -> FourierPlan:
    """Return the plan (float64) of a group and a basis for which :func:`can_factor` holds."""
    rows = _basis_rows(basis)
    transform_NN = _slot_transform(group.n_rotations)
    return FourierPlan(transform_NN, np.linalg.inv(transform_NN), _filters(basis, rows), _bands(group, basis, rows))


def _slot_transform(n: int) -> np.ndarray:
    phase_NN = np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
    parts = [phase_NN[0].real, phase_NN[n // 2].real]
    for slot in range(1, n // 2):
        parts += [phase_NN[slot].real, phase_NN[slot].imag]
    return np.stack(parts)


def _basis_rows(basis: FilterBasis) -> dict[int, tuple[int, list[int]]]:
    """For each m: index of its first real map, and the rings' first functions; order 0, 1, -1, 2, -2 ...

    The maps of one m are the real parts of all its rings, then the imaginary parts.
    """
    functions: dict[int, list[int]] = {}
    position = 0
    for _, m in basis.harmonics:
        functions.setdefault(m, []).append(position)
        position += 1 if m == 0 else 2
    rows, first = {}, 0
    for m in sorted(functions):
        for signed in (m, -m) if m else (0,):
            rows[signed] = (first, functions[m])
            first += 2 * len(functions[m])
    return rows


def _filters(basis: FilterBasis, rows: dict[int, tuple[int, list[int]]]) -> np.ndarray:
    """Re(b * f) = cos * Re f - sin * Im f and Im(b * f) = sin * Re f + cos * Im f, as one matrix."""
    values_KP = basis.values_KP
    blocks = []
    for m, (_, functions) in rows.items():
        cos_RP = values_KP[functions]
        sin_RP = np.sign(m) * values_KP[[k + 1 for k in functions]] if m else np.zeros_like(cos_RP)
        blocks.append(np.block([[cos_RP, -sin_RP], [sin_RP, cos_RP]]))
    return np.concatenate(blocks)


def _coupling(group: Group, n_functions: int, m: int, function: int, component: int) -> np.ndarray:
    """Return chat_m(component) of one ring as complex coefficients (F, F', U, K) of the real weights."""
    n, flips = group.n_rotations, 2 if group.reflects else 1
    phase_N = np.exp(2j * np.pi * component * np.arange(n) / n)
    chat_FFUK = np.zeros((flips, flips, flips, n, n_functions), complex)
    for out in range(flips):
        for source in range(flips):
            # psi = w_c cos + w_s sin has a_m = (w_c - i w_s) / 2 and a_{-m} = (w_c + i w_s) / 2.
            sign = -1j * np.sign(m) * (-1 if out else 1)
            factor = (-1.0) ** m if out else 1.0
            flip = 1 - source if out else source
            shifts = (-np.arange(n)) % n if out else np.arange(n)
            if m == 0:
                chat_FFUK[out, source, flip, shifts, function] = phase_N
            else:
                chat_FFUK[out, source, flip, shifts, function] = 0.5 * factor * phase_N
                chat_FFUK[out, source, flip, shifts, function + 1] = 0.5 * factor * sign * phase_N
    return chat_FFUK.reshape(flips, flips, flips * n, n_functions)


def _sources(n: int, component: int, m: int) -> list[tuple[int, int, complex, complex]]:
    """Return b_m * fhat(component) as (slot, m of the basis map, factor of its real, of its imaginary part)."""
    if component == 0:
        return [(0, m, 0.5, 0.5j), (0, -m, 0.5, -0.5j)]
    if component == n // 2:
        return [(0, m, -0.5j, 0.5), (0, -m, 0.5j, 0.5)]
    if component < n // 2:
        return [(component, m, 1.0, 1.0j)]
    return [(n - component, -m, 1.0, -1.0j)]


def _bands(group: Group, basis: FilterBasis, rows: dict[int, tuple[int, list[int]]]) -> tuple[Band, ...]:
    """Collect what couples. ``straight`` bands run along n -> n + m through whole ranges of slots; what wraps
    around, or meets slot 0, is a band of one slot."""
    n, n_functions = group.n_rotations, len(basis)
    flips, half = 2 if group.reflects else 1, group.n_rotations // 2
    n_rows = 2 * sum(len(functions) for _, functions in rows.values())
    empty = (2, flips, flips, n_rows, group.order * n_functions)
    straight: dict[int, dict[int, np.ndarray]] = {m: {} for m in rows}
    single: dict[tuple[int, int], np.ndarray] = {}
    for out_component in range(half + 1):
        out = out_component % half
        for m, (_, functions) in rows.items():
            component = (out_component + m) % n
            for ring, function in enumerate(functions):
                chat = _coupling(group, n_functions, m, function, component).reshape(flips, flips, -1)
                for source, signed, real, imag in _sources(n, component, m):
                    along = out > 0 and source > 0 and source == out + m and signed == m
                    table, key = (straight[m], out) if along else (single, (out, source))
                    weights = table.setdefault(key, np.zeros(empty))
                    first, rings = rows[signed]
                    for part, factor in enumerate((real, imag)):
                        row = first + part * len(rings) + ring
                        if out:
                            weights[0, :, :, row] += (factor * chat).real
                            weights[1, :, :, row] += (factor * chat).imag
                        else:
                            weights[out_component // half, :, :, row] += (factor * chat).real
    bands = []
    for m, (first, rings) in rows.items():
        outs = sorted(straight[m])
        last = first + 2 * len(rings)
        if outs:
            stacked = np.stack([straight[m][out][:, :, :, first:last] for out in outs])
            bands.append(Band(outs[0], outs[0] + m, len(outs), first, last, stacked, True))
    for (out, source), weights in single.items():
        used = np.flatnonzero(np.abs(weights).max((0, 1, 2, 4)))
        first, last = int(used[0]), int(used[-1]) + 1
        bands.append(Band(out, source, 1, first, last, weights[None, :, :, :, first:last], False))
    return tuple(sorted(bands, key=lambda band: not band.first_writer))
