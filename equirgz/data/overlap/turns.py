"""Images compared at every angle and reflection by the Fourier transforms of their polar maps.

With F(R, K) the transform over the angle of a map of mean 0 and unit norm on circles, the correlation of two images
at their best angle is

    r = max_t  sum_RK  F_a conj(F_b) exp(i K t)   <=   sum_RK |F_a| |F_b|

so that the moduli, which no turn or flip changes, bound it: what lies below a threshold by them needs no transform.
Legend: N, M images, P pairs, R radii, A angles, K angular frequencies, F = R K.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.fft

ANGLES = 96
STEP_DEG = 360.0 / ANGLES
_BLOCK = 1024


def transform(map_NRA: np.ndarray) -> np.ndarray:
    """Return F (N, R, K), complex64, of maps on circles of ``ANGLES`` angles."""
    return scipy.fft.rfft(map_NRA, axis=2).astype(np.complex64)


def moduli(f_NRK: np.ndarray) -> np.ndarray:
    """Return vectors (N, F) whose products bound the correlation of two images at any angle."""
    count_K = np.full(f_NRK.shape[2], 2.0)
    count_K[[0, -1]] = 1  # of an even number of angles
    return (np.abs(f_NRK) * np.sqrt(count_K / ANGLES)).reshape(len(f_NRK), -1).astype(np.float32)


def pairs_above(a_NF: np.ndarray, b_MF: np.ndarray, threshold: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield indices (i, j), in blocks, of the pairs whose bound reaches ``threshold``."""
    for start in range(0, len(a_NF), _BLOCK):
        i, j = np.nonzero(a_NF[start : start + _BLOCK] @ b_MF.T >= threshold - 1e-5)
        if len(i):
            yield i + start, j


def correlate_turns(
    a_NRK: np.ndarray, b_MRK: np.ndarray, i_P: np.ndarray, j_P: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the correlation of each pair at its best angle, that angle in steps of b, and whether b is reflected."""
    value_P, step_P, reflect_P = np.empty(len(i_P)), np.empty(len(i_P), np.int64), np.empty(len(i_P), bool)
    for start in range(0, len(i_P), _BLOCK):
        part = slice(start, start + _BLOCK)
        a_BRK, b_BRK = a_NRK[i_P[part]], b_MRK[j_P[part]]
        # turning b by s steps shifts its angles by s; reflecting its columns maps angle t to pi - t
        curves = [scipy.fft.irfft((a_BRK * other).sum(1), n=ANGLES, axis=1) for other in (b_BRK.conj(), b_BRK)]
        best = np.stack([curve.max(1) for curve in curves])
        flip = best[1] > best[0]
        value_P[part], reflect_P[part] = np.where(flip, best[1], best[0]), flip
        step_P[part] = np.where(flip, curves[1].argmax(1), curves[0].argmax(1))
    return value_P, step_P, reflect_P
