"""What every measurement model is: linear, with Gaussian noise, and a way to apply functions of its information.

Legend: B batch, H W pixels (a square of n), M visibilities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from equirgz.errors import require


class Measurement(ABC):
    """``y = A x + noise``: y_BM complex visibilities of images x_BHW, ``weight_M`` = 1 / variance of each part.

    The information matrix ``A^T W A`` is symmetric; models know its eigenvectors, so that
    :meth:`apply_function` is exact and cheap. ``n_numbers`` counts the real numbers that are measured.
    """

    n_pixels: int
    pixel_scale_arcsec: float
    weight_M: Tensor
    n_numbers: int

    @abstractmethod
    def forward(self, x_BHW: Tensor) -> Tensor:
        """Return visibilities A x, (B, M) complex."""

    @abstractmethod
    def adjoint(self, v_BM: Tensor) -> Tensor:
        """Return ``A^T v``, (B, H, W) real: the gradient of ``Re sum conj(v) A x``."""

    @abstractmethod
    def apply_function(self, function: Callable[[Tensor], Tensor], x_BHW: Tensor) -> Tensor:
        """Return ``f(A^T W A) x``, with ``function`` acting on the eigenvalues (Jy/pixel)^-2."""

    @abstractmethod
    def beam(self) -> Tensor:
        """Return the dirty beam (2n - 1, 2n - 1): the dirty image of a point, 1 at its centre."""

    def dirty(self, y_BM: Tensor) -> Tensor:
        """Return ``A^T W y``, (B, H, W): what data say of an image, in units of information times Jy/pixel."""
        return self.adjoint(self.weight_M * y_BM)

    def dirty_image(self, y_BM: Tensor) -> Tensor:
        """Return the dirty image, naturally weighted, Jy per dirty beam: a point of 1 Jy has the peak 1."""
        return self.dirty(y_BM) / self.weight_M.sum()

    def observe(self, x_BHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return visibilities with thermal noise of the weights; what must be real stays real."""
        v_BM = self.forward(x_BHW)
        parts = torch.randn(*v_BM.shape, 2, generator=generator, dtype=v_BM.real.dtype)
        return v_BM + torch.view_as_complex(parts) * self.measured_parts() / self.weight_M.sqrt()

    def measured_parts(self) -> Tensor | float:
        """Return factors (M,) or 1 that take away noise where none is, such as of imaginary parts."""
        return 1.0

    def chi2(self, x_BHW: Tensor, y_BM: Tensor) -> Tensor:
        """Return ``sum w |y - A x|^2`` (B,); of the true image, ``n_numbers`` on average."""
        return (self.weight_M * (y_BM - self.forward(x_BHW)).abs().square()).sum(-1)

    def check_images(self, x_BHW: Tensor) -> None:
        """Raise InputError unless ``x_BHW`` are images of the model's size."""
        size = (self.n_pixels, self.n_pixels)
        require(x_BHW.shape[-2:] == size, "image", expected=f"{size} pixels", got=tuple(x_BHW.shape))

    def check_scale(self, pixel_scale_arcsec: float, tolerance: float = 0.01) -> None:
        """Raise InputError where a prior was learnt on pixels of another size (by more than 1 %)."""
        near = abs(pixel_scale_arcsec / self.pixel_scale_arcsec - 1) <= tolerance
        mend = "image with the prior's pixels, or train a prior on these"
        expected, got = f"the prior's {pixel_scale_arcsec:g} arcsec", f"{self.pixel_scale_arcsec:g}"
        require(near, "pixel scale", expected=expected, got=got, mend=mend)
