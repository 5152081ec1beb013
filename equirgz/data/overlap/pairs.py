"""Pairs of sources of two sets that were found to be alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Pairs:
    """Pairs (i of A, j of B) with a score: separation in arcsec, correlation or cosine."""

    i: np.ndarray
    j: np.ndarray
    score: np.ndarray
    angle_deg: np.ndarray = field(default_factory=lambda: np.zeros(0))
    reflect: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __len__(self) -> int:
        return len(self.i)

    @property
    def sources_a(self) -> np.ndarray:
        """Indices of the sources of A that have a partner."""
        return np.unique(self.i)

    @property
    def sources_b(self) -> np.ndarray:
        """Indices of the sources of B that have a partner."""
        return np.unique(self.j)
