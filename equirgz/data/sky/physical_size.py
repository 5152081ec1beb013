"""From the angle that a source spans on the sky to its size in kiloparsec."""

from __future__ import annotations

from typing import Any

import numpy as np

from equirgz.errors import InputError


def physical_size_kpc(angular_size_arcsec: Any, redshift: Any, cosmology: Any = None) -> np.ndarray:
    """Return the projected sizes in kpc of sources that span ``angular_size_arcsec`` at ``redshift``.

    Law: size = theta D_A(z), with theta in radians and the angular-diameter distance D_A of ``cosmology``
    (any cosmology of astropy; default: the flat LCDM of Planck 2018, arXiv 1807.06209, ``astropy.cosmology.Planck18``).

    Parameters
    ----------
    angular_size_arcsec, redshift : numbers or arrays that broadcast together.

    Sizes are NaN where the redshift or the angle is not finite, the redshift is not positive (catalogues
    write 0 or -1 for "unknown") or the angle is negative. Raises InputError when the shapes do not broadcast.

    >>> float(physical_size_kpc(10.0, 1.0).round(1))
    82.3
    """
    from astropy.cosmology import Planck18

    angle, z = np.asarray(angular_size_arcsec, float), np.asarray(redshift, float)
    try:
        angle, z = np.broadcast_arrays(angle, z)
    except ValueError as error:
        expected, got = "angles and redshifts of one shape", f"{angle.shape} and {z.shape}"
        raise InputError("physical_size_kpc", expected=expected, got=got) from error
    known = np.isfinite(angle) & (angle >= 0) & np.isfinite(z) & (z > 0)
    size_kpc = np.full(angle.shape, np.nan)
    if known.any():
        distance = (Planck18 if cosmology is None else cosmology).angular_diameter_distance(z[known])
        size_kpc[known] = np.deg2rad(angle[known] / 3600.0) * distance.to_value("kpc")
    return size_kpc
