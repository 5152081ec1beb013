import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.data.sky.position import match_positions, parse_position


def test_all_pairs_agree_with_astropy_also_at_the_pole_and_at_zero_hours():
    rng = np.random.default_rng(0)
    a = np.concatenate(
        [
            np.stack([rng.uniform(0, 360, 60), rng.uniform(89.5, 90, 60)], 1),
            np.stack([rng.uniform(-0.2, 0.2, 60) % 360, rng.uniform(-0.2, 0.2, 60)], 1),
        ]
    )
    b = a[rng.permutation(len(a))[:50]] + rng.normal(0, 0.02, (50, 2))
    b[:, 1] = np.clip(b[:, 1], -90, 90)
    i, j, separation = match_positions(a, b, 270.0)
    sky_a, sky_b = SkyCoord(a, unit="deg"), SkyCoord(b, unit="deg")
    brute = sky_a[:, None].separation(sky_b[None, :]).arcsec
    assert set(zip(i, j, strict=True)) == set(zip(*np.nonzero(brute <= 270.0), strict=True)) and len(i) > 50
    np.testing.assert_allclose(separation, brute[i, j], atol=1e-5)


def test_unknown_positions_match_nothing():
    a = np.array([[np.nan, np.nan], [10.0, 10.0]])
    i, j, separation = match_positions(a, a, 1.0)
    assert i.tolist() == [1] and j.tolist() == [1] and separation == pytest.approx(0)
    assert len(match_positions(a[:1], a, 1.0)[0]) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("100_170.500+012.300", (170.5, 12.3)),
        ("200_180.123-01.234_first", (180.123, -1.234)),
        ("400.5+12.3", (np.nan, np.nan)),
        ("4.5+92.3", (np.nan, np.nan)),
        ("100_036.061+000.563_0.1400_0093.07", (36.061, 0.563)),
        ("J123.456+12.345", (123.456, 12.345)),
        ("J123456+012345", (188.7333333, 1.3958333)),
        ("RGZJ134541.2+232253", (206.4216667, 23.3813889)),
        ("4FGL J1234.5-1234", (188.625, -12.5666667)),
        ("J1234.5+12.3", (188.625, 12.3)),
        ("J1234+123", (188.5, 12.3)),
        ("12:34:56.7 -00:02:03", (188.73625, -0.0341667)),
        ("cut_12h34m56s+12d34m56s", (188.7333333, 12.5822222)),
        ("J1234\N{MINUS SIGN}1234", (188.5, -12.5666667)),
        ("J12.3+45.6", (np.nan, np.nan)),  # hours or degrees?
        ("J1260+1234", (np.nan, np.nan)),
        ("J2434+1234", (np.nan, np.nan)),
        ("J1234+9134", (np.nan, np.nan)),
        ("20230101-123456", (np.nan, np.nan)),
        ("1234.5+12.3", (np.nan, np.nan)),
    ],
)
def test_positions_are_read_from_names(name, expected):
    np.testing.assert_allclose(parse_position(name), expected, atol=1e-7)


def test_names_of_equinox_1950_are_turned():
    expected = SkyCoord("12h34m00s +12d24m00s", frame="fk4", equinox="B1950").icrs
    np.testing.assert_allclose(parse_position("4C B1234+124"), (expected.ra.deg, expected.dec.deg), atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 359.999), st.floats(-89.9, 89.9), st.integers(0, 2))
def test_names_that_astropy_writes_are_read(ra, dec, precision):
    place = SkyCoord(ra, dec, unit="deg")
    width = {"precision": precision, "pad": True}
    hours = place.ra.to_string(unit="hour", sep="", **width)
    name = f"ILTJ{hours}{place.dec.to_string(sep='', alwayssign=True, **width)}"
    if hours.startswith("24"):
        return
    found = SkyCoord(*parse_position(name), unit="deg")
    assert found.separation(place).arcsec < 16 * 10.0**-precision
