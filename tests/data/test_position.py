import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from equirgz.data.position import match_positions, parse_position


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
        ("J123456+012345", (np.nan, np.nan)),
    ],
)
def test_positions_are_read_from_names(name, expected):
    np.testing.assert_equal(parse_position(name), expected)
