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

With reflections both flips are turned by T = [[1, 1], [-i, i]] / sqrt 2. T chat_m T^H is then real for even
m and imaginary for odd m: with +-i b_m in the place of b_m for odd m, the real and the imaginary parts of
all maps are mixed by one real matrix per n, which halves the products.

Maps are real, so fhat(N - n) is conj fhat(n), or -conj fhat(n) for flip 1 after T: S = N / 2 *slots* of two real
maps, the *parts*, hold everything. Slot s > 0 holds Re and Im of fhat(s). Slot 0, the *edge*, holds fhat(0)
and fhat(N/2), whose flip 0 is real and flip 1 imaginary; there m and -m contribute alike, one is counted twice.
Legend: N rotations, S slots, F flips, E edges (n = 0 and N/2), A parts, M basis maps of every signed m, L those of
m of one sign, U elements, K real basis functions, P pixels of the filter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from equirgz.geometry.group import Group
from equirgz.nn.filters.basis import FilterBasis


class Term(NamedTuple):
    """A filtered map: ``sign`` times the filters from ``row`` on, of part ``part`` of slot ``slot``."""

    sign: int
    row: int
    slot: int
    part: int


@dataclass(frozen=True)
class Combination:
    """One part of the basis maps ``first ... last - 1`` of ``count`` output slots from ``out`` on (or of one edge),
    for some flips, is the sum of one or two terms; further slots take from further slots."""

    edge: bool
    out: int
    count: int
    part: int
    first: int
    last: int
    flips: slice
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class FourierPlan:
    """``transform_GG`` takes the elements to (slot, part, flip), ``inverse_GG`` back; ``filters_KP`` filter every
    map; ``combinations`` make basis maps of those; weights (S - 1, A, F, M, F', A', U * K) and ``edge_weights`` (E,
    A, L, F', U * K) mix them. With reflections parts are not mixed and A = A' = 1 in the former."""

    transform_GG: np.ndarray
    inverse_GG: np.ndarray
    filters_KP: np.ndarray
    combinations: tuple[Combination, ...]
    weights: np.ndarray
    edge_weights: np.ndarray


def can_factor(group: Group, basis: FilterBasis) -> bool:
    """Return whether the plan exists: an even number of rotations, at least 4, and circular harmonics."""
    return basis.kind == "harmonic" and group.n_rotations % 2 == 0 and group.n_rotations >= 4


@cache
def make_plan(group: Group, basis: FilterBasis) -> FourierPlan:
    """Return the plan (float64) of a group and a basis for which :func:`can_factor` holds."""
    maker = _Maker(group, basis)
    transform_GG = maker.transform()
    combinations, weights, edge_weights = maker.couple()
    order = [k for functions in maker.rows.values() for k in functions]
    return FourierPlan(
        transform_GG, np.linalg.inv(transform_GG), basis.values_KP[order], combinations, weights, edge_weights
    )


class _Maker:
    def __init__(self, group: Group, basis: FilterBasis) -> None:
        self.n, self.half = group.n_rotations, group.n_rotations // 2
        self.flips, self.elements, self.functions = group.order // group.n_rotations, group.order, len(basis)
        self.turn_FF = np.array([[1, 1], [-1j, 1j]]) / np.sqrt(2) if group.reflects else np.eye(1)
        self.rows: dict[tuple[int, str], list[int]] = defaultdict(list)  # in the order of the filters
        position = 0
        for _, m in sorted(basis.harmonics, key=lambda harmonic: harmonic[1]):
            self.rows[m, "cos"], self.rows[m, "sin"] = [], []
        for _, m in basis.harmonics:
            self.rows[m, "cos"].append(position)
            self.rows[m, "sin"] += [position + 1] if m else []
            position += 2 if m else 1
        self.orders = sorted({m for m, _ in self.rows})
        self.first_row = _starts({key: len(functions) for key, functions in self.rows.items()})
        signed = [m for order in self.orders for m in ((order, -order) if order else (0,))]
        self.first_map = _starts({m: self.rings(m) for m in signed})
        self.first_edge_map = _starts({m: self.rings(m) for m in self.orders})

    def rings(self, m: int) -> int:
        return len(self.rows[abs(m), "cos"])

    def transform(self) -> np.ndarray:
        """Return the matrix from (flip, rotation) to (slot, part, flip)."""
        phase_NN = np.exp(-2j * np.pi * np.outer(np.arange(self.n), np.arange(self.n)) / self.n)
        slots_SAFG = np.zeros((self.half, 2, self.flips, self.elements))
        for flip in range(self.flips):
            turned_NG = np.concatenate([factor * phase_NN for factor in self.turn_FF[flip]], 1)
            slots_SAFG[0, :, flip] = (turned_NG.imag if flip else turned_NG.real)[[0, self.half]]
            slots_SAFG[1:, 0, flip] = turned_NG[1 : self.half].real
            slots_SAFG[1:, 1, flip] = turned_NG[1 : self.half].imag
        return slots_SAFG.reshape(self.elements, self.elements)

    def couple(self) -> tuple[tuple[Combination, ...], np.ndarray, np.ndarray]:
        """Return the combinations and both tables of weights."""
        mixed = 2 if self.flips == 1 else 1  # parts that are mixed
        maps, edge_maps, numbers = (
            sum(map(self.rings, self.first_map)),
            sum(map(self.rings, self.orders)),
            self.elements * self.functions,
        )
        weights = np.zeros((self.half - 1, mixed, self.flips, maps, self.flips, mixed, numbers))
        edge_weights = np.zeros((2, 2, edge_maps, self.flips, numbers))
        combinations: list[Combination] = []
        for m, first in self.first_map.items():
            last, along = first + self.rings(m), range(max(1, 1 - m), min(self.half, self.half - m))
            if along:
                maker, _ = self._parts(along[0], m)
                combinations += maker(False, along[0], len(along), first, last)
            for slot in range(1, self.half):
                maker, phase_F = self._parts(slot, m)
                if slot not in along:
                    combinations += maker(False, slot, 1, first, last)
                for ring in range(self.rings(m)):
                    factor_FFU = self._coupling(m, ring, slot + m) / phase_F[:, None]
                    block = weights[slot - 1, :, :, first + ring]
                    block[0, :, :, 0] = factor_FFU.real
                    if mixed == 2:
                        block[0, :, :, 1], block[1, :, :, 0] = -factor_FFU.imag, factor_FFU.imag
                        block[1, :, :, 1] = factor_FFU.real
        for edge, sign in ((0, 1), (1, -1)):
            for m, first in self.first_edge_map.items():
                maker, phase_F = self._parts(edge * self.half, sign * m)
                combinations += maker(True, edge, 1, first, first + self.rings(m))
                for ring in range(self.rings(m)):
                    factor_FFU = self._coupling(sign * m, ring, edge * self.half + sign * m) / phase_F[:, None]
                    factor_FFU = factor_FFU * (2.0 if m else 1.0)
                    edge_weights[edge, 0, first + ring] = factor_FFU[0].real
                    edge_weights[edge, 1, first + ring] = factor_FFU[1].real if mixed == 1 else -factor_FFU[0].imag
        return tuple(combinations), weights, edge_weights

    def _coupling(self, m: int, ring: int, component: int) -> np.ndarray:
        """Return T chat_m(component) T^H as complex coefficients (F, F', U * K) of the real weights."""
        n, function = self.n, self.rows[abs(m), "cos"][ring]
        phase_N = np.exp(2j * np.pi * component * np.arange(n) / n)
        chat_FFUK = np.zeros((self.flips, self.flips, self.flips, n, self.functions), complex)
        for out in range(self.flips):
            for source in range(self.flips):
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
        chat_FFU = chat_FFUK.reshape(self.flips, self.flips, -1)
        return np.einsum("ab,bcu,dc->adu", self.turn_FF, chat_FFU, self.turn_FF.conj())

    def _parts(self, n: int, m: int) -> tuple[_Combiner, np.ndarray]:
        """Return what makes the basis maps z of output component n and frequency m, and z / (b_m * fhat(n + m)) of
        every flip."""
        reached = (n + m) % self.n
        sign, cos, sin = (-1 if m < 0 else 1), self.first_row[abs(m), "cos"], self.first_row[abs(m), "sin"]
        unity_F = np.ones(self.flips)
        if reached in (0, self.half):  # one real map u: b_m * u for flip 0, i b_m * u for flip 1
            part = int(reached > 0)
            real, imaginary = (Term(1, cos, 0, part),), (Term(sign, sin, 0, part),) if m else ()
            found = [(slice(0, 1), real, imaginary)]
            found += [(slice(1, 2), _negated(imaginary), real)] if self.flips == 2 else []
            return self._combiner(found, m, unity_F)
        slot, conjugate = (reached, 1) if reached < self.half else (self.n - reached, -1)
        real, imaginary = [Term(1, cos, slot, 0)], [Term(conjugate, cos, slot, 1)]
        if m:
            real += [Term(-sign * conjugate, sin, slot, 1)]
            imaginary += [Term(sign, sin, slot, 0)]
        signs_F = unity_F if conjugate == 1 else np.array([1.0, -1.0])[: self.flips]
        return self._combiner([(slice(None), tuple(real), tuple(imaginary))], m, signs_F)

    def _combiner(self, found: list, m: int, signs_F: np.ndarray) -> tuple[_Combiner, np.ndarray]:
        """Choose the phase with fewest sums of two negative terms."""
        turned = [found, [(flips, _negated(real), _negated(imaginary)) for flips, real, imaginary in found]]
        phases = [1.0, -1.0]
        if self.flips == 2 and m % 2:
            turned = [[(flips, _negated(b), a) for flips, a, b in some] for some in turned]
            phases = [1j, -1j]
        chosen = min(range(2), key=lambda i: sum(_all_negative(part) for _, *parts in turned[i] for part in parts))
        return _Combiner(turned[chosen]), phases[chosen] * signs_F


class _Combiner:
    def __init__(self, found: list[tuple[slice, tuple[Term, ...], tuple[Term, ...]]]) -> None:
        self.found = found

    def __call__(self, edge: bool, out: int, count: int, first: int, last: int) -> Iterator[Combination]:
        for flips, *parts in self.found:
            for part, terms in enumerate(parts):
                if terms:
                    ordered = tuple(sorted(terms, key=lambda term: -term.sign))
                    yield Combination(edge, out, count, part, first, last, flips, ordered)


def _negated(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    return tuple(term._replace(sign=-term.sign) for term in terms)


def _all_negative(terms: tuple[Term, ...]) -> bool:
    return bool(terms) and all(term.sign < 0 for term in terms)


def _starts(sizes: dict) -> dict:
    found, position = {}, 0
    for key, size in sizes.items():
        found[key] = position
        position += size
    return found
