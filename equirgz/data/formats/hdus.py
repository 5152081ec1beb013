"""Which image of a FITS file is meant: one rule for the HDU, used wherever FITS is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from equirgz.data.formats.units import is_brightness, parse_unit
from equirgz.errors import DataError, InputError

if TYPE_CHECKING:
    from astropy.io import fits

#: words of EXTNAME, BTYPE, EXTTYPE or HDUCLASn (or of a file's name) that mark a map which is no image of the sky
COMPANIONS = frozenset({
    "weight", "weights", "wht", "wgt", "wt", "ivar", "invvar", "var", "variance", "err", "error", "errors", "unc",
    "uncert", "uncertainty", "stddev", "std", "sigma", "rms", "noise", "mask", "masks", "flag", "flags", "dq",
    "quality", "bad", "badpix", "bkg", "bkgd", "background", "exp", "expmap", "exposure", "exptime", "cov",
    "coverage", "nobs", "hits", "count", "counts", "ctx", "con", "context", "psf", "model", "residual",
    "residuals", "resid", "pb", "pbresponse", "sensitivity", "snr", "chi", "seg", "segm", "segmentation", "segmap",
    "thumbnail", "thumb", "preview", "islands", "alpha", "spix",
})  # fmt: skip
SCIENCE = ("sci", "science", "image", "img", "data", "primary", "map", "intensity")
_ROLE_KEYS = ("EXTNAME", "BTYPE", "EXTTYPE", "HDUCLAS1", "HDUCLAS2", "HDUCLAS3")


def find_image(hdus: fits.HDUList, path: Path, wanted: int | str | None) -> int:
    """Return the index of the HDU that holds the image: the one that is ``wanted``, else the one image there is.

    Images have two axes or more with pixels. Of several, maps that name themselves a weight, mask, error, rms, model
    or the like (:data:`COMPANIONS`) never count; of those left, ones named as science, in a unit of brightness, and
    not under half the size of the largest go first. ``wanted`` is an index or an EXTNAME (case is ignored).

    Raises DataError, with a list, where none or several are left, or the one wanted is not there.
    """
    images = [i for i, hdu in enumerate(hdus) if _has_pixels(hdu)]
    if not images:
        kinds = ", ".join(type(hdu).__name__ for hdu in hdus)
        raise DataError(f"{path}: expected an image of two axes in any HDU, got {kinds} without one")
    if wanted is not None:
        return _find_wanted(hdus, path, images, wanted)
    left = [i for i in images if not _is_companion(hdus[i])]
    for better in (_is_science, _has_brightness, _size_test(hdus, left)):
        left = [i for i in left if better(hdus[i])] or left
    if len(left) == 1:
        return left[0]
    expected = "one image of the sky" if left else "an image of the sky, not only a weight, mask or error map"
    listed = _list_images(hdus, left or images)
    raise DataError(str(path), expected=expected, got=listed, mend="say which with hdu, an index or a name")


def _has_pixels(hdu: fits.hdu.base._BaseHDU) -> bool:
    from astropy.io import fits

    if not isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) or isinstance(hdu, fits.GroupsHDU):
        return False
    return len(hdu.shape) >= 2 and min(hdu.shape) > 0


def _find_wanted(hdus: fits.HDUList, path: Path, images: list[int], wanted: int | str) -> int:
    if isinstance(wanted, str) and re.fullmatch(r"\d+", wanted.strip()):
        wanted = int(wanted)
    if isinstance(wanted, bool) or not isinstance(wanted, int | str):
        raise InputError("hdu", expected="an index or a name of an HDU", got=wanted)
    if isinstance(wanted, int):
        found = [i for i in images if i == wanted]
    else:
        found = [i for i in images if hdus[i].name.strip().lower() == wanted.strip().lower()]
    if len(found) != 1:
        expected = f"an image of two axes in HDU {wanted}" if not found else f"one HDU {wanted}"
        raise DataError(str(path), expected=expected, got=_list_images(hdus, images))
    return found[0]


def _list_images(hdus: fits.HDUList, indices: list[int]) -> str:
    names = []
    for i in indices:
        size = " x ".join(map(str, hdus[i].shape))
        unit = str(hdus[i].header.get("BUNIT", "")).strip()
        names.append(f"{i} {hdus[i].name or 'unnamed'} ({', '.join(filter(None, (size, unit)))})")
    return "; ".join(names)


def _words(hdu: fits.hdu.base._BaseHDU) -> set[str]:
    text = " ".join(str(hdu.header.get(key, "")) for key in _ROLE_KEYS)
    return set(split_words(text))


def split_words(text: str) -> list[str]:
    """Return the words of a name in lower case: ``SCI_ERR2`` gives sci and err."""
    return [word for word in re.split(r"[^a-z]+", text.lower()) if word]


def _is_companion(hdu: fits.hdu.base._BaseHDU) -> bool:
    return bool(_words(hdu) & COMPANIONS)


def _is_science(hdu: fits.hdu.base._BaseHDU) -> bool:
    # astropy calls the first HDU PRIMARY where its header has no name
    return bool(set(split_words(str(hdu.header.get("EXTNAME", "")))) & set(SCIENCE))


def _has_brightness(hdu: fits.hdu.base._BaseHDU) -> bool:
    return is_brightness(parse_unit(str(hdu.header.get("BUNIT", ""))))


def _size_test(hdus: fits.HDUList, indices: list[int]):
    largest = max((min(hdus[i].shape[-2:]) for i in indices), default=0)
    return lambda hdu: 2 * min(hdu.shape[-2:]) >= largest
