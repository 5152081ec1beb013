"""How far images are from the true ones, source by source. Legend: N sources, K channels, H W pixels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def mean_squared_error(image_NKHW: np.ndarray, truth_NKHW: np.ndarray) -> np.ndarray:
    """Return mse_N, the mean over channels and pixels of the squared difference; NaN where the truth has NaN."""
    difference = np.asarray(image_NKHW, np.float64) - np.asarray(truth_NKHW, np.float64)
    return np.square(difference).mean((1, 2, 3))


def peak_signal_to_noise(image_NKHW: np.ndarray, truth_NKHW: np.ndarray) -> np.ndarray:
    """Return PSNR_N = 10 log10(range^2 / mse) in dB, range the largest minus the smallest true pixel of the source.

    Infinite where the images are equal, NaN where the truth is constant.
    """
    truth_NKHW = np.asarray(truth_NKHW, np.float64)
    range_N = np.ptp(truth_NKHW.reshape(len(truth_NKHW), -1), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_N = np.square(np.where(range_N > 0, range_N, np.nan)) / mean_squared_error(image_NKHW, truth_NKHW)
        return 10 * np.log10(ratio_N)


def structural_similarity(
    image_NKHW: np.ndarray, truth_NKHW: np.ndarray, sigma: float = 1.5, k: tuple[float, float] = (0.01, 0.03)
) -> np.ndarray:
    """Return SSIM_N, the mean over channels and pixels of

    ``(2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2))`` with means, variances and the
    covariance under a Gaussian window of ``sigma`` pixels cut at 3.5 sigma, ``c_i = (k_i range)^2`` and the range of
    the source's true pixels (Wang et al. 2004, doi 10.1109/TIP.2003.819861). NaN where the truth is constant.
    """
    x, y = np.asarray(image_NKHW, np.float64), np.asarray(truth_NKHW, np.float64)

    def smooth(array: np.ndarray) -> np.ndarray:
        return gaussian_filter(array, (0, 0, sigma, sigma), truncate=3.5)

    range_N = np.ptp(y.reshape(len(y), -1), axis=1)
    c1, c2 = (np.square(share * np.where(range_N > 0, range_N, np.nan))[:, None, None, None] for share in k)
    m_x, m_y = smooth(x), smooth(y)
    s_xx, s_yy, s_xy = smooth(x * x) - m_x**2, smooth(y * y) - m_y**2, smooth(x * y) - m_x * m_y
    ssim = (2 * m_x * m_y + c1) * (2 * s_xy + c2) / ((m_x**2 + m_y**2 + c1) * (s_xx + s_yy + c2))
    return ssim.mean((1, 2, 3))
