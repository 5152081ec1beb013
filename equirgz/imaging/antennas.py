"""Made-up arrays like known ones, and the uv tracks that the Earth's rotation draws with them.

Legend: A antennas, T times, M visibilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.errors import InputError, check_choice, require

SPEED_OF_LIGHT = 299_792_458.0
GOLDEN_ANGLE = np.pi * (3 - 5**0.5)
LOWEST_DEG = 15.0  # elevation below which nothing is observed


@dataclass(frozen=True)
class Array:
    """Antennas: ``east_north_A2``, metres from the centre on flat ground, and the latitude in degrees."""

    name: str
    latitude_deg: float
    east_north_A2: np.ndarray

    def __len__(self) -> int:
        return len(self.east_north_A2)


def _arms(n_per_arm: int, radius_m: float, power: float, azimuths_deg: tuple[float, ...]) -> np.ndarray:
    distance_n = radius_m * (np.arange(1, n_per_arm + 1) / n_per_arm) ** power
    angle = np.deg2rad(azimuths_deg)[:, None]
    return np.stack([distance_n * np.sin(angle), distance_n * np.cos(angle)], -1).reshape(-1, 2)


def _spiral(n: int, radius_m: float, power: float) -> np.ndarray:
    distance_n, angle_n = radius_m * (np.arange(1, n + 1) / n) ** power, GOLDEN_ANGLE * np.arange(n)
    return np.stack([distance_n * np.sin(angle_n), distance_n * np.cos(angle_n)], -1)


ARRAYS = {
    # three arms of nine antennas, distances as n^1.716, longest baselines 11 km as in the B configuration
    "vla_like": Array("vla_like", 34.08, _arms(9, 6400.0, 1.716, (355.0, 115.0, 236.0))),
    # 64 antennas, dense within a kilometre, out to 4 km
    "meerkat_like": Array("meerkat_like", -30.71, _spiral(64, 4000.0, 2.2)),
    # 43 antennas, the longest baselines half a kilometre
    "alma_like": Array("alma_like", -23.03, _spiral(43, 250.0, 1.2)),
}


@dataclass(frozen=True)
class Coverage:
    """M visibilities: ``u_M``, ``v_M`` in wavelengths and ``weight_M``, 1 / variance of each part in Jy^-2.

    Each baseline stands once: (-u, -v) is the complex conjugate and no other measurement. Raises InputError for
    no visibilities, numbers that are not finite, and weights that are not positive.
    """

    u_M: np.ndarray
    v_M: np.ndarray
    weight_M: np.ndarray

    def __post_init__(self) -> None:
        u_M, v_M, weight_M = (np.asarray(value, np.float64) for value in (self.u_M, self.v_M, self.weight_M))
        if u_M.ndim != 1 or not u_M.shape == v_M.shape == weight_M.shape:
            raise InputError("uv coverage", expected="u, v, weight (M,)", got=(u_M.shape, v_M.shape, weight_M.shape))
        require(len(u_M) > 0, "uv coverage", expected="at least one visibility", got="none")
        for name, value in (("u", u_M), ("v", v_M), ("weights", weight_M)):
            bad = int((~np.isfinite(value)).sum())
            require(bad == 0, f"uv coverage: {name}", expected="finite numbers", got=f"{bad} NaN or infinite")
        if weight_M.min() <= 0:
            got, mend = f"{int((weight_M <= 0).sum())} of zero or below", "leave flagged visibilities out"
            raise InputError("uv coverage: weights", expected="positive numbers", got=got, mend=mend)
        for name, value in (("u_M", u_M), ("v_M", v_M), ("weight_M", weight_M)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.u_M)


def make_coverage(
    array: str | Array,
    declination_deg: float,
    *,
    frequency_ghz: float,
    noise_jy: float,
    hours: float = 6.0,
    n_times: int = 36,
) -> Coverage:
    """Return what ``array`` measures of a source at a declination while it crosses the meridian.

    With X, Y, Z of a baseline in the equatorial frame and H the hour angle, ``u = X sin H + Y cos H`` and
    ``v = -X sin d cos H + Y sin d sin H + Z cos d`` (Thompson, Moran & Swenson, chapter 4), over the wavelength. Times
    at which the source is below 15 degrees of elevation are left out.

    Parameters
    ----------
    array : a name of ``ARRAYS`` or an :class:`Array`.
    frequency_ghz, noise_jy : of one channel, and the standard deviation of real and imaginary part each.
    hours, n_times : length of the track, centred on the meridian, and how many times of it.

    Raises InputError for an unknown array, and where the source never rises.
    """
    if isinstance(array, str):
        array = ARRAYS[check_choice("array", array, ARRAYS)]
    positive = {"frequency_ghz": frequency_ghz, "noise_jy": noise_jy, "hours": hours, "n_times": n_times}
    for name, value in positive.items():
        require(np.isfinite(value) and value > 0, name, expected="a positive number", got=value)
    require(-90 <= declination_deg <= 90, "declination_deg", expected="from -90 to 90", got=declination_deg)
    latitude, declination = np.deg2rad(array.latitude_deg), np.deg2rad(declination_deg)
    hour_T = np.deg2rad(15 * (np.linspace(-hours / 2, hours / 2, n_times) if n_times > 1 else np.zeros(1)))
    sine_T = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_T)
    hour_T = hour_T[sine_T >= np.sin(np.deg2rad(LOWEST_DEG))]
    if len(hour_T) == 0:
        got = f"none from {array.name} (latitude {array.latitude_deg:g}) at declination {declination_deg:g}"
        raise InputError("array", expected=f"times with the source above {LOWEST_DEG:g} degrees", got=got)
    first, second = np.triu_indices(len(array), 1)
    east_B, north_B = (array.east_north_A2[second] - array.east_north_A2[first]).T
    x_B, y_B, z_B = -np.sin(latitude) * north_B, east_B, np.cos(latitude) * north_B
    sin_T, cos_T = np.sin(hour_T)[:, None], np.cos(hour_T)[:, None]
    u_TB = x_B * sin_T + y_B * cos_T
    v_TB = np.sin(declination) * (y_B * sin_T - x_B * cos_T) + z_B * np.cos(declination)
    per_metre = frequency_ghz * 1e9 / SPEED_OF_LIGHT
    weight_M = np.full(u_TB.size, noise_jy**-2.0)
    return Coverage(per_metre * u_TB.ravel(), per_metre * v_TB.ravel(), weight_M)
