"""Point operations on images in [0, 1], each with one strength per sample (the RandAugment pool).

Every function takes ``x_BCHW`` and ``strength_B`` in [0, 1] and returns new images. Brightness,
contrast and sharpness blend with factor ``f = 0.05 + 0.9 strength``, as arXiv 2111.04357 did.
Legend: B batch, C channel, H W pixels, L grey levels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Operation = Callable[[Tensor, Tensor], Tensor]
_LEVELS = 256


def _factor(strength_B: Tensor, x_BCHW: Tensor) -> Tensor:
    return (0.05 + 0.9 * strength_B).to(x_BCHW)[:, None, None, None]


def autocontrast(x_BCHW: Tensor, strength_B: Tensor) -> Tensor:
    """Stretch each channel linearly to [0, 1]; a constant channel is left alone."""
    low = x_BCHW.amin((2, 3), keepdim=True)
    span = x_BCHW.amax((2, 3), keepdim=True) - low
    return torch.where(span > 0, (x_BCHW - low) / span.clamp_min(1e-30), x_BCHW)


def brightness(x_BCHW: Tensor, strength_B: Tensor) -> Tensor:
    """``f x``."""
    return x_BCHW * _factor(strength_B, x_BCHW)


def contrast(x_BCHW: Tensor, strength_B: Tensor) -> Tensor:
    """``f x + (1 - f) m`` with m the sample's mean."""
    mean = x_BCHW.mean((1, 2, 3), keepdim=True)
    return mean + (x_BCHW - mean) * _factor(strength_B, x_BCHW)


def sharpness(x_BCHW: Tensor, strength_B: Tensor) -> Tensor:
    """``f x + (1 - f) s`` with s smoothed by the 3x3 kernel (1 1 1; 1 5 1; 1 1 1) / 13."""
    channels = x_BCHW.shape[1]
    kernel = torch.ones(3, 3, device=x_BCHW.device, dtype=x_BCHW.dtype)
    kernel[1, 1] = 5.0
    kernel = (kernel / 13.0).expand(channels, 1, 3, 3)
    smooth = F.conv2d(x_BCHW, kernel, padding=1, groups=channels)
    return smooth + (x_BCHW - smooth) * _factor(strength_B, x_BCHW)


def equalize(x_BCHW: Tensor, strength_B: Tensor) -> Tensor:
    """Histogram equalisation of each channel over 256 levels.

    A pixel of level l becomes ``(n(< l) + s // 2) // s`` levels, where n counts the channel's pixels and
    ``s = (N - n(highest level)) // 255``; with s = 0 (nearly all pixels share one level) nothing changes.
    """
    batch, channels, height, width = x_BCHW.shape
    level_RN = (x_BCHW.clamp(0, 1) * (_LEVELS - 1)).round().long().reshape(batch * channels, -1)
    count_RL = torch.zeros(len(level_RN), _LEVELS, device=x_BCHW.device, dtype=torch.long)
    count_RL.scatter_add_(1, level_RN, torch.ones_like(level_RN))
    last_R1 = count_RL.gather(1, level_RN.amax(1, keepdim=True))
    step_R1 = (height * width - last_R1) // (_LEVELS - 1)
    below_RL = count_RL.cumsum(1) - count_RL
    table_RL = ((below_RL + step_R1 // 2) // step_R1.clamp_min(1)).clamp_max(_LEVELS - 1)
    mapped = table_RL.gather(1, level_RN).to(x_BCHW.dtype) / (_LEVELS - 1)
    mapped = torch.where(step_R1 > 0, mapped, x_BCHW.reshape(batch * channels, -1))
    return mapped.reshape(x_BCHW.shape)


def posterize(x_BCHW: Tensor, strength_B: Tensor) -> Tensor:
    """Keep ``4 + floor(4 strength)`` of 8 bits (8 bits where strength is 1)."""
    bits = 4 + (4 * strength_B).floor()
    size = (2.0 ** (8 - bits)).to(x_BCHW)[:, None, None, None]
    level = (x_BCHW.clamp(0, 1) * (_LEVELS - 1)).round()
    return (level / size).floor() * size / (_LEVELS - 1)


OPERATIONS: dict[str, Operation] = {
    "autocontrast": autocontrast,
    "brightness": brightness,
    "contrast": contrast,
    "sharpness": sharpness,
    "equalize": equalize,
    "posterize": posterize,
}
