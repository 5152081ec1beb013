"""How well predicted shares of answers fit votes. Legend: N sources, A answers of ONE question."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln


def dirichlet_multinomial_nll(votes_NA: np.ndarray, concentration_NA: np.ndarray) -> np.ndarray:
    """Return ``-log p(votes | concentration)``, nll_N in nat (arXiv 2102.08414, eq. 2); NaN without votes.

    With n votes k_a and concentrations c_a of sum c: ``p = n! G(c) / G(n + c) prod_a G(k_a + c_a) / (k_a! G(c_a))``.
    Missing votes (NaN) count as none.
    """
    k_NA, c_NA = np.nan_to_num(np.asarray(votes_NA, np.float64)), np.asarray(concentration_NA, np.float64)
    n_N, c_N = k_NA.sum(-1), c_NA.sum(-1)
    log_p_N = gammaln(n_N + 1) + gammaln(c_N) - gammaln(n_N + c_N)
    log_p_NA = gammaln(k_NA + c_NA) - gammaln(c_NA) - gammaln(k_NA + 1)
    return np.where(n_N > 0, -(log_p_N + log_p_NA.sum(-1)), np.nan)


def vote_shares(votes_NA: np.ndarray) -> np.ndarray:
    """Return each answer's share of a source's votes, NaN where it has none."""
    k_NA = np.nan_to_num(np.asarray(votes_NA, np.float64))
    n_N1 = k_NA.sum(-1, keepdims=True)
    return np.divide(k_NA, n_N1, out=np.full_like(k_NA, np.nan), where=n_N1 > 0)
