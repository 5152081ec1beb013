"""Any folder of FITS or PNG images with a catalogue, any container, or a mosaic with a catalogue.

Files are read in parallel, with progress; a file that cannot be used never stops the others: it is
listed, with the reason, in a file. Results are cached by the content of what was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.cache import cached_arrays
from equirgz.data.catalogue import CatalogueOptions
from equirgz.data.containers import decode_image
from equirgz.data.fits import FitsImage, load_fits
from equirgz.data.formats.folders import label_by_folder, walk_files
from equirgz.data.imageset import ImageSet
from equirgz.data.join import join_catalogue
from equirgz.data.match_names import FITS_ENDINGS, PICTURE_ENDINGS, drop_ending
from equirgz.data.mosaic import check_alike, resample_image
from equirgz.data.notes import list_bad, loading_watcher
from equirgz.data.preprocess import fit_size
from equirgz.data.recipes import Recipe, get_recipe
from equirgz.errors import DataError, InputError, explain
from equirgz.registry import call_checked


@dataclass(frozen=True)
class FolderOptions:
    """How the files of a folder become images of one shape.

    Parameters
    ----------
    recipe : named recipe for FITS maps in Jy/beam (see :data:`equirgz.data.recipes.RECIPES`).
    size : side of the cut from the centre, pixels, after any resampling; smaller images are padded
        with zeros; None: what the recipe gives, or the most common size of the pictures.
    pixel_scale_arcsec : FITS maps are resampled to it, and pictures, which do not say theirs, have it; None:
        all stay as they are, and FITS maps of several scales are refused.
    colour : three channels, one channel, or (None) as most files are.
    """

    recipe: str = "mirabest_f"
    size: int | None = None
    pixel_scale_arcsec: float | None = None
    colour: bool | None = None

    def make_recipe(self) -> Recipe:
        """Return the recipe with ``size`` in place of its own; its disk shrinks or grows along."""
        recipe = get_recipe(self.recipe)
        if self.size is None or self.size == recipe.size:
            return recipe
        radius = None if recipe.mask_radius_px is None else self.size / 2
        return Recipe(**{**asdict(recipe), "size": self.size, "mask_radius_px": radius})


def list_images(folder: Path) -> list[Path]:
    """Return the image files under a folder, at any depth, in the order of their names (see :func:`walk_files`)."""
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of images, got none there; check the path")
    endings = FITS_ENDINGS + PICTURE_ENDINGS
    files = sorted(p for p in walk_files(folder) if p.name.lower().endswith(endings))
    if not files:
        raise DataError(f"{folder}: expected files ending in {', '.join(endings)}, got none")
    return files


def load_folder(
    folder: Path | str,
    *,
    catalogue: Path | str | None = None,
    options: FolderOptions | None = None,
    name: str | None = None,
    n_jobs: int = 4,
    progress: Callable[[int, int], None] | None = None,
    bad_list: Path | str | None = None,
    **reading: Any,
) -> ImageSet:
    """Read every image of a folder, and what a catalogue says about each.

    Parameters
    ----------
    catalogue : text, FITS table, VOTable or Parquet; rows are matched to files by ``name`` (the file's
        path or name with or without its ending, in an id column: :func:`match_names`) or by ``position``
        (of the FITS centre, else of the file's name: :func:`~equirgz.data.position.parse_position`). Without one, or
        where it has no labels, the name of the folder that holds a file is its class, where there are several.
    n_jobs : threads that read.
    progress : called with (files done, all files) as reading goes on; default: what
        :func:`equirgz.data.notes.watch_loading` was given.
    bad_list : file to which unusable files and their reasons are written; default: one in the cache,
        named in one line by the logger ``equirgz``.
    reading : how the catalogue is read: the fields of :class:`~equirgz.data.catalogue.CatalogueOptions`, such as
        ``label_column`` and ``match="position"``.

    Pixels of FITS files pass through the recipe; NaN count as 0 after the noise is measured. Raises
    DataError when no file can be used; otherwise bad files are only listed. Raises InputError for maps of
    several pixel scales without ``options.pixel_scale_arcsec``, or in several units.
    """
    folder = Path(folder).expanduser()
    columns = call_checked("load_folder", CatalogueOptions, **reading)
    if reading and catalogue is None:
        raise InputError(explain("load_folder", expected=f"a catalogue with {next(iter(reading))}", got="none"))
    options = options or FolderOptions()
    recipe = options.make_recipe()
    files = list_images(folder)
    contents = _hash_files(files, n_jobs)
    key = {
        "format": "folder",
        "version": 5,
        "recipe": recipe.hash,
        "options": asdict(options),
        "files": contents,
    }
    arrays = cached_arrays(key, lambda: _read_all(files, options, recipe, n_jobs, progress or loading_watcher()))
    good_N, reasons = arrays["good"], arrays["reason"]
    bad = {str(files[i].relative_to(folder)): str(reasons[i]) for i in np.flatnonzero(~good_N)}
    if bad:
        list_bad(bad, folder, bad_list)
    if not good_N.any():
        first = next(iter(bad.items()))
        raise DataError(
            f"{folder}: expected a usable image, got none of {len(files)}; e.g. {first[0]}: {first[1]}"
        )
    used = [files[i] for i in np.flatnonzero(good_N)]
    paths = [file.relative_to(folder) for file in used]
    table = pd.DataFrame({"file": [str(path) for path in paths], "n_nan": arrays["n_nan"][good_N]})
    label_N, class_names = label_by_folder(paths, folder)
    position = arrays["position"][good_N]
    scales = arrays["pixel_scale"][good_N]
    check_alike([str(path) for path in paths], scales.tolist(), arrays["unit"][good_N].tolist())
    images = ImageSet(
        name or folder.name,
        arrays["image"],
        label_N,
        _ids(paths),
        class_names,
        float(np.nanmedian(scales)) if np.isfinite(scales).any() else float("nan"),
        position if np.isfinite(position).any() else None,
        table,
    )
    if catalogue is None:
        return images
    return join_catalogue(images, paths, Path(catalogue).expanduser(), columns)


def _hash_files(files: list[Path], n_jobs: int) -> list[str]:
    def digest(file: Path) -> str:
        try:
            return file.name + ":" + hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
        except OSError as error:
            return f"{file.name}:unreadable {error.errno}"

    with ThreadPoolExecutor(n_jobs) as pool:
        return list(pool.map(digest, files))


def _read_one(
    file: Path, options: FolderOptions, recipe: Recipe
) -> tuple[np.ndarray, int, float, tuple[float, float], str]:
    """Return the image, its number of NaN, its pixel scale, centre and unit; DataError where unusable."""
    if not file.name.lower().endswith(FITS_ENDINGS):
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DataError(f"{file}: {error.strerror or error}") from error
        pixels = decode_image(content, file.name, colour=options.colour)
        scale = np.nan if options.pixel_scale_arcsec is None else options.pixel_scale_arcsec
        pixels = pixels if options.size is None else fit_size(pixels, options.size)
        return pixels, 0, scale, (np.nan, np.nan), ""
    fits_image = load_fits(file)
    raw_HW, scale = _square(fits_image, options, recipe)
    return recipe(raw_HW[None])[0], fits_image.n_nan, scale, fits_image.centre_deg, fits_image.unit


def _square(image: FitsImage, options: FolderOptions, recipe: Recipe) -> tuple[np.ndarray, float]:
    raw_HW, scale = image.image_HW, image.pixel_scale_arcsec
    if options.pixel_scale_arcsec is not None:
        if not np.isfinite(scale):
            raise DataError(f"{image.path}: expected a pixel scale in the header to resample, got none")
        raw_HW = resample_image(raw_HW, options.pixel_scale_arcsec / scale)
        scale = options.pixel_scale_arcsec
    return fit_size(raw_HW, max(*raw_HW.shape, recipe.size or 0), fill=np.nan), scale


def _read_all(
    files: list[Path],
    options: FolderOptions,
    recipe: Recipe,
    n_jobs: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, np.ndarray]:
    results: list[tuple | None] = []
    reasons = []

    def attempt(file: Path) -> tuple | DataError:
        try:
            return _read_one(file, options, recipe)
        except DataError as error:
            return error

    with ThreadPoolExecutor(n_jobs) as pool:
        for done, result in enumerate(pool.map(attempt, files), 1):
            results.append(None if isinstance(result, DataError) else result)
            reasons.append(str(result) if isinstance(result, DataError) else "")
            if progress is not None:
                progress(done, len(files))
    shapes = [result[0].shape for result in results if result is not None]
    usual = max(set(shapes), key=shapes.count) if shapes else (0, 0)
    for i, result in enumerate(results):
        if result is not None and result[0].shape != usual:
            reasons[i] = f"{files[i]}: expected {usual} pixels as most files, got {result[0].shape}; set size"
            results[i] = None
    kept = [result for result in results if result is not None]
    blank = (None, 0, np.nan, (np.nan, np.nan), "")
    return {
        "image": np.stack([result[0] for result in kept]) if kept else np.zeros((0, 1, 1), np.uint8),
        "good": np.array([result is not None for result in results]),
        "reason": np.array(reasons, dtype=str),
        "n_nan": np.array([(result or blank)[1] for result in results]),
        "pixel_scale": np.array([(result or blank)[2] for result in results]),
        "position": np.array([(result or blank)[3] for result in results]).reshape(-1, 2),
        "unit": np.array([(result or blank)[4] for result in results], dtype=str),
    }


def _ids(paths: list[Path]) -> np.ndarray:
    """Return the shortest names that differ: without folders and ending, without ending, or whole."""
    for names in ([drop_ending(path.name) for path in paths], [drop_ending(str(path)) for path in paths]):
        if len(set(names)) == len(names):
            return np.array(names)
    return np.array([str(path) for path in paths])
