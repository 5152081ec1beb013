"""Simulated observations to try priors on, and the images that are made of them without samples.

Legend: N sources, S samples, H W pixels, M visibilities.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from equirgz.imaging.antennas import Coverage, make_coverage
from equirgz.imaging.clean import clean, fit_beam
from equirgz.imaging.gaussian_prior import GaussianPrior
from equirgz.imaging.gridded import GriddedMeasurement
from equirgz.seeding import derive_seed

PIXEL_ARCSEC, FREQUENCY_GHZ = 3.6, 0.7  # together the longest baselines are at 0.9 of the Nyquist frequency
RIDGE = 1e-3  # variance that every pixel of a Gaussian prior has beside what the images show


def make_measurement(n_pixels: int, pixel_scale_arcsec: float, noise: float = 1.0) -> GriddedMeasurement:
    """Return four hours of a VLA-like array at declination 30 degrees, ``noise`` per beam in its dirty image.

    The frequency is 0.7 GHz times 3.6 arcsec over the pixel, so that the coverage is the same in units of the pixels.
    """
    frequency = FREQUENCY_GHZ * PIXEL_ARCSEC / pixel_scale_arcsec
    track = make_coverage("vla_like", 30.0, frequency_ghz=frequency, noise_jy=1.0, hours=4.0, n_times=24)
    weight_M = np.full(len(track), noise**-2 / len(track))
    return GriddedMeasurement.from_coverage(Coverage(track.u_M, track.v_M, weight_M), n_pixels, pixel_scale_arcsec)


def observe_all(model: GriddedMeasurement, truth_NHW: Tensor, seed: int = 0) -> Tensor:
    """Return the visibilities y_NM of all sources, with thermal noise."""
    return model.observe(truth_NHW, torch.Generator().manual_seed(derive_seed(seed, "thermal noise")))


def make_dirty(model: GriddedMeasurement, y_NM: Tensor) -> np.ndarray:
    """Return the dirty images (N, H, W), brought to Jy per pixel by the solid angle of the clean beam."""
    return model.dirty_image(y_NM).numpy() / fit_beam(model.beam().numpy()).sum()


def make_cleaned(model: GriddedMeasurement, y_NM: Tensor, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Return restored images of CLEAN in Jy per pixel (N, H, W), and chi2_N of their components."""
    beam_HW = model.beam().numpy()
    found = [clean(dirty_HW, beam_HW, threshold=threshold) for dirty_HW in model.dirty_image(y_NM).numpy()]
    parts_NHW = torch.as_tensor(np.stack([one.component_HW for one in found]), dtype=torch.float32)
    chi2 = [float(model.chi2(part_HW[None], y_M)) for part_HW, y_M in zip(parts_NHW, y_NM, strict=True)]
    return np.stack([one.restored_HW / one.beam_px2 for one in found]), np.array(chi2)


def fit_gaussian(train_NHW: Tensor) -> GaussianPrior:
    """Return the Gaussian prior of training images, with a small variance added to every pixel."""
    flat_NP = train_NHW.flatten(1).double()
    n_pixels = flat_NP.shape[1]
    covariance_PP = torch.cov(flat_NP.T) + RIDGE * torch.eye(n_pixels, dtype=torch.float64)
    return GaussianPrior(train_NHW.mean(0), covariance_PP.float())


def sample_gaussian(
    prior: GaussianPrior, model: GriddedMeasurement, y_NM: Tensor, n_samples: int, shrink: float = 1.0
) -> Tensor:
    """Return samples (N, S, H, W) of closed-form posteriors, ``shrink`` times as far from their means.

    With ``shrink`` below 1 they are the control that tests of coverage must refuse.
    """
    size = model.n_pixels
    off_SP, means = None, []
    for source, y_M in enumerate(y_NM):
        mean_HW, covariance_PP = prior.posterior(model, y_M)
        if off_SP is None:  # the covariance depends on the coverage alone
            value_P, vector_PP = torch.linalg.eigh(covariance_PP)
            root_PP = value_P.clamp_min(0).sqrt()[:, None] * vector_PP.T
        generator = torch.Generator().manual_seed(derive_seed(0, "closed form", source))
        off_SP = torch.randn(n_samples, size * size, generator=generator, dtype=torch.float64) @ root_PP
        means.append((mean_HW.flatten() + shrink * off_SP).reshape(n_samples, size, size).float())
    return torch.stack(means)
