r"""Steerable filters between any two kinds of fields.

A convolution from fields with representation rho_in to rho_out commutes with the group exactly where its
filter K (a matrix at every pixel) obeys, for every element g (arXiv 1811.02017, 1911.08251),

    K(x) = rho_out(g) K(g^-1 x) rho_in(g)^T.

With K(x) = sum_k W_k B_k(x) in a steerable basis, g . B_k = sum_l A(g)_lk B_l, this is the fixed space of

    (T_g W)_l = sum_k A(g)_lk rho_out(g) W_k rho_in(g)^T.

Where the channels of one side stand for the cosets k H (regular, trivial, quotient), the column of H itself
tells all others, K[:, k H](x) = rho_out(k) K[:, H](k^-1 x), and need only be fixed by H. The orthonormal
basis of the fixed space is made by Gram-Schmidt from the projections of the unit vectors in their order, so
that it is one and the same on every machine: weights keep their meaning.
Legend: N solutions, G group elements, K basis functions, P pixels, D E channels of a field out and in.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from equirgz.geometry.representation import Representation
from equirgz.nn.filters.basis import FilterBasis

_RANK_TOLERANCE = 1e-6


@cache
def pair_filters(basis: FilterBasis, source: Representation, target: Representation) -> np.ndarray:
    """Return the independent filters (N, D, E, P) from fields ``source`` to fields ``target``, float64.

    N may be 0: a 1x1 filter leads from no trivial field to a vector.
    """
    if target.permutes and (not source.permutes or target.size > source.size):
        return _from_cosets(basis, target, source).transpose(0, 2, 1, 3)
    if source.permutes:
        return _from_cosets(basis, source, target)
    return _between(basis, source, target)


def fixed_vectors(action_GNN: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (rank, N) of the vectors that every matrix of a group keeps; unique."""
    found: list[np.ndarray] = []
    for vector_N in action_GNN.mean(0).T:
        for _ in range(2):  # twice, for orthogonality to rounding
            for other_N in found:
                vector_N = vector_N - (other_N @ vector_N) * other_N
        length = float(np.linalg.norm(vector_N))
        if length > _RANK_TOLERANCE:
            found.append(vector_N / length)
    return np.array(found).reshape(len(found), action_GNN.shape[1])


def _from_cosets(basis: FilterBasis, source: Representation, target: Representation) -> np.ndarray:
    group, cosets = source.group, source.cosets
    action_GKK, rho_GDD = basis.action_GKK(group), target.matrix_GDD
    subgroup = list(cosets[0])
    # (T_h v)_(d, l) = sum rho(h)_de A(h)_lk v_(e, k)
    action_HNN = np.stack([np.kron(rho_GDD[h], action_GKK[h]) for h in subgroup])
    column_NDK = fixed_vectors(action_HNN).reshape(-1, target.size, len(basis))
    filters = []
    for coset in cosets:
        k = coset[0]
        turned_NDK = np.einsum("de,lk,nek->ndl", rho_GDD[k], action_GKK[k], column_NDK)
        filters.append(turned_NDK @ basis.values_KP)
    return np.stack(filters, 2)


def _between(basis: FilterBasis, source: Representation, target: Representation) -> np.ndarray:
    action_GKK = basis.action_GKK(source.group)
    pairs = zip(target.matrix_GDD, source.matrix_GDD, action_GKK, strict=True)
    action_GNN = np.stack([np.kron(np.kron(out_DD, in_EE), a_KK) for out_DD, in_EE, a_KK in pairs])
    weights_NDEK = fixed_vectors(action_GNN).reshape(-1, target.size, source.size, len(basis))
    return weights_NDEK @ basis.values_KP
