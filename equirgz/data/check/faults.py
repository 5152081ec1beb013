"""What is wrong with the pixels of one image: nothing in them, noise only, gaps, another source than the target."""

from __future__ import annotations

import numpy as np

from equirgz.data.formats.fits import FitsImage
from equirgz.data.noise_level import clipped_std
from equirgz.errors import DataError, explain


def find_blank(image: np.ndarray) -> str:
    """Return why an image shows nothing: no finite pixel, or one value in all that are finite; else an empty text."""
    finite = image[np.isfinite(image)] if image.dtype.kind == "f" else image
    if not finite.size:
        return explain("pixels", expected="finite ones", got=f"NaN in all {image.size}")
    low = finite.min()
    if low != finite.max():
        return ""
    return explain("pixels", expected="more than one value", got=f"{low:g} in all")


def refuse_blank(image: np.ndarray, source: str) -> None:
    """Raise DataError that names ``source`` for an image that shows nothing (see :func:`find_blank`)."""
    reason = find_blank(image)
    if reason:
        raise DataError(f"{source}: {reason}")


def find_faults(image: FitsImage, *, detection_sigma: float = 5.0, centre_arcsec: float = 27.0) -> list[str]:
    """Return what is wrong with a cutout of one source, one phrase per fault (none: empty list).

    The phrases of :func:`find_fault_kinds`.
    """
    found = find_fault_kinds(
        image.image_HW, image.pixel_scale_arcsec, detection_sigma=detection_sigma, centre_arcsec=centre_arcsec
    )
    return list(found.values())


def find_fault_kinds(
    image_HW: np.ndarray,
    pixel_scale_arcsec: float = float("nan"),
    *,
    detection_sigma: float = 5.0,
    centre_arcsec: float = 27.0,
) -> dict[str, str]:
    """Return what is wrong with a cutout of one source in raw units: kind and phrase.

    Looked for: ``nan`` pixels; ``zeros``, patches of exact ones; ``noise_only``, no pixel above ``detection_sigma`` in
    the central half; ``off_centre``, a brightest pixel outside the target, when nothing within ``centre_arcsec`` of
    the centre is above ``detection_sigma``.
    """
    faults = {}
    n_nan = int((~np.isfinite(image_HW)).sum())
    if n_nan:
        faults["nan"] = f"{n_nan} NaN pixels ({100 * n_nan / image_HW.size:.1f} %)"
    n_zero = int((image_HW == 0).sum())
    if n_zero > 0.001 * image_HW.size:
        faults["zeros"] = f"{n_zero} pixels exactly zero"
    std = clipped_std(image_HW)
    height, width = image_HW.shape
    middle = image_HW[height // 4 : height - height // 4, width // 4 : width - width // 4]
    if not _brightest(middle) > detection_sigma * std:
        faults["noise_only"] = "noise only"
    elif np.isfinite(pixel_scale_arcsec):
        reach = max(1, round(centre_arcsec / pixel_scale_arcsec))
        core = image_HW[
            max(0, height // 2 - reach) : height // 2 + reach, max(0, width // 2 - reach) : width // 2 + reach
        ]
        if not _brightest(core) > detection_sigma * std:
            faults["off_centre"] = "nothing at the centre: mis-centred or missing data"
    return faults


def _brightest(image: np.ndarray) -> float:
    return float(np.max(image, where=np.isfinite(image), initial=-np.inf))
