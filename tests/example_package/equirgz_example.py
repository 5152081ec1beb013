"""A package of a user's own, as installed beside equirgz: one backbone and one data set, named by entry points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor, nn

from equirgz.backbones.base import Backbone
from equirgz.data.imageset import Data, ImageSet
from equirgz.geometry.group import get_group


class ExampleMean(Backbone):
    """One convolution and the mean of its maps.

    Parameters
    ----------
    channels : of the convolution.
    """

    def __init__(
        self, in_channels: int = 1, image_size: int = 33, width: float | None = None, channels: int = 4
    ) -> None:
        super().__init__(get_group("C1"), in_channels, image_size)
        self.num_features = channels
        self.check_size("example_mean", 0, 3)
        self.convolution = nn.Conv2d(in_channels, channels, 3, padding=1)

    def maps(self, x_BCHW: Tensor) -> Tensor:
        return self.convolution(x_BCHW).relu()

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        return maps_BCHW.mean((2, 3))

    def blocks(self) -> list[nn.Module]:
        return [self.convolution]


def example_rings(data_dir: Path | None = None, /, n: int = 40) -> Data:
    """Rings and disks, in turn.

    Parameters
    ----------
    n : sources of the training set; the test set has half as many.
    """

    def draw(name: str, n: int) -> ImageSet:
        y, x = np.mgrid[-16:17, -16:17]
        radius_HW = np.hypot(x, y)
        images = [(radius_HW < 8) if i % 2 else (abs(radius_HW - 8) < 2) for i in range(n)]
        ids = [f"{name}_{i}" for i in range(n)]
        return ImageSet(
            name,
            np.float32(images),
            np.arange(n) % 2,
            ids,
            ("ring", "disk"),
            recipe=f"rings {name} {n}",
            of_sky=False,
        )

    return Data(draw("train", n), {"test": draw("test", n // 2)})
