"""The published recipes that turn a raw map in Jy/beam into an image, each declared and hashed.

    crop  ->  clip the noise  ->  mask  ->  scale

Legend: N sources, H W pixels of the raw map. The noise level s is the sigma-clipped standard
deviation (3 sigma, 5 passes), or a fixed rms in Jy/beam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from equirgz.data.formats.units import JY_PER_BEAM
from equirgz.data.noise_level import clipped_std
from equirgz.errors import DataError, InputError, check_choice
from equirgz.records import content_hash


@dataclass(frozen=True)
class Recipe:
    """How raw maps become images.

    Parameters
    ----------
    size : side of the cut from the centre, pixels: ``[H/2 - size/2, H/2 + size/2)``; None: all.
    n_sigma : pixels <= n_sigma * s become 0; None: no threshold.
    rms_jy_per_beam : fixed s; None: measured on each map.
    noise_from : measure s on the whole ``map`` or on the ``cut`` alone.
    subtract : take n_sigma * s off, so that the faintest pixel kept is near 0.
    mask_radius_px : pixels with ``hypot(x - size/2, y - size/2)`` beyond it become 0; None: no mask.
    scale : ``minmax`` maps the range inside the mask to 0..1; ``peak`` divides by the largest pixel
        (above n_sigma * s where ``subtract``); ``none`` keeps Jy/beam.
    quantize : times 255, truncated to uint8, as the published PNG files were; False: float32 in [0, 1].
    """

    size: int | None = 150
    n_sigma: float | None = 3.0
    rms_jy_per_beam: float | None = None
    noise_from: Literal["map", "cut"] = "map"
    subtract: bool = False
    mask_radius_px: float | None = 75.0
    scale: Literal["minmax", "peak", "none"] = "minmax"
    quantize: bool = True

    def __post_init__(self) -> None:
        check_choice("recipe scale", self.scale, ("minmax", "peak", "none"))
        check_choice("recipe noise_from", self.noise_from, ("map", "cut"))
        if self.size is not None and self.size < 1:
            raise InputError("recipe size", expected="at least 1 pixel", got=self.size)
        if self.quantize and self.scale == "none":
            raise InputError("recipe: expected a scale of minmax or peak with quantize, got none; set quantize false")
        if self.subtract and self.n_sigma is None:
            raise InputError("recipe: expected n_sigma where subtract is set, got none; set n_sigma")

    @property
    def needs_jy_per_beam(self) -> bool:
        """Whether the numbers of a map must be Jy/beam: those of other recipes may have any scale."""
        return self.rms_jy_per_beam is not None and self.n_sigma is not None

    def check_unit(self, unit: str, source: str) -> None:
        """Raise DataError where the recipe has a fixed noise in Jy/beam and a map is in another unit, or in none."""
        if self.needs_jy_per_beam and unit != JY_PER_BEAM:
            got = repr(unit) if unit else "a header without BUNIT"
            mend = "say the unit with unit, e.g. mJy/beam (kelvin, Jy/pixel and Jy/sr need the beam in the header)"
            raise DataError(source, expected="Jy/beam for a recipe with a fixed rms", got=got, mend=mend)

    @property
    def hash(self) -> str:
        """Identity of the recipe: equal settings and equal version give equal hashes."""
        in_shares = not self.quantize and self.scale != "none"  # version 1 gave 0..255
        return content_hash({"version": 2 if in_shares else 1, **asdict(self)})

    def __call__(self, raw_NHW: np.ndarray, *, std_N: np.ndarray | None = None) -> np.ndarray:
        """Return images (N, size, size), uint8 or float32, of square maps in Jy/beam.

        NaN pixels count as 0 once the noise is measured (they never enter it). A map with nothing
        above the threshold becomes all zero. ``std_N`` replaces the measured noise. Raises DataError
        for maps that are not square or smaller than ``size``.
        """
        raw_NHW = np.asarray(raw_NHW)
        height = raw_NHW.shape[-1]
        size = height if self.size is None else self.size
        if raw_NHW.ndim != 3 or raw_NHW.shape[1] != height or size > height:
            raise DataError("recipe", expected=f"square maps of at least {size} px", got=raw_NHW.shape)
        first = height // 2 - size // 2
        window = (slice(first, first + size),) * 2
        axis = np.arange(size) - size // 2
        radius = np.inf if self.mask_radius_px is None else self.mask_radius_px
        inside_HW = np.hypot(axis[None, :], axis[:, None]) <= radius
        out = np.zeros((len(raw_NHW), size, size), np.uint8 if self.quantize else np.float32)
        for i, raw_HW in enumerate(raw_NHW):
            threshold = -np.inf
            if self.n_sigma is not None:
                std = self._noise(raw_HW, raw_HW[window]) if std_N is None else float(std_N[i])
                threshold = self.n_sigma * std
            cut_HW = np.nan_to_num(raw_HW[window], nan=0.0, posinf=0.0, neginf=0.0)
            out[i] = self._scale(cut_HW, threshold, inside_HW)
        return out

    def _noise(self, raw_HW: np.ndarray, cut_HW: np.ndarray) -> float:
        if self.rms_jy_per_beam is not None:
            return self.rms_jy_per_beam
        return clipped_std(raw_HW if self.noise_from == "map" else cut_HW)

    def _scale(self, cut_HW: np.ndarray, threshold: float, inside_HW: np.ndarray) -> np.ndarray:
        keep_HW = (cut_HW > threshold) & inside_HW
        cut_HW = np.where(keep_HW, cut_HW - threshold if self.subtract else cut_HW, 0)
        if self.scale == "none" or not keep_HW.any():
            return cut_HW
        low, high = cut_HW[inside_HW].min(), cut_HW[inside_HW].max()
        if self.scale == "peak":
            low = 0
        if not high > low:
            return np.zeros_like(cut_HW)
        white = 255.0 if self.quantize else 1.0
        return np.where(inside_HW, (cut_HW - low) / (high - low) * white, 0.0)


#: recipes as published; "raw" keeps physical units
RECIPES: dict[str, Recipe] = {
    # MiraBest, second version (arXiv 2305.11108): 1253 of 1256 images bit for bit
    "mirabest_f": Recipe(),
    # Radio Galaxy Zoo DR1 cutouts of the byol repository (arXiv 2305.16127): noise of the 150 px cut, no disk
    "rgz_dr1": Recipe(noise_from="cut", mask_radius_px=None),
    # MIGHTEE cutouts for classifiers trained on FIRST (arXiv 2305.16127): 114 px of 1.1 arcsec = 70 px of 1.8;
    # the threshold is taken off, without which the brightest pixels overflow eight bits
    "mightee": Recipe(size=114, mask_radius_px=None, subtract=True, scale="peak", noise_from="cut"),
    # MIGHTEE-FR: 70 px, disk of 35 px, fixed rms of 4 microjansky, threshold taken off
    "mightee_fr": Recipe(
        size=70, rms_jy_per_beam=4e-6, mask_radius_px=35.0, subtract=True, scale="peak", quantize=False
    ),
    # similarity search on FIRST: fixed threshold of 0.8 mJy, taken off
    "first_0p8mjy": Recipe(
        rms_jy_per_beam=0.8e-3, n_sigma=1.0, mask_radius_px=None, subtract=True, scale="peak", quantize=False
    ),
    # physical units: no threshold, no mask, no scale
    "raw": Recipe(size=None, n_sigma=None, mask_radius_px=None, scale="none", quantize=False),
}


def get_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``; raise InputError with the nearest valid name."""
    return RECIPES[check_choice("recipe", name, RECIPES)]


def cut_recipe(
    name: str, *, size: int | None = None, crop_arcsec: float | None = None, pixel_scale_arcsec: float = float("nan")
) -> Recipe:
    """Return a named recipe with ``size`` in place of its own, or, where it is the smaller, ``crop_arcsec``.

    Its disk shrinks or grows along. ``pixel_scale_arcsec`` is the side of a pixel on the sky; where it is NaN the cut
    on the sky has no say.
    """
    recipe = get_recipe(name)
    if crop_arcsec is not None and np.isfinite(pixel_scale_arcsec):
        crop = max(1, round(crop_arcsec / pixel_scale_arcsec))
        size = crop if size is None else min(size, crop)
    if size is None or size == recipe.size:
        return recipe
    return replace(recipe, size=size, mask_radius_px=None if recipe.mask_radius_px is None else size / 2)


def first_recipe(raw_NHW: np.ndarray, *, size: int = 150, std_N: np.ndarray | None = None) -> np.ndarray:
    """Return MiraBest-style images (N, size, size) uint8 of raw FIRST maps: recipe ``mirabest_f``."""
    recipe = RECIPES["mirabest_f"] if size == 150 else Recipe(size=size, mask_radius_px=size // 2)
    return recipe(raw_NHW, std_N=std_N)


def iterate_blocks(n: int, block: int = 64) -> Iterator[slice]:
    """Yield slices that cover ``range(n)`` in blocks, so that raw maps need not lie in memory at once."""
    for start in range(0, n, block):
        yield slice(start, min(n, start + block))
