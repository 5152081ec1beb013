"""The files of a folder as images of one shape and type: FITS through a recipe, pictures by what their numbers mean.

Legend: N files, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.data.catalogues.match_names import FITS_ENDINGS, drop_ending
from equirgz.data.check.faults import refuse_blank
from equirgz.data.formats.fits import FitsImage, FitsOptions
from equirgz.data.formats.hdus import COMPANIONS, split_words
from equirgz.data.formats.levels import level_images
from equirgz.data.formats.pictures import decode_image
from equirgz.data.preprocess import fit_size
from equirgz.data.recipes import Recipe, cut_recipe
from equirgz.data.sky.mosaic import resample_image
from equirgz.errors import DataError, EquirgzError, InputError, explain


@dataclass(frozen=True)
class FolderOptions:
    """How the files of a folder become images of one shape.

    Parameters
    ----------
    recipe : named recipe that makes images of FITS maps (:data:`equirgz.data.recipes.RECIPES`).
    size : side of the cut from the centre, pixels, after any resampling; smaller images are padded
        with zeros; None: what the recipe gives, or the most common size of the pictures.
    pixel_scale_arcsec : FITS maps are resampled to it, and pictures, which do not say theirs, have it; None:
        all stay as they are, and FITS maps of several scales are refused.
    colour : three channels, one channel, or (None) as most files are; a picture with three equal channels is grey.
    hdu, plane, unit : see :class:`~equirgz.data.formats.fits.FitsOptions`.
    white : the number of the brightest pixel that there can be, for pictures of more than 8 bits; None: told from
        all of them (:func:`equirgz.data.formats.levels.find_white`).
    crop_arcsec : side of the cut on the sky, arcsec, made before a recipe measures and scales: what lies outside has
        no say.
    """

    recipe: str = "mirabest_f"
    size: int | None = None
    pixel_scale_arcsec: float | None = None
    colour: bool | None = None
    hdu: int | str | None = None
    plane: Any = None
    unit: str | None = None
    white: float | None = None
    crop_arcsec: float | None = None

    @property
    def fits(self) -> FitsOptions:
        """Which image of a FITS file is meant."""
        return FitsOptions(self.hdu, self.plane, self.unit)

    def make_recipe(self, scale_arcsec: float = float("nan")) -> Recipe:
        """Return the recipe, cut as ``size`` and ``crop_arcsec`` say (:func:`~equirgz.data.recipes.cut_recipe`)."""
        return cut_recipe(self.recipe, size=self.size, crop_arcsec=self.crop_arcsec, pixel_scale_arcsec=scale_arcsec)


@dataclass(frozen=True)
class FileImage:
    """One file: its image, made by the recipe or as stored, and what its header says."""

    image: np.ndarray
    kind: str
    n_nan: int = 0
    pixel_scale_arcsec: float = float("nan")
    centre_deg: tuple[float, float] = (float("nan"), float("nan"))
    unit: str = ""


def is_fits(file: Path) -> bool:
    """Return whether a file is FITS, by the ending of its name."""
    return file.name.lower().endswith(FITS_ENDINGS)


def read_file(file: Path, options: FolderOptions, recipe: Recipe | None) -> FileImage:
    """Read one file; DataError where it cannot be used, or shows nothing.

    Without ``recipe`` FITS pixels stay in Jy/beam (or their unit), of the shape that they have.
    """
    if not is_fits(file):
        return _read_picture(file, options)
    image = options.fits.load(file)
    refuse_blank(image.image_HW, str(file))
    found = {"n_nan": image.n_nan, "centre_deg": image.centre_deg, "unit": image.unit}
    if recipe is None:
        return FileImage(image.image_HW, "FITS", pixel_scale_arcsec=image.pixel_scale_arcsec, **found)
    recipe.check_unit(image.unit, image.path)
    raw_HW, scale = _square(image, options, recipe)
    made = recipe(raw_HW[None])[0]
    if not made.any():
        raise DataError(f"{file}: {nothing_left(options.recipe)}")
    return FileImage(made, "FITS", pixel_scale_arcsec=scale, **found)


def nothing_left(recipe: str) -> str:
    """Return the reason to leave out a source of which a recipe leaves nothing but zeros."""
    got, mend = "none: every pixel would be 0", "choose another recipe or a larger cut"
    return explain(f"recipe {recipe}", expected="pixels above its threshold", got=got, mend=mend)


def _read_picture(file: Path, options: FolderOptions) -> FileImage:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from error
    pixels = decode_image(content, file.name, colour=options.colour, plane=options.plane)
    refuse_blank(pixels, file.name)
    scale = np.nan if options.pixel_scale_arcsec is None else options.pixel_scale_arcsec
    if options.size is not None:
        pixels = fit_size(pixels, options.size)
    return FileImage(pixels, file.suffix.lower().lstrip("."), pixel_scale_arcsec=scale)


def _square(image: FitsImage, options: FolderOptions, recipe: Recipe) -> tuple[np.ndarray, float]:
    raw_HW, scale = image.image_HW, image.pixel_scale_arcsec
    if options.pixel_scale_arcsec is not None:
        if not np.isfinite(scale):
            raise DataError(f"{image.path}: expected a pixel scale in the header to resample, got none")
        raw_HW = resample_image(raw_HW, options.pixel_scale_arcsec / scale)
        scale = options.pixel_scale_arcsec
    return fit_size(raw_HW, max(*raw_HW.shape, recipe.size or 0), fill=np.nan), scale


def drop_companions(files: list[Path]) -> tuple[list[Path], dict[Path, str]]:
    """Return the files without the FITS maps that only belong to another, and these with the reason.

    ``src_rms.fits`` or ``src.weight.fits`` beside ``src.fits`` is no source of its own.
    """
    fits_files = [file for file in files if is_fits(file)]
    stems = {(file.parent, drop_ending(file.name)): file for file in fits_files}
    dropped = {}
    for (parent, stem), file in stems.items():
        for end in range(len(stem) - 1, 0, -1):
            main = stems.get((parent, stem[:end]))
            words = split_words(stem[end:])
            if main is not None and stem[end] in "._-" and words and set(words) <= COMPANIONS:
                dropped[file] = f"{file}: expected an image of the sky, got a {stem[end + 1 :]} map of {main.name}"
                break
    return [file for file in files if file not in dropped], dropped


def find_scale(files: list[Path], options: FolderOptions) -> float:
    """Return the pixel scale at which ``crop_arcsec`` is counted: the one asked for, else of the first FITS file."""
    if options.pixel_scale_arcsec is not None or options.crop_arcsec is None:
        return float("nan") if options.pixel_scale_arcsec is None else options.pixel_scale_arcsec
    for file in files:
        if is_fits(file):
            try:
                scale = options.fits.load(file).pixel_scale_arcsec
            except (DataError, InputError):
                continue
            if np.isfinite(scale):
                return scale
    return float("nan")


def read_files(
    files: list[Path],
    options: FolderOptions,
    recipe: Recipe,
    n_jobs: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, np.ndarray]:
    """Return arrays: the usable images as one, and of every file whether it is ``good``, the ``reason`` and facts.

    ``said`` holds lines about what was decided for all of them.
    """
    results: list[FileImage | None] = []
    reasons: list[str] = []

    def attempt(file: Path) -> FileImage | EquirgzError:
        try:
            return read_file(file, options, recipe)
        except (DataError, InputError) as error:  # a plane or HDU that one file lacks is that file's fault
            return error

    with ThreadPoolExecutor(n_jobs) as pool:
        for done, result in enumerate(pool.map(attempt, files), 1):
            failed = isinstance(result, EquirgzError)
            results.append(None if failed else result)
            reasons.append(str(result) if failed else "")
            if progress is not None:
                progress(done, len(files))
    images, said = _level(files, results, reasons, options, recipe)
    shapes = [image.shape for image in images if image is not None]
    usual = max(set(shapes), key=shapes.count) if shapes else (0, 0)
    for i, image in enumerate(images):
        if image is not None and image.shape != usual:
            got, mend = image.shape, "set size"
            reasons[i] = explain(str(files[i]), expected=f"{usual} pixels as most files", got=got, mend=mend)
            images[i] = None
    kept = [image for image in images if image is not None]
    blank = FileImage(np.zeros((0, 0)), "")
    facts = [result or blank for result in results]
    return {
        "image": np.stack(kept) if kept else np.zeros((0, 1, 1), np.uint8),
        "good": np.array([image is not None for image in images]),
        "reason": np.array(reasons, dtype=str),
        "n_nan": np.array([fact.n_nan for fact in facts]),
        "pixel_scale": np.array([fact.pixel_scale_arcsec for fact in facts]),
        "position": np.array([fact.centre_deg for fact in facts]).reshape(-1, 2),
        "unit": np.array([fact.unit for fact in facts], dtype=str),
        "said": np.array(said, dtype=str),
    }


def _level(
    files: list[Path], results: list[FileImage | None], reasons: list[str], options: FolderOptions, recipe: Recipe
) -> tuple[list[np.ndarray | None], list[str]]:
    """Return the images in one type; maps that a recipe made are bytes, or numbers of its own that stand alone."""
    images = [None if result is None else result.image for result in results]
    pictures = [i for i, result in enumerate(results) if result is not None and result.kind != "FITS"]
    maps = [i for i, result in enumerate(results) if result is not None and result.kind == "FITS"]
    if maps and pictures and not recipe.quantize:
        for i in pictures:
            expected = f"FITS maps, as recipe {options.recipe} makes images in numbers of its own"
            reasons[i] = explain(str(files[i]), expected=expected, got="a picture", mend="keep pictures apart")
            images[i] = None
        return images, []
    if not pictures:
        return images, []
    together = sorted([*pictures, *maps])
    leveled, bad, said = level_images([images[i] for i in together], [str(files[i]) for i in together], options.white)
    for k, i in enumerate(together):
        images[i] = leveled[k]
        reasons[i] = bad.get(k, reasons[i])
    return images, said
