"""CLEAN (Hogbom 1974, A&AS 15, 417): an image as points seen with the dirty beam. Legend: H W pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.errors import InputError, require


@dataclass(frozen=True)
class Cleaned:
    """``component_HW`` in Jy per pixel, ``residual_HW`` in Jy per dirty beam, ``restored_HW`` in Jy per clean beam.

    ``beam_px2``: solid angle of the clean beam in pixels, by which restored is divided to be in Jy per pixel.
    """

    component_HW: np.ndarray
    residual_HW: np.ndarray
    restored_HW: np.ndarray
    beam_px2: float
    n_iterations: int


def clean(
    dirty_HW: np.ndarray,
    beam_HW: np.ndarray,
    *,
    gain: float = 0.1,
    threshold: float = 0.0,
    max_iterations: int = 2000,
) -> Cleaned:
    """Return the CLEAN image of a dirty one (n, n) with its dirty beam (2n - 1, 2n - 1), 1 at its centre.

    While the largest absolute residual exceeds ``threshold`` (Jy per beam; three times the noise is usual), ``gain`` of
    it goes to the components, and the beam at its place, so scaled, leaves the residual. Then components are
    convolved with a Gaussian fitted to the beam's core, and the residual is added.

    Raises InputError for shapes that disagree, pixels that are not finite, and a gain outside (0, 1].
    """
    dirty_HW, beam_HW = np.asarray(dirty_HW, np.float64), np.asarray(beam_HW, np.float64)
    n = len(dirty_HW)
    if dirty_HW.shape != (n, n) or beam_HW.shape != (2 * n - 1, 2 * n - 1):
        got = f"{dirty_HW.shape} and {beam_HW.shape}"
        raise InputError("clean", expected="a dirty image (n, n) and a beam (2n - 1, 2n - 1)", got=got)
    finite = np.isfinite(dirty_HW).all() and np.isfinite(beam_HW).all()
    require(bool(finite), "clean", expected="finite pixels", got="NaN or infinity")
    require(abs(beam_HW[n - 1, n - 1] - 1) < 1e-3, "clean: beam", expected="1 at its centre",
            got=f"{beam_HW[n - 1, n - 1]:.4g}")  # fmt: skip
    require(0 < gain <= 1, "gain", expected="above 0 and at most 1", got=gain)
    require(threshold >= 0, "threshold", expected="at least 0", got=threshold)
    residual_HW, component_HW = dirty_HW.copy(), np.zeros_like(dirty_HW)
    done = 0
    while done < max_iterations:
        row, column = np.unravel_index(np.abs(residual_HW).argmax(), residual_HW.shape)
        peak = residual_HW[row, column]
        if abs(peak) <= threshold:
            break
        component_HW[row, column] += gain * peak
        residual_HW -= gain * peak * beam_HW[n - 1 - row : 2 * n - 1 - row, n - 1 - column : 2 * n - 1 - column]
        done += 1
    core_HW = fit_beam(beam_HW)
    restored_HW = convolve(component_HW, core_HW) + residual_HW
    return Cleaned(component_HW, residual_HW, restored_HW, float(core_HW.sum()), done)


def fit_beam(beam_HW: np.ndarray) -> np.ndarray:
    """Return the clean beam, (2n - 1, 2n - 1) with 1 at its centre: the Gaussian with the curvature of the core.

    ``-ln beam`` of the pixels around the centre above 0.35 is fitted by a quadratic form, weighted by the beam.
    Raises InputError where the core is narrower than a pixel, so that nothing can be fitted.
    """
    from scipy.ndimage import label

    half = len(beam_HW) // 2
    row_HW, column_HW = np.indices(beam_HW.shape) - half
    parts_HW, _ = label(beam_HW > 0.35)
    core_HW = parts_HW == parts_HW[half, half]
    y, x, value = row_HW[core_HW], column_HW[core_HW], beam_HW[core_HW]
    terms = np.stack([y * y, y * x, x * x], 1).astype(float)
    rank = np.linalg.matrix_rank(terms)
    mend = "take smaller pixels, a third of the beam"
    require(rank == 3, "clean beam", expected="a core of several pixels", got=f"{len(value)} pixels", mend=mend)
    a, b, c = np.linalg.lstsq(terms * value[:, None], -np.log(value) * value, rcond=None)[0]
    require(a > 0 and 4 * a * c > b * b, "clean beam", expected="a core that falls", got="another", mend=mend)
    return np.exp(-(a * row_HW**2 + b * row_HW * column_HW + c * column_HW**2))


def convolve(image_HW: np.ndarray, kernel_HW: np.ndarray) -> np.ndarray:
    """Return the image (n, n) convolved with a kernel (2n - 1, 2n - 1) about its centre; outside is 0."""
    from scipy.signal import fftconvolve

    n = len(image_HW)
    return fftconvolve(image_HW, kernel_HW)[n - 1 : 2 * n - 1, n - 1 : 2 * n - 1]
