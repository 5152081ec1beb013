"""Changes of brightness, contrast and resolution, one draw per sample.

Each function made here is given images of its own and changes them IN PLACE, since a pass over
fresh memory costs more than the arithmetic. Legend: B batch, C channel, H W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
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

    b and c are uniform in [1 - max, 1 + max]; with chance ``1 - probability`` a sample is left alone.
    Blank sky (0) stays 0 without contrast. Values are not clipped.
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

    The kernel has ``kernel_size`` taps (odd), sums to 1, and is separable: two depthwise passes over
    the chosen samples alone. Outside the image counts as 0.
    """
    low, high = (check_range("sigma_px", part, 1e-3, 100.0) for part in sigma_px)
    check_range("probability", probability, 0.0, 1.0)
    half = kernel_size // 2

    def change(x_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        batch, channels, height, width = x_BCHW.shape
        chosen_B = draw_chance(batch, probability, generator)
        sigma_B = draw_uniform(batch, low, high, generator)
        index_b = torch.nonzero(chosen_B)[:, 0]
        if index_b.numel() == 0:
            return x_BCHW
        tap_T = torch.arange(-half, half + 1, device=sigma_B.device, dtype=sigma_B.dtype)
        kernel_bT = torch.exp(-0.5 * (tap_T / sigma_B[index_b][:, None]) ** 2)
        kernel_bT = kernel_bT / kernel_bT.sum(1, keepdim=True)
        kernel_bT = kernel_bT.to(device=x_BCHW.device, dtype=x_BCHW.dtype).repeat_interleave(channels, 0)
        index_b = index_b.to(x_BCHW.device)
        planes = kernel_bT.shape[0]
        z = x_BCHW[index_b].reshape(1, planes, height, width)
        z = F.conv2d(z, kernel_bT[:, None, None, :], padding=(0, half), groups=planes)
        z = F.conv2d(z, kernel_bT[:, None, :, None], padding=(half, 0), groups=planes)
        x_BCHW[index_b] = z.reshape(-1, channels, height, width)
        return x_BCHW

    return change
