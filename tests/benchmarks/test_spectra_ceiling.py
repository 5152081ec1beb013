"""The ceiling of retrieval among simulated spectra: fits find what the simulator put in."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.spectra_ceiling import Fit, compare_fits, fit_spectrum, seen_by
from equirgz.data.spectra.object_types import Object, shine
from equirgz.data.spectra.synthetic_spectra import FINE_W, GRIDS


def test_a_fit_finds_the_redshift_and_lines_of_a_galaxy_without_noise():
    grid = GRIDS["sdss_like"]
    flux_L = 3 * seen_by(grid, shine(Object(2, 0.31, 0.4, 0.6, 0.5), FINE_W))
    fit = fit_spectrum(flux_L, (20 / flux_L) ** 2, grid, 2, np.array([0.501, 0.45, 0.55, 0.55]))
    assert fit.number_4 == pytest.approx([0.5, 0.4, 0.6, 0.5], abs=0.02) and fit.chi2 < 1


def test_the_nearer_fit_is_more_alike_and_no_other_type_is():
    middle, wide = np.full(4, 0.5), 0.01 * np.eye(4)
    first = [Fit(0.0, 1, middle, wide)]
    second = [Fit(0.0, 1, middle + 0.3, wide), Fit(0.0, 1, middle + 0.01, wide), Fit(0.0, 0, middle, wide)]
    score = compare_fits(first, second)[0]
    assert score[1] > score[0] > score[2] == -np.inf
    assert score[1] == pytest.approx(-(4 * 0.01**2 / 0.02 + 4 * np.log(0.02)) / 2)
