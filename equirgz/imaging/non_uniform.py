"""Visibilities where they were measured, between the cells of any grid. Legend: B batch, H W pixels, M visibilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from equirgz.errors import check_choice, require, require_package
from equirgz.imaging.antennas import Coverage
from equirgz.imaging.gridded import ARCSEC, check_nyquist
from equirgz.imaging.measurement import Measurement

MOST_PIXELS = 70  # side up to which the information matrix, side^4 numbers, is decomposed
ACCURACY = 1e-9  # of ducc0's transforms


class NonUniformMeasurement(Measurement):
    """The visibilities of a :class:`~equirgz.imaging.antennas.Coverage`, each exactly where it is.

    ``backend="direct"`` sums over all pixels, M n^2 terms, and needs nothing else; ``"ducc0"`` is the non-uniform FFT
    of that package (``pip install 'equirgz[imaging]'``), equal to 1e-9. ``A^T W A`` depends on the distance of two
    pixels alone, as the dirty beam does; it is built from that and decomposed once, when first needed.

    Raises InputError for images of more than 70 pixels a side (there, grid the visibilities), uv beyond Nyquist, and
    without ducc0 where that is asked for.
    """

    def __init__(
        self,
        coverage: Coverage,
        n_pixels: int,
        pixel_scale_arcsec: float,
        backend: Literal["direct", "ducc0"] = "direct",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        require(2 <= n_pixels <= MOST_PIXELS, "n_pixels", expected=f"from 2 to {MOST_PIXELS}", got=n_pixels,
                mend="grid the visibilities: GriddedMeasurement.from_coverage")  # fmt: skip
        require(pixel_scale_arcsec > 0, "pixel_scale_arcsec", expected="a positive number", got=pixel_scale_arcsec)
        check_nyquist(coverage, pixel_scale_arcsec)
        self.backend = check_choice("backend", backend, ("direct", "ducc0"))
        if backend == "ducc0":
            require_package("ducc0", "the backend ducc0 (backend='direct' needs none)")
        self.n_pixels, self.pixel_scale_arcsec, self.dtype = n_pixels, float(pixel_scale_arcsec), dtype
        self.weight_M = torch.as_tensor(coverage.weight_M, dtype=dtype)
        radian = 2 * np.pi * pixel_scale_arcsec * ARCSEC
        self.phase_M2 = radian * np.stack([coverage.v_M, coverage.u_M], 1)  # of one pixel along rows, columns
        self.n_numbers = 2 * len(coverage)
        self._decomposed: tuple[Tensor, Tensor] | None = None

    def forward(self, x_BHW: Tensor) -> Tensor:
        self.check_images(x_BHW)
        if self.backend == "ducc0":
            import ducc0

            x = x_BHW.reshape(-1, *x_BHW.shape[-2:]).numpy().astype(np.complex128)
            v = [ducc0.nufft.u2nu(grid=one, coord=self.phase_M2, forward=True, epsilon=ACCURACY, periodicity=2 * np.pi)
                 for one in x]  # fmt: skip
            return torch.from_numpy(np.stack(v)).reshape(*x_BHW.shape[:-2], -1).to(self._complex())
        row_MH, column_MW = self._waves()
        return torch.einsum("mh,...hw,mw->...m", row_MH, x_BHW.to(row_MH), column_MW)

    def adjoint(self, v_BM: Tensor) -> Tensor:
        return self._adjoint(v_BM, self.n_pixels)

    def _adjoint(self, v_BM: Tensor, size: int) -> Tensor:
        if self.backend == "ducc0":
            import ducc0

            v = v_BM.reshape(-1, v_BM.shape[-1]).numpy().astype(np.complex128)
            grid = np.empty((size, size), np.complex128)
            x = [ducc0.nufft.nu2u(points=one, coord=self.phase_M2, forward=False, epsilon=ACCURACY, out=grid,
                                  periodicity=2 * np.pi).real.copy() for one in v]  # fmt: skip
            return torch.from_numpy(np.stack(x)).reshape(*v_BM.shape[:-1], size, size).to(self.dtype)
        row_MH, column_MW = self._waves(size)
        return torch.einsum("mh,...m,mw->...hw", row_MH.conj(), v_BM.to(row_MH), column_MW.conj()).real

    def apply_function(self, function: Callable[[Tensor], Tensor], x_BHW: Tensor) -> Tensor:
        value_N, vector_NN = self._decompose()
        flat_BN = x_BHW.flatten(-2)
        return (((flat_BN @ vector_NN) * function(value_N)) @ vector_NN.T).reshape(x_BHW.shape)

    def beam(self) -> Tensor:
        weight_1M = self.weight_M.to(self._complex())[None]
        return self._adjoint(weight_1M, 2 * self.n_pixels - 1)[0] / self.weight_M.sum()

    def _decompose(self) -> tuple[Tensor, Tensor]:
        if self._decomposed is None:
            n = self.n_pixels
            beam_HW = self.beam().double() * self.weight_M.double().sum()
            step_nn = torch.arange(n)[:, None] - torch.arange(n)[None] + n - 1
            matrix = beam_HW[step_nn[:, None, :, None], step_nn[None, :, None, :]].reshape(n * n, n * n)
            value_N, vector_NN = torch.linalg.eigh(matrix)
            self._decomposed = value_N.clamp_min(0).to(self.dtype), vector_NN.to(self.dtype)
        return self._decomposed

    def _waves(self, size: int | None = None) -> tuple[Tensor, Tensor]:
        """Return exp(-i phase) along rows and along columns, (M, size) each, pixel size // 2 at phase 0."""
        size = self.n_pixels if size is None else size
        place_n = np.arange(size) - size // 2
        rows, columns = (np.exp(-1j * phase_M[:, None] * place_n) for phase_M in self.phase_M2.T)
        return torch.from_numpy(rows).to(self._complex()), torch.from_numpy(columns).to(self._complex())

    def _complex(self) -> torch.dtype:
        return torch.complex128 if self.dtype == torch.float64 else torch.complex64
