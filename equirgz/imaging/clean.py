"""CLEAN (Hogbom 1974, A&AS 15, 417), of points or of several scales (Cornwell 2008, arXiv 0806.2228).

Legend: H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    scales_px: Sequence[float] = (0.0,),
) -> Cleaned:
    """Return the CLEAN image of a dirty one (n, n) with its dirty beam (2n - 1, 2n - 1), 1 at its centre.

    While the largest absolute residual exceeds ``threshold`` (Jy per beam; three times the noise is usual), ``gain`` of
    it goes to the components, and the beam at its place, so scaled, leaves the residual. Then components are
    convolved with a Gaussian fitted to the beam's core, and the residual is added.

    ``scales_px`` are standard deviations of Gaussians m of unit flux, 0 for a point. With several, the one is taken
    that lowers chi2 most, of the largest ``(m * residual)^2 / (m * beam * m)``; a lone point is always a point.

    Raises InputError for shapes that disagree, pixels that are not finite, a gain outside (0, 1], and no scales or
    negative ones.
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
    scales = sorted({float(scale) for scale in scales_px})
    require(bool(scales) and scales[0] >= 0, "scales_px", expected="numbers of at least 0", got=list(scales_px))
    parts = [_make_part(scale, beam_HW) for scale in scales]
    residual_HW, component_HW = dirty_HW.copy(), np.zeros_like(dirty_HW)
    done = 0
    while done < max_iterations and np.abs(residual_HW).max() > threshold:
        seen = [residual_HW if part.point else convolve(residual_HW, part.shape_HW) for part in parts]
        best = int(
            np.argmax([np.abs(seen_HW).max() / part.norm**0.5 for seen_HW, part in zip(seen, parts, strict=True)])
        )
        row, column = np.unravel_index(np.abs(seen[best]).argmax(), residual_HW.shape)
        amount = gain * seen[best][row, column] / parts[best].norm
        place = (slice(n - 1 - row, 2 * n - 1 - row), slice(n - 1 - column, 2 * n - 1 - column))
        added_HW = amount * parts[best].shape_HW[place]
        component_HW += added_HW
        residual_HW -= amount * beam_HW[place] if parts[best].point else convolve(added_HW, beam_HW)
        done += 1
    core_HW = fit_beam(beam_HW)
    restored_HW = convolve(component_HW, core_HW) + residual_HW
    return Cleaned(component_HW, residual_HW, restored_HW, float(core_HW.sum()), done)


@dataclass(frozen=True)
class _Part:
    """A component of unit flux about the centre of (2n - 1, 2n - 1), and its square in the beam's inner product."""

    shape_HW: np.ndarray
    norm: float
    point: bool


def _make_part(scale: float, beam_HW: np.ndarray) -> _Part:
    half = len(beam_HW) // 2
    row_HW, column_HW = np.indices(beam_HW.shape) - half
    if scale == 0:
        return _Part(((row_HW == 0) & (column_HW == 0)).astype(float), 1.0, True)
    shape_HW = np.exp(-(row_HW**2 + column_HW**2) / (2 * scale**2))
    shape_HW /= shape_HW.sum()
    inner_HW = shape_HW[half // 2 : half // 2 + half + 1, half // 2 : half // 2 + half + 1]
    return _Part(shape_HW, float((inner_HW * convolve(inner_HW, beam_HW)).sum() / inner_HW.sum() ** 2), False)


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
