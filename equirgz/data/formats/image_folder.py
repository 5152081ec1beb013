"""Any folder of FITS or PNG images with a catalogue, any container, or a mosaic with a catalogue.

Files are read in parallel, with progress; a file that cannot be used never stops the others: it is
listed, with the reason, in a file. Results are cached by the content of what was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.cache import cached_arrays
from equirgz.data.catalogues.catalogue import CatalogueOptions
from equirgz.data.catalogues.join import join_catalogue
from equirgz.data.catalogues.match_names import FITS_ENDINGS, PICTURE_ENDINGS, drop_ending
from equirgz.data.formats.files import FolderOptions, drop_companions, find_scale, is_fits, read_files
from equirgz.data.formats.folders import label_by_folder, part_by_folder, walk_files
from equirgz.data.imageset import ImageSet
from equirgz.data.notes import list_bad, loading_watcher, note
from equirgz.data.sky.mosaic import check_alike
from equirgz.errors import DataError, InputError
from equirgz.paths import as_path
from equirgz.registry import call_checked


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
        (of the FITS centre, else of the file's name: :func:`parse_position`). Without one, or
        where it has no labels, the name of the folder that holds a file is its class, where there are several; folders
        called train, valid or test are no classes but the column ``part`` of the table.
    n_jobs : threads that read.
    progress : called with (files done, all files) as reading goes on; default: what
        :func:`equirgz.data.notes.watch_loading` was given.
    bad_list : file to which unusable files and their reasons are written; default: one in the cache,
        named in one line by the logger ``equirgz``.
    reading : how the catalogue is read: the fields of :class:`CatalogueOptions`, such as
        ``label_column`` and ``match="position"``.

    Pixels of FITS files pass through the recipe; NaN count as 0 after the noise is measured. Raises
    DataError when no file can be used; otherwise bad files are only listed. Raises InputError for maps of
    several pixel scales without ``options.pixel_scale_arcsec``, or in several units that cannot be converted to one.

    What shows nothing is left out as a bad file is: pixels of one value, or none above the recipe's threshold; so are
    the rms, weight, ... maps that lie beside an image (``src_rms.fits`` beside ``src.fits``).
    """
    folder = as_path(folder)
    columns = call_checked("load_folder", CatalogueOptions, **reading)
    alone = sorted(set(columns.told()) - {"missing", "split_column"})
    if alone and catalogue is None:
        raise InputError("load_folder", expected=f"a catalogue with {alone[0]}", got="none")
    options = options or FolderOptions()
    files, companions = drop_companions(list_images(folder))
    scale = find_scale(files, options)
    recipe = options.make_recipe(scale)
    contents = _hash_files(files, n_jobs)
    key = {
        "format": "folder",
        "version": 6,
        "recipe": recipe.hash,
        "options": asdict(options),
        "files": contents,
    }
    arrays = cached_arrays(key, lambda: read_files(files, options, recipe, n_jobs, progress or loading_watcher()))
    for line in arrays["said"]:
        note(f"{folder}: {line}")
    good_N, reasons = arrays["good"], arrays["reason"]
    bad = {str(files[i].relative_to(folder)): str(reasons[i]) for i in np.flatnonzero(~good_N)}
    bad |= {str(file.relative_to(folder)): reason for file, reason in companions.items()}
    if bad:
        list_bad(bad, folder, bad_list)
    if not good_N.any():
        first = next(iter(bad.items()))
        raise DataError(f"{folder}: expected a usable image, got none of {len(files)}; e.g. {first[0]}: {first[1]}")
    used = [files[i] for i in np.flatnonzero(good_N)]
    paths = [file.relative_to(folder) for file in used]
    table = pd.DataFrame({"file": [str(path) for path in paths], "n_nan": arrays["n_nan"][good_N]})
    units = arrays["unit"][good_N]
    if (units != "").any():
        table["unit"] = units
    label_N, class_names = label_by_folder(paths, folder, columns.missing)
    if (parts := part_by_folder(paths)) is not None:
        table["part"] = parts
    position = arrays["position"][good_N]
    scales = arrays["pixel_scale"][good_N]
    check_alike([str(path) for path in paths], scales.tolist(), units.tolist(), bare=recipe.scale != "none")
    cut = options.crop_arcsec if np.isfinite(scale) and any(map(is_fits, used)) else None
    images = ImageSet(
        name or folder.name,
        arrays["image"],
        label_N,
        name_images(paths),
        class_names,
        float(np.nanmedian(scales)) if np.isfinite(scales).any() else float("nan"),
        position if np.isfinite(position).any() else None,
        table,
        cut_arcsec=cut,
    )
    if catalogue is None:
        return images
    return join_catalogue(images, paths, as_path(catalogue), columns)


def _hash_files(files: list[Path], n_jobs: int) -> list[str]:
    def digest(file: Path) -> str:
        try:
            return file.name + ":" + hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
        except OSError as error:
            return f"{file.name}:unreadable {error.errno}"

    with ThreadPoolExecutor(n_jobs) as pool:
        return list(pool.map(digest, files))


def name_images(paths: list[Path]) -> np.ndarray:
    """Return the shortest names that differ: without folders and ending, without ending, or whole."""
    for names in ([drop_ending(path.name) for path in paths], [drop_ending(str(path)) for path in paths]):
        if len(set(names)) == len(names):
            return np.array(names)
    return np.array([str(path) for path in paths])
