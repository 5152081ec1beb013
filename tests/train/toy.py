"""A tiny backbone and a task that it learns in a few steps: bright left half against bright right half.

The second task, one blob against two, can be told apart by networks that are invariant under turns and flips.
"""

from __future__ import annotations

import torch
from torch import nn

from equirgz.geometry.group import get_group


class ToyBackbone(nn.Module):
    """Conv, batch norm, ReLU, conv, mean over space: features (B, 8)."""

    def __init__(self, in_channels: int = 1, norm: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_features = 8
        self.group = get_group("C1")
        self.image_size = 9
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 4, 3, padding=1),
            nn.BatchNorm2d(4) if norm else nn.Identity(),
            nn.ReLU(),
        )
        self.stage = nn.Sequential(nn.Conv2d(4, 8, 9), nn.Dropout(dropout))

    def blocks(self) -> list[nn.Module]:
        return [self.stem, self.stage]

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.stage(self.stem(x_BCHW)).flatten(1)


OF_ROWS = {
    "masked_reconstruction",
    "spectral_transformer",
}  # take spectra: tests/objectives/test_masked_reconstruction.py


def make_backbone(seed: int = 0, **params) -> ToyBackbone:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ToyBackbone(**params)


def make_task(n: int = 24, size: int = 9, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y_N = torch.arange(n) % 2
    x_NCHW = 0.3 * torch.rand(n, 1, size, size, generator=generator)
    x_NCHW[y_N == 0, :, :, : size // 2] += 0.7
    x_NCHW[y_N == 1, :, :, size // 2 + 1 :] += 0.7
    return x_NCHW, y_N


def make_blobs(n: int = 8, size: int = 17, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y_N = torch.arange(n) % 2
    axis = torch.linspace(-1, 1, size)
    height_HW, width_HW = torch.meshgrid(axis, axis, indexing="ij")
    one_HW, left_HW, right_HW = (torch.exp(-((width_HW - at) ** 2 + height_HW**2) / 0.06) for at in (0.0, -0.5, 0.5))
    x_NHW = torch.where(y_N[:, None, None] == 0, one_HW, left_HW + right_HW)
    return (x_NHW + 0.1 * torch.rand(n, size, size, generator=generator))[:, None], y_N
