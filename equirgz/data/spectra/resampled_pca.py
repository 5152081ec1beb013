"""The baseline of spectra: resampled to one grid, then principal components.

What a native-grid encoder has to beat. A spectrum is brought to even bins of log wavelength by its inverse-variance
weighted mean in each; its components are what is likeliest (weights of the bins, and the components' own variance as
prior), so that noise and hidden pixels do it no wrong. Legend: N spectra, L pixels, W bins, F components.
"""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError, require


class ResampledPca:
    """Principal components of spectra (:mod:`equirgz.data.spectra.rows`) on ``n_bins`` bins of a common range.

    Parameters
    ----------
    row_N31L : spectra to learn from, on any grids.
    n_components : F, at most one less than the spectra.
    wavelength_range : angstrom, that all spectra cover.
    n_bins : even bins of log wavelength.
    """

    def __init__(
        self, row_N31L: np.ndarray, n_components: int, wavelength_range: tuple[float, float], n_bins: int = 128
    ) -> None:
        most = min(len(row_N31L) - 1, n_bins)
        require(1 <= n_components <= most, "n_components", expected=f"from 1 to {most}", got=n_components)
        self.edge_W = np.linspace(*np.log10(wavelength_range), n_bins + 1)
        flux_NW, weight_NW, _ = self._bin(row_N31L)
        self.mean_W = (weight_NW * flux_NW).sum(0) / weight_NW.sum(0).clip(1e-30)
        filled_NW = np.where(weight_NW > 0, flux_NW - self.mean_W, 0.0)
        _, singular_R, axis_RW = np.linalg.svd(filled_NW, full_matrices=False)
        variance_R = singular_R**2 / len(row_N31L)
        noise = float(variance_R[n_components:].mean()) if len(variance_R) > n_components else 0.0
        self.axis_FW = axis_RW[:n_components]
        self.variance_F = (variance_R[:n_components] - noise).clip(1e-12)

    def _bin(self, row_N31L: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return flux over its mean and its weights in the bins, (N, W) each, and that mean, (N, 1)."""
        flux_NL, ivar_NL, log_NL = (np.asarray(row_N31L[:, k, 0], np.float64) for k in range(3))
        n_bins = len(self.edge_W) - 1
        place_NL = np.searchsorted(self.edge_W, log_NL, side="right") - 1
        ivar_NL = np.where((place_NL >= 0) & (place_NL < n_bins), ivar_NL, 0.0)
        key_NL = np.arange(len(flux_NL))[:, None] * n_bins + place_NL.clip(0, n_bins - 1)
        count = len(flux_NL) * n_bins
        weight_NW, weighted_NW = (
            np.bincount(key_NL.ravel(), value_NL.ravel(), count).reshape(-1, n_bins)
            for value_NL in (ivar_NL, ivar_NL * flux_NL)
        )
        if not (weight_NW > 0).any(1).all():
            raise InputError("spectra", expected="pixels in the common range of wavelengths", got="a spectrum without")
        flux_NW = weighted_NW / np.where(weight_NW > 0, weight_NW, 1)
        scale_N1 = np.abs(flux_NW).sum(1, keepdims=True) / (weight_NW > 0).sum(1, keepdims=True)
        return flux_NW / scale_N1, weight_NW * scale_N1**2, scale_N1

    def transform(self, row_N31L: np.ndarray) -> np.ndarray:
        """Return feature_NF, the likeliest components."""
        flux_NW, weight_NW, _ = self._bin(row_N31L)
        precision_NFF = np.einsum("fw,nw,gw->nfg", self.axis_FW, weight_NW, self.axis_FW, optimize=True)
        precision_NFF += np.diag(1 / self.variance_F)
        pull_NF = (weight_NW * (flux_NW - self.mean_W)) @ self.axis_FW.T
        return np.linalg.solve(precision_NFF, pull_NF[..., None])[..., 0]

    def reconstruct(self, row_N31L: np.ndarray, shown_NL: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the model's flux at the spectra's own pixels, told from those that are shown, and ``w (f - model)^2``.

        Between bins the model is linear; outside of the common range it is not, and both are NaN.
        """
        shown_N31L = np.array(row_N31L, np.float64)
        shown_N31L[:, 1, 0] *= shown_NL
        _, _, scale_N1 = self._bin(shown_N31L)
        model_NW = (self.mean_W + self.transform(shown_N31L) @ self.axis_FW) * scale_N1
        flux_NL, ivar_NL, log_NL = (np.asarray(row_N31L[:, k, 0], np.float64) for k in range(3))
        centre_W = (self.edge_W[1:] + self.edge_W[:-1]) / 2
        model_NL = np.stack(
            [np.interp(log_L, centre_W, model_W) for log_L, model_W in zip(log_NL, model_NW, strict=True)]
        )
        inside_NL = (log_NL >= self.edge_W[0]) & (log_NL < self.edge_W[-1])
        model_NL = np.where(inside_NL, model_NL, np.nan)
        return model_NL, ivar_NL * (flux_NL - model_NL) ** 2


def common_range(row_sets: list[np.ndarray]) -> tuple[float, float]:
    """Return the wavelengths (angstrom) that all spectra of all sets cover; InputError where there are none."""
    low, high = 0.0, np.inf
    for row_N31L in row_sets:
        there_NL = row_N31L[:, 1, 0] > 0
        log_NL = row_N31L[:, 2, 0].astype(np.float64)
        low = max(low, float(np.where(there_NL, log_NL, np.inf).min(1).max()))
        high = min(high, float(np.where(there_NL, log_NL, -np.inf).max(1).min()))
    if not low < high:
        raise InputError("spectra", expected="grids that overlap", got=f"{10**low:.6g} to {10**high:.6g} angstrom")
    return 10**low, 10**high
