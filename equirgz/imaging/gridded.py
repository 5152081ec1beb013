"""Visibilities on the cells of the image's own Fourier grid. Legend: B batch, H W pixels, M cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from equirgz.errors import InputError, require
from equirgz.imaging.antennas import Coverage
from equirgz.imaging.measurement import Measurement

ARCSEC = np.pi / 180 / 3600


class GriddedMeasurement(Measurement):
    """One visibility per measured cell (u, v) = k / (n * pixel), and never that of -k beside it.

    ``A^T W A`` is a circular convolution: its eigenvalue at a cell is ``w n^2 / 2``, and ``w n^2`` at k = 0, where
    the visibility is real. So that a posterior costs two FFTs a step.

    Parameters
    ----------
    weight_HW : weights on the full grid in numpy's order of frequencies, equal at k and -k, 0 where not measured.
    pixel_scale_arcsec : side of a pixel.

    Raises InputError for grids that are not square, not Hermitian, empty, negative or not finite, and of even sides
    with weights at the Nyquist frequency.
    """

    def __init__(self, weight_HW: np.ndarray, pixel_scale_arcsec: float, dtype: torch.dtype = torch.float32) -> None:
        weight_HW = np.asarray(weight_HW, np.float64)
        _check_grid(weight_HW)
        require(pixel_scale_arcsec > 0, "pixel_scale_arcsec", expected="a positive number", got=pixel_scale_arcsec)
        n = self.n_pixels = len(weight_HW)
        self.pixel_scale_arcsec = float(pixel_scale_arcsec)
        k_n = np.rint(np.fft.fftfreq(n) * n).astype(int)
        half_HW = (k_n[:, None] > 0) | ((k_n[:, None] == 0) & (k_n[None] >= 0))
        self.cell_M2 = torch.from_numpy(np.argwhere(half_HW & (weight_HW > 0)))
        self.weight_M = torch.as_tensor(weight_HW[tuple(self.cell_M2.T.numpy())], dtype=dtype)
        self.real_M = (self.cell_M2 == 0).all(1)
        self.n_numbers = 2 * len(self.cell_M2) - int(self.real_M.sum())
        twice_HW = np.where((k_n[:, None] == 0) & (k_n[None] == 0), 1.0, 0.5)
        self.information_HW = torch.as_tensor(weight_HW * twice_HW * n * n, dtype=dtype)

    @classmethod
    def from_coverage(cls, coverage: Coverage, n_pixels: int, pixel_scale_arcsec: float) -> GriddedMeasurement:
        """Return the model whose cells have the summed weights of a coverage; InputError for uv beyond Nyquist."""
        return cls(sum_on_grid(coverage, coverage.weight_M, n_pixels, pixel_scale_arcsec), pixel_scale_arcsec)

    def forward(self, x_BHW: Tensor) -> Tensor:
        self.check_images(x_BHW)
        row_M, column_M = self.cell_M2.T
        return torch.fft.fft2(torch.fft.ifftshift(x_BHW, dim=(-2, -1)))[..., row_M, column_M]

    def adjoint(self, v_BM: Tensor) -> Tensor:
        n = self.n_pixels
        row_M, column_M = self.cell_M2.T
        grid_BHW = v_BM.new_zeros(*v_BM.shape[:-1], n, n)
        grid_BHW[..., row_M, column_M] = v_BM
        return torch.fft.fftshift(torch.fft.ifft2(grid_BHW).real * (n * n), dim=(-2, -1))

    def apply_function(self, function: Callable[[Tensor], Tensor], x_BHW: Tensor) -> Tensor:
        return torch.fft.ifft2(torch.fft.fft2(x_BHW) * function(self.information_HW)).real

    def measured_parts(self) -> Tensor:
        return _RealOnly(self.real_M)

    def beam(self) -> Tensor:
        n = self.n_pixels
        one_HW = torch.zeros(1, n, n, dtype=self.weight_M.dtype)
        one_HW[0, n // 2, n // 2] = 1
        beam_HW = self.dirty_image(self.forward(one_HW))[0]
        offsets = (torch.arange(-(n - 1), n) + n // 2) % n
        return beam_HW[offsets][:, offsets]


class _RealOnly:
    """Multiplies complex numbers, of which those marked keep their real part alone."""

    def __init__(self, real_M: Tensor) -> None:
        self.real_M = real_M

    def __rmul__(self, v_BM: Tensor) -> Tensor:
        return torch.where(self.real_M, v_BM.real.to(v_BM.dtype), v_BM)


def sum_on_grid(coverage: Coverage, value_M: np.ndarray, n_pixels: int, pixel_scale_arcsec: float) -> np.ndarray:
    """Return the sums (n, n) of values in the cells nearest to their (u, v), and of conjugates in the mirrored cells.

    What falls on the centre, its own mirror, counts once: of complex values the real part. InputError for uv at or
    beyond Nyquist.
    """
    check_nyquist(coverage, pixel_scale_arcsec)
    cell = 1 / (n_pixels * pixel_scale_arcsec * ARCSEC)
    ku_M, kv_M = (np.rint(value / cell).astype(int) for value in (coverage.u_M, coverage.v_M))
    n_outside = int((np.maximum(np.abs(ku_M), np.abs(kv_M)) > (n_pixels - 1) // 2).sum())
    mend = "take an odd number of pixels, or smaller ones"
    require(n_outside == 0, "uv coverage", expected="no visibility at Nyquist", got=n_outside, mend=mend)
    sum_HW = np.zeros((n_pixels, n_pixels), value_M.dtype)
    for sign, part_M in ((1, value_M), (-1, value_M.conj())):
        np.add.at(sum_HW, ((sign * kv_M) % n_pixels, (sign * ku_M) % n_pixels), part_M)
    sum_HW[0, 0] /= 2
    return sum_HW


def check_nyquist(coverage: Coverage, pixel_scale_arcsec: float) -> None:
    """Raise InputError where a visibility is beyond the Nyquist frequency of the pixels, 1 / (2 pixel)."""
    nyquist = 1 / (2 * pixel_scale_arcsec * ARCSEC)
    farthest = float(max(np.abs(coverage.u_M).max(), np.abs(coverage.v_M).max()))
    if farthest > nyquist:
        mend = f"take pixels of at most {pixel_scale_arcsec * nyquist / farthest:.3g} arcsec, or leave them out"
        expected, got = f"at most {nyquist:.4g} wavelengths (Nyquist)", f"{farthest:.4g}"
        raise InputError("uv coverage", expected=expected, got=got, mend=mend)


def _check_grid(weight_HW: np.ndarray) -> None:
    what = "uv grid"
    square = weight_HW.ndim == 2 and weight_HW.shape[0] == weight_HW.shape[1] > 1
    require(square, what, expected="weights (n, n)", got=weight_HW.shape)
    require(np.isfinite(weight_HW).all(), what, expected="finite weights", got="NaN or infinity")
    require(weight_HW.min() >= 0, what, expected="weights of at least 0", got=f"{weight_HW.min():g}")
    require(weight_HW.any(), what, expected="at least one measured cell", got="an empty grid")
    mirrored_HW = np.roll(weight_HW[::-1, ::-1], 1, (0, 1))
    if not np.allclose(weight_HW, mirrored_HW, rtol=1e-6, atol=0):
        mend = "the visibility at -k is the conjugate of that at k: give both the same weight"
        raise InputError(what, expected="Hermitian weights, w(-k) = w(k)", got="others", mend=mend)
    n = len(weight_HW)
    if n % 2 == 0 and (weight_HW[n // 2].any() or weight_HW[:, n // 2].any()):
        raise InputError(what, expected="no weight at the Nyquist frequency of an even side", got="some")
