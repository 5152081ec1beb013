"""What lies in one's own files, one by one: kind, size, numbers, scale, unit, gaps and faults. Legend: H W pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from equirgz.data.check.faults import find_blank, find_faults
from equirgz.data.formats.files import FolderOptions, is_fits
from equirgz.data.formats.fits import read_unit
from equirgz.data.formats.pictures import decode_image
from equirgz.data.imageset import ImageSet
from equirgz.errors import DataError, InputError

SATURATED = 9  # touching pixels at the largest value, from which on an image counts as saturated


@dataclass(frozen=True)
class FileFacts:
    """What was found in one image; ``error`` is why it cannot be used, ``faults`` what it is used in spite of."""

    name: str
    kind: str = ""
    size: str = ""
    numbers: str = ""
    pixel_scale_arcsec: float = float("nan")
    unit: str = ""
    n_nan: int = 0
    placed: bool = False
    faults: list[str] = field(default_factory=list)
    error: str = ""


def survey_files(
    files: Sequence[Path],
    folder: Path,
    options: FolderOptions,
    *,
    n_jobs: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> list[FileFacts]:
    """Return the facts of every file, in order; ``progress`` is called with (files done, all files)."""
    found = []
    with ThreadPoolExecutor(n_jobs) as pool:
        for done, facts in enumerate(pool.map(lambda file: _survey_file(file, folder, options), files), 1):
            found.append(facts)
            if progress is not None:
                progress(done, len(files))
    return found


def _survey_file(file: Path, folder: Path, options: FolderOptions) -> FileFacts:
    name = str(file.relative_to(folder))
    try:
        if is_fits(file):
            return _survey_fits(file, name, options)
        pixels = decode_image(file.read_bytes(), name, colour=options.colour, plane=options.plane)
        return _facts(name, file.suffix.lower().lstrip("."), pixels)
    except OSError as error:
        return FileFacts(name, error=error.strerror or str(error))
    except (DataError, InputError) as error:
        return FileFacts(name, kind="FITS" if is_fits(file) else file.suffix.lower().lstrip("."), error=str(error))


def _survey_fits(file: Path, name: str, options: FolderOptions) -> FileFacts:
    image = options.fits.load(file)
    written = read_unit(image.header if options.unit is None else options.unit)[0]
    unit = written if written == image.unit else f"{written} -> {image.unit}"
    placed = bool(np.isfinite(image.centre_deg).all())
    facts = {"pixel_scale_arcsec": image.pixel_scale_arcsec, "unit": unit, "n_nan": image.n_nan, "placed": placed}
    blank = find_blank(image.image_HW)
    return _facts(name, "FITS", image.image_HW, faults=[] if blank else find_faults(image), **facts)


def _facts(name: str, kind: str, pixels: np.ndarray, *, faults: Sequence[str] = (), **facts: object) -> FileFacts:
    shape = " x ".join(map(str, pixels.shape[-2:])) + (" in colour" if pixels.ndim == 3 else "")
    return FileFacts(
        name, kind, shape, str(pixels.dtype), faults=[*faults, *_saturation(pixels)], error=find_blank(pixels), **facts
    )


def _saturation(pixels: np.ndarray) -> list[str]:
    finite = pixels[np.isfinite(pixels)]
    if not finite.size or finite.max() == finite.min():
        return []
    flat_HW = (pixels == finite.max()).reshape(-1, *pixels.shape[-2:]).all(0)
    label_HW, n = ndimage.label(flat_HW)
    largest = int(np.bincount(label_HW.ravel())[1:].max()) if n else 0
    return [f"saturated: {largest} touching pixels at the largest value, {finite.max():g}"] * (largest >= SATURATED)


def survey_images(images: ImageSet, kind: str) -> list[FileFacts]:
    """Return the facts of the images of a file that holds many."""
    placed = np.zeros(len(images), bool)
    if images.position_deg_N2 is not None:
        placed = np.isfinite(images.position_deg_N2).all(1)
    scale = images.pixel_scale_arcsec
    return [
        _facts(str(images.source_id_N[k]), kind, image, pixel_scale_arcsec=scale, placed=bool(placed[k]))
        for k, image in enumerate(images.image_NHW)
    ]


def summarise(facts: Iterable[FileFacts]) -> list[str]:
    """Return lines with the counts of every kind, size, type of number, scale and unit, and of gaps and places."""
    facts = list(facts)
    read = [fact for fact in facts if fact.size]
    lines = []
    for what, values in (
        ("kinds", [fact.kind for fact in facts if fact.kind]),
        ("sizes", [fact.size for fact in read]),
        ("numbers", [fact.numbers for fact in read]),
        ("pixel scales", [_scale(fact.pixel_scale_arcsec) for fact in read]),
        ("units", [fact.unit or "none" for fact in read if fact.kind == "FITS"]),
    ):
        if values:
            lines.append(f"{what}: " + ", ".join(f"{value} ({n})" for value, n in Counter(values).most_common(8)))
    gaps = [fact for fact in read if fact.n_nan and not fact.error]
    if gaps:
        lines.append(f"NaN: {sum(fact.n_nan for fact in gaps)} pixels in {len(gaps)} images")
    lines.append(f"positions: {sum(fact.placed for fact in read)} of {len(read)}")
    return lines


def _scale(scale_arcsec: float) -> str:
    return f"{scale_arcsec:.4g} arcsec" if np.isfinite(scale_arcsec) else "unknown"
