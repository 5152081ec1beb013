"""An image for an image: denoising, deconvolution, scores. Legend: N sources, K channels, H W pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.errors import DataError, InputError
from equirgz.metrics.images import mean_squared_error, peak_signal_to_noise, structural_similarity
from equirgz.tasks.base import TASKS, Headline, Kept, Named, Row, Targets, Task, make_row

NUMBERS = ("mse", "psnr", "ssim")


@dataclass(frozen=True)
class ImageToImage(Task):
    """Images, scored against the true ones by mean squared error, peak signal to noise and structural similarity.

    A target is map_NKHW, finite, in register with the images; an answer has the same shape. Kept are the three
    numbers of each source.
    """

    channels: tuple[str, ...]
    name = "image_to_image"
    dense = True
    kept = {"numbers": "s"}
    titles = {
        "image/mse": "Mean squared error",
        "image/psnr": "Peak signal to noise",
        "image/ssim": "Structural similarity",
    }

    @property
    def n_outputs(self) -> int:
        return len(self.channels)

    @property
    def headline(self) -> Headline:
        title = "Mean squared error"
        return Headline(
            "image/mse", "mse", title, "1", "lower", "test mean squared error", "squared error", "the mean over pixels"
        )

    @property
    def shown(self) -> tuple[str, ...]:
        return (self.headline.metric, "image/psnr", "image/ssim")

    def has_targets(self, images: Targets) -> bool:
        return tuple(images.map_names) == self.channels

    def no_targets(self, n: int, size: int) -> np.ndarray:
        return np.full((n, self.n_outputs, size, size), np.nan, np.float32)

    def targets(self, images: Targets) -> np.ndarray:
        if images.map_NKHW is None:
            raise DataError(f"{images.name}: task image_to_image", expected="a set with maps", got="images alone")
        if not self.has_targets(images):
            raise DataError(f"{images.name}: maps", expected=f"of {', '.join(self.channels)}", got=images.map_names)
        return images.map_NKHW

    def known(self, target_N: np.ndarray) -> np.ndarray:
        return np.isfinite(target_N).all((1, 2, 3))

    def check(self, target_N: np.ndarray) -> None:
        map_NKHW = np.asarray(target_N)
        if map_NKHW.ndim != 4 or map_NKHW.shape[1] != len(self.channels):
            raise InputError("target images", expected=f"(N, {len(self.channels)}, H, W)", got=map_NKHW.shape)
        if not np.isfinite(map_NKHW).all():
            mend = "leave these sources out; a pixel of an image cannot be missing"
            raise InputError("target images", expected="finite pixels", got="NaN or infinity", mend=mend)

    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        functions = (mean_squared_error, peak_signal_to_noise, structural_similarity)
        return {"numbers": np.stack([function(answer_N, target_N) for function in functions], 1)}

    def score(self, kept: Kept) -> list[Row]:
        numbers_N3 = kept["numbers"][np.isfinite(kept["numbers"][:, 0])]
        if not len(numbers_N3):
            return []
        wanted = {"mse": ("1", "lower"), "psnr": ("dB", "higher"), "ssim": ("1", "higher")}
        columns = zip(wanted.items(), numbers_N3.T, strict=True)
        return [make_row(f"image/{name}", column.mean(), *words, len(column)) for (name, words), column in columns]

    def loss_per_source(self, kept: Kept) -> np.ndarray:
        return kept["numbers"][:, NUMBERS.index("mse")]


@TASKS.register("image_to_image")
def image_to_image(images: Named | Targets) -> ImageToImage:
    """The set's maps from its images."""
    if not images.map_names:
        raise DataError(f"{images.name}: task image_to_image", expected="a set with maps", got="images alone")
    return ImageToImage(tuple(images.map_names))
