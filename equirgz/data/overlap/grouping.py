"""What of one's own images a user counts as one source or field."""

from __future__ import annotations

import math
from dataclasses import dataclass

from equirgz.errors import InputError

#: within it two entries of one's own catalogue are one source, unless told otherwise: as catalogues are matched
SAME_SOURCE_ARCSEC = 10.0


@dataclass(frozen=True)
class Grouping:
    """What of one's own images belongs together besides equal and nearly equal ones (:func:`find_near`).

    Parameters
    ----------
    radius_arcsec : sources within it (arcsec) of each other count as one, followed from source to source; 0:
        positions do not count. The default takes two catalogue entries of one source for one, and keeps a deep field
        apart; cutouts that overlap on the sky need the side of a cutout.
    tile_arcsec : sources in one tile of the sky of this side (arcsec) count as one, in place of a radius that would
        follow neighbours through the whole of a deep field; sources on two sides of a border may be close. None: no
        tiles.
    """

    radius_arcsec: float = SAME_SOURCE_ARCSEC
    tile_arcsec: float | None = None

    def __post_init__(self) -> None:
        for key, low in (("radius_arcsec", "0 or more"), ("tile_arcsec", "a number above 0")):
            value = getattr(self, key)
            if value is None and key == "tile_arcsec":
                continue
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not is_number or value < 0 or (key == "tile_arcsec" and value == 0):
                raise InputError(f"group_{key}", expected=f"{low} (arcsec)", got=value)
