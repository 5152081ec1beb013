"""What a user may hand over: a folder, files, a mosaic with a catalogue, a container, arrays, an ImageSet.

Legend: N sources, H W pixels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.answers.sightings import Sighting, named, see_image, see_map
from equirgz.answers.source_model import Sky
from equirgz.data.catalogues.catalogue import CatalogueOptions, get_ids, get_positions, read_catalogue
from equirgz.data.catalogues.match_names import FITS_ENDINGS, PICTURE_ENDINGS
from equirgz.data.formats.files import drop_companions, is_fits
from equirgz.data.formats.fits import FitsImage, FitsOptions
from equirgz.data.formats.image_folder import list_images, name_images
from equirgz.data.formats.pictures import decode_image
from equirgz.data.imageset import ImageSet
from equirgz.data.notes import loading_watcher
from equirgz.data.own.folder_or_file import load_images
from equirgz.data.simulate.surveys import get_survey, list_surveys
from equirgz.data.sky.mosaic import cut_mosaics
from equirgz.data.sky.position import parse_position
from equirgz.errors import DataError, InputError
from equirgz.images import as_numbers
from equirgz.paths import as_path

CONTAINERS = (".npz", ".h5", ".hdf5", ".parquet")
LARGEST_PX = 1000  # side of a FITS image that may be a cutout of one source
ASK = "say it with --pixel-scale ARCSEC and --beam ARCSEC (pixel_scale_arcsec, beam_arcsec)"


@dataclass(frozen=True)
class Given:
    """What the user says of images beside the images.

    ``pixel_scale_arcsec`` and ``beam_arcsec`` come before headers; ``catalogue`` has positions of sources in mosaics.
    """

    pixel_scale_arcsec: float | None = None
    beam_arcsec: float | None = None
    catalogue: Path | str | None = None
    options: FitsOptions = field(default_factory=FitsOptions)
    reading: dict[str, Any] = field(default_factory=dict)  # of CatalogueOptions

    def __post_init__(self) -> None:
        for name in ("pixel_scale_arcsec", "beam_arcsec"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise InputError(name, expected="a positive number of arcsec", got=value)

    def sampling(self, image: FitsImage | None, source: str) -> tuple[float, float]:
        """Return pixel scale and beam (geometric mean), arcsec: as given, else of the header, else of its survey.

        The header's keyword SURVEY counts where it names one of :func:`equirgz.data.simulate.surveys.list_surveys`.
        """
        scale, beam = self.pixel_scale_arcsec, self.beam_arcsec
        if image is not None:
            scale = image.pixel_scale_arcsec if scale is None else scale
            if beam is None and image.beam_arcsec is not None:
                beam = float(np.sqrt(image.beam_arcsec[0] * image.beam_arcsec[1]))
            if beam is None:
                beam = _survey_beam(image)
        for what, value in (("pixel scale", scale), ("beam", beam)):
            if value is None or not np.isfinite(value):
                where = "a header without one" if image is not None else "no header that says it"
                raise DataError(source, expected=f"a known {what}", got=where, mend=ASK)
        return float(scale), float(beam)


def _survey_beam(image: FitsImage) -> float | None:
    named_survey = str(image.header.get("SURVEY", "")).strip().lower()
    known = {name.lower(): name for name in list_surveys()}
    return get_survey(known[named_survey]).beam_arcsec if named_survey in known else None


@dataclass(frozen=True)
class Seen:
    """The sightings of a model, and what could not be used, name and reason."""

    sightings: list[Sighting]
    left_out: dict[str, str]


def see(images: Any, sky: Sky, given: Given) -> Seen:
    """Return how a model of ``sky`` sees ``images``.

    images : path of a folder, of a FITS file or picture, of an .npz, .h5 or .parquet file, or several of these files;
        an ImageSet; arrays (N, H, W) with their noise, or clipped and scaled. FITS files with a catalogue are mosaics.

    Raises DataError where none can be used; else what cannot is listed in ``left_out``.
    """
    if isinstance(images, (str, os.PathLike)):
        path = as_path(images)
        if path.suffix.lower() in CONTAINERS and path.is_file() or path.is_dir() and any(path.glob("*.parquet")):
            seen = _see_set(load_images(path), sky, given)
        else:
            seen = _see_paths(path, sky, given)
    elif isinstance(images, ImageSet):
        seen = _see_set(images, sky, given)
    elif isinstance(images, Sequence) and len(images) and all(isinstance(i, (str, os.PathLike)) for i in images):
        seen = _see_files([as_path(image) for image in images], None, sky, given)
    else:
        seen = _see_arrays(images, sky, given)
    if not seen.sightings:
        first = next(iter(seen.left_out.items()), ("no images", "an empty list"))
        raise DataError(
            f"expected an image that can be used, got none of {len(seen.left_out)}; e.g. {first[0]}: {first[1]}"
        )
    return seen


def _see_paths(path: Path, sky: Sky, given: Given) -> Seen:
    if not path.exists():
        raise DataError(f"{path}: expected a folder of images, a FITS file or an .npz, .h5 or .parquet, got none there")
    if path.is_file():
        return _see_files([path], path.parent, sky, given)
    files, companions = drop_companions(list_images(path))
    seen = _see_files(files, path, sky, given)
    listed = {str(file.relative_to(path)): reason for file, reason in companions.items()}
    return Seen(seen.sightings, {**seen.left_out, **listed})


def _see_files(files: list[Path], folder: Path | None, sky: Sky, given: Given) -> Seen:
    names = [str(file.relative_to(folder)) if folder else str(file) for file in files]
    if given.catalogue is not None:
        return _see_mosaics(files, sky, given)
    ids = name_images([Path(name) for name in names])
    found = {names[i]: lambda i=i: _see_file(files[i], str(ids[i]), names[i], sky, given) for i in range(len(files))}
    return _collect(found, {})


def _see_file(file: Path, source_id: str, name: str, sky: Sky, given: Given) -> Sighting:
    if not file.name.lower().endswith(FITS_ENDINGS + PICTURE_ENDINGS):
        raise DataError(f"{file}: expected a FITS file or a picture, got a name that ends otherwise")
    if not is_fits(file):
        scale, beam = given.sampling(None, str(file))
        pixels_HW = _read_picture(file)
        sighting = see_image(pixels_HW, sky, scale_arcsec=scale, beam_arcsec=beam, source=str(file))
        return named(sighting, source_id, name, parse_position(source_id))
    image = given.options.load(file)
    if max(image.image_HW.shape) > LARGEST_PX:
        got = " x ".join(map(str, image.image_HW.shape))
        mend = "give --catalogue with the positions of its sources"
        raise DataError(str(file), expected=f"a cutout of up to {LARGEST_PX} px", got=f"{got} px", mend=mend)
    scale, beam = given.sampling(image, str(file))
    sighting = see_map(image.image_HW, sky, scale_arcsec=scale, beam_arcsec=beam, source=str(file))
    place = image.centre_deg if np.isfinite(image.centre_deg[0]) else parse_position(source_id)
    return named(sighting, source_id, name, place)


def _read_picture(file: Path) -> np.ndarray:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from error
    return decode_image(content, file.name, colour=False).astype(np.float32)


def _see_mosaics(files: list[Path], sky: Sky, given: Given) -> Seen:
    columns = CatalogueOptions(**given.reading)
    rows = read_catalogue(given.catalogue, columns)
    position_N2 = get_positions(rows, ra=columns.ra_column, dec=columns.dec_column, source=str(given.catalogue))
    ids = get_ids(rows, column=columns.id_column, prefix="source")
    for file in files:
        if not is_fits(file):
            raise DataError(f"{file}: expected FITS mosaics with a catalogue, got a picture")
    first = given.options.load(files[0])
    scale, beam = given.sampling(first, str(files[0]))
    side = round(2 * sky.field_px * sky.pixel_scale_arcsec / scale)  # noise is measured around the field
    cuts = cut_mosaics(files, position_N2, size=side, pixel_scale_arcsec=scale, options=given.options)
    found: dict[str, Callable[[], Sighting]] = {}
    for k, row in enumerate(cuts.index_N):
        found[ids[row]] = lambda k=k, row=row: named(
            see_map(cuts.image_NSS[k], sky, scale_arcsec=scale, beam_arcsec=beam, source=ids[row]),
            ids[row], "", tuple(map(float, position_N2[row])),
        )  # fmt: skip
    return _collect(found, {ids[row]: reason for row, reason in cuts.missing.items()})


def _see_set(images: ImageSet, sky: Sky, given: Given) -> Seen:
    if given.pixel_scale_arcsec is None and np.isfinite(images.pixel_scale_arcsec):
        given = Given(images.pixel_scale_arcsec, given.beam_arcsec, options=given.options)
    scale, beam = given.sampling(None, images.name)
    places = images.position_deg_N2
    found = {}
    for i, name in enumerate(images.source_id_N):
        place = parse_position(name) if places is None else tuple(map(float, places[i]))
        found[str(name)] = lambda i=i, name=name, place=place: named(
            see_image(_grey(images.image_NHW[i]), sky, scale_arcsec=scale, beam_arcsec=beam, source=str(name)),
            str(name), "", place,
        )  # fmt: skip
    return _collect(found, {})


def _see_arrays(images: Any, sky: Sky, given: Given) -> Seen:
    values = as_numbers(images)
    if values.ndim not in (3, 4) or (values.ndim == 4 and values.shape[1] not in (1, 3)):
        mend = "one image is images[None]" if values.ndim == 2 else "put the images along the first axis"
        raise InputError("images", expected="(N, H, W) or (N, 1, H, W)", got=values.shape, mend=mend)
    scale, beam = given.sampling(None, "images")
    digits = len(str(len(values)))
    found = {
        f"image_{i:0{digits}d}": lambda i=i: named(
            see_image(_grey(values[i]), sky, scale_arcsec=scale, beam_arcsec=beam, source=f"image {i}"),
            f"image_{i:0{digits}d}", "", (np.nan, np.nan),
        )
        for i in range(len(values))
    }  # fmt: skip
    return _collect(found, {})


def _grey(image: np.ndarray) -> np.ndarray:
    return np.asarray(image if image.ndim == 2 else image.mean(0), np.float32)


def _collect(found: dict[str, Callable[[], Sighting]], left_out: dict[str, str]) -> Seen:
    seen, progress = Seen([], dict(left_out)), loading_watcher()
    for done, (name, look) in enumerate(found.items(), 1):
        try:
            seen.sightings.append(look())
        except (DataError, InputError) as error:
            seen.left_out[name] = str(error)
        if progress is not None:
            progress(done, len(found))
    return seen


def first_sampling(images: Any, given: Given) -> tuple[float, float] | None:
    """Return pixel scale and beam of the first file that says them, or as given; None where nothing does."""
    for source in _some_files(images):
        try:
            return given.sampling(given.options.load(source), str(source))
        except (DataError, InputError):
            continue
    try:
        return given.sampling(None, "images")
    except DataError:
        return None


def _some_files(images: Any, most: int = 20) -> Iterator[Path]:
    if isinstance(images, (str, os.PathLike)):
        path = as_path(images)
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if is_fits(file))
            yield from found[:most]
        elif is_fits(path) and path.is_file():
            yield path
    elif isinstance(images, Sequence):
        yield from (as_path(i) for i in images[:most] if isinstance(i, (str, os.PathLike)) and is_fits(as_path(i)))
