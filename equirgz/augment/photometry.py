"""Changes of brightness, contrast and resolution, one draw per sample.

Each function made here is given images of its own and changes them IN PLACE, since a pass over
fresh memory costs more than the arithmetic. Legend: B batch, C channel, H W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from equirgz.augment.base import Photometry
from equirgz.augment.pose import check_range, draw_chance, draw_uniform


def _per_sample(value_B: Tensor, like: Tensor) -> Tensor:
    return value_B.to(device=like.device, dtype=like.dtype)[:, None, None, None]


def make_brightness(max_change: float, probability: float = 1.0) -> Photometry:
    """Return ``y = b x`` with b uniform in [1 - max_change, 1 + max_change], one b per sample."""
    return make_jitter(max_change, 0.0, probability)


def make_jitter(brightness: float, contrast: float, probability: float = 1.0) -> Photometry:
    """Return ``y = c (b x - m) + m``: brightness b, then contrast c about the sample's mean m.

    Blank sky (0) stays 0 without contrast. Values are not clipped.

    Parameters
    ----------
    brightness : b is uniform in [1 - brightness, 1 + brightness], one per sample; 0 to 1.
    contrast : c is uniform in [1 - contrast, 1 + contrast], one per sample; 0 to 1.
    probability : chance of a change of brightness and contrast, else a sample is left alone; 0 to 1.
    """
    check_range("brightness", brightness, 0.0, 1.0)
    check_range("contrast", contrast, 0.0, 1.0)
    check_range("probability", probability, 0.0, 1.0)

    def change(x_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        batch = x_BCHW.shape[0]
        chosen_B = draw_chance(batch, probability, generator)
        factor_B = torch.where(chosen_B, draw_uniform(batch, 1 - brightness, 1 + brightness, generator), 1.0)
        if contrast == 0:
            return x_BCHW.mul_(_per_sample(factor_B, x_BCHW))
        slope_B = torch.where(chosen_B, draw_uniform(batch, 1 - contrast, 1 + contrast, generator), 1.0)
        mean_B111 = x_BCHW.mean((1, 2, 3), keepdim=True)
        offset_B111 = mean_B111 * _per_sample(factor_B * (1 - slope_B), x_BCHW)
        return x_BCHW.mul_(_per_sample(factor_B * slope_B, x_BCHW)).add_(offset_B111)

    return change


def make_blur(sigma_px: tuple[float, float], probability: float = 0.5, kernel_size: int = 7) -> Photometry:
    """Return a Gaussian blur of standard deviation uniform in ``sigma_px`` (pixels), one per sample.

    The kernel sums to 1 and is separable: two passes over the chosen samples alone. Outside the image counts as 0.

    Parameters
    ----------
    sigma_px : (low, high) of the standard deviation of the Gaussian, pixels; 0.001 to 100.
    probability : chance that a sample is blurred; 0 to 1.
    kernel_size : taps of the kernel, an odd number.
    """
    low, high = (check_range("sigma_px", part, 1e-3, 100.0) for part in sigma_px)
    check_range("probability", probability, 0.0, 1.0)
    half = kernel_size // 2

    def change(x_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        chosen_B = draw_chance(len(x_BCHW), probability, generator)
        sigma_B = draw_uniform(len(x_BCHW), low, high, generator)
        index_b = torch.nonzero(chosen_B)[:, 0]
        if index_b.numel() == 0:
            return x_BCHW
        tap_T = torch.arange(-half, half + 1, device=sigma_B.device, dtype=sigma_B.dtype)
        kernel_bT = torch.exp(-0.5 * (tap_T / sigma_B[index_b][:, None]) ** 2)
        kernel_bT = kernel_bT / kernel_bT.sum(1, keepdim=True)
        kernel_bT = kernel_bT.to(device=x_BCHW.device, dtype=x_BCHW.dtype)
        index_b = index_b.to(x_BCHW.device)
        z_bCHW = x_BCHW.index_select(0, index_b)
        x_BCHW[index_b] = _smooth(_smooth(z_bCHW, kernel_bT, -1), kernel_bT, -2)
        return x_BCHW

    return change


def _smooth(x_bCHW: Tensor, kernel_bT: Tensor, dim: int) -> Tensor:
    """Return each sample smoothed along ``dim`` by its own symmetric kernel, one shifted copy per tap.

    With a kernel per sample a grouped convolution would be set up anew for every number of samples,
    which costs more than the sums.
    """
    half, size = kernel_bT.shape[1] // 2, x_bCHW.shape[dim]
    tap_Tb111 = kernel_bT.T[:, :, None, None, None]
    y_bCHW = x_bCHW * tap_Tb111[half]
    for k in range(1, min(half, size - 1) + 1):
        head, tail = x_bCHW.narrow(dim, 0, size - k), x_bCHW.narrow(dim, k, size - k)
        y_bCHW.narrow(dim, 0, size - k).add_(tail * tap_Tb111[half + k])
        y_bCHW.narrow(dim, k, size - k).add_(head * tap_Tb111[half - k])
    return y_bCHW
