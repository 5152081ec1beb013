"""Maps of double sources, in memory and as FITS files."""

from __future__ import annotations

import numpy as np


def double_map(size=220, scale=1.8, beam=5.4, apart=40.0, noise=1.5e-4, peak=0.02, offset=(0.0, 0.0), seed=0):
    """A raw map in Jy/beam: two lobes ``apart`` arcsec from each other and a core, as a beam shows them, and noise."""
    axis = (np.arange(size) - (size - 1) / 2) * scale
    y, x = axis[:, None] - offset[0], axis[None] - offset[1]
    sigma = beam / np.sqrt(8 * np.log(2))
    spots = [(-apart / 2, 1.0), (0.0, 0.3), (apart / 2, 0.8)]
    image = sum(s * np.exp(-((x - at) ** 2 + (y - 0.3 * at) ** 2) / (2 * sigma**2)) for at, s in spots)
    return (peak * image + noise * np.random.default_rng(seed).normal(size=(size, size))).astype(np.float32)


def write_map(path, image, *, scale=1.8, beam=5.4, place=(150.0, 20.0), **cards):
    """Write a map with a header of sky coordinates and, unless ``beam`` is None, a beam; cards of None are left out."""
    from astropy.io import fits

    header: dict[str, object] = {}
    height, width = image.shape
    header |= {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRVAL1": place[0], "CRVAL2": place[1], "BUNIT": "JY/BEAM"}
    header |= {"CRPIX1": (width + 1) / 2, "CRPIX2": (height + 1) / 2}
    header |= {"CDELT1": -scale / 3600, "CDELT2": scale / 3600}
    if beam is not None:
        header |= {"BMAJ": beam / 3600, "BMIN": beam / 3600, "BPA": 0.0}
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [card for card in (header | cards).items() if card[1] is not None]
    fits.PrimaryHDU(image, header=fits.Header(kept)).writeto(path)
    return path
