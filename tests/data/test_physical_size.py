"""Physical sizes against the closed form of the Einstein-de Sitter universe, and on real redshifts."""

import numpy as np
import pytest
from astropy.constants import c
from astropy.cosmology import FlatLambdaCDM

from equirgz.data.sets.mirabest import load_mirabest
from equirgz.data.sky.physical_size import physical_size_kpc
from equirgz.errors import InputError


def test_closed_form_of_einstein_de_sitter():
    z = np.array([0.01, 0.1, 0.5, 1.25, 3.0])
    distance_kpc = 1e3 * 2 * c.to_value("km/s") / 70.0 * (1 - 1 / np.sqrt(1 + z)) / (1 + z)
    got = physical_size_kpc(60.0, z, FlatLambdaCDM(H0=70, Om0=1.0, Tcmb0=0))
    np.testing.assert_allclose(got, np.pi / 180 / 60 * distance_kpc, rtol=1e-10)


def test_near_by_it_is_hubbles_law():
    np.testing.assert_allclose(physical_size_kpc(1.0, 1e-4), np.deg2rad(1 / 3600) * 2.998e8 * 1e-4 / 67.66, rtol=1e-3)


def test_what_is_unknown_is_nan_and_the_shape_is_kept():
    size = physical_size_kpc([[10.0, 10.0, np.nan], [-1.0, 10.0, 0.0]], [0.5, -1.0, 0.5])
    assert size.shape == (2, 3) and size[1, 2] == 0
    assert np.isnan(size).tolist() == [[False, True, True], [True, True, False]]
    assert physical_size_kpc([], []).shape == (0,) and np.isnan(physical_size_kpc(5.0, 0.0))


def test_shapes_that_disagree_are_an_error():
    with pytest.raises(InputError, match=r"one shape.*\(2,\) and \(3,\)"):
        physical_size_kpc([1.0, 2.0], [0.1, 0.2, 0.3])


def test_sizes_of_mirabest_are_those_of_radio_galaxies(data_root):
    """Miraghaei & Best (2017) keep extended sources with redshifts of 0.03 to about 0.7: tens of kpc to some Mpc."""
    train, _ = load_mirabest(data_root)
    size = physical_size_kpc(train.table["las_arcsec"], train.table["redshift"])
    assert np.isfinite(size).mean() > 0.95
    assert 100 < np.nanmedian(size) < 400 and np.nanmax(size) < 5000
