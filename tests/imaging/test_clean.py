"""CLEAN finds points, and its residual is what its components do not explain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz.errors import InputError
from equirgz.imaging.antennas import make_coverage
from equirgz.imaging.clean import clean, convolve, fit_beam
from equirgz.imaging.gridded import GriddedMeasurement

N = 33


@pytest.fixture(scope="module")
def model() -> GriddedMeasurement:
    coverage = make_coverage("vla_like", 40.0, frequency_ghz=1.4, noise_jy=0.1, n_times=30)
    return GriddedMeasurement.from_coverage(coverage, N, 1.8)


def test_points_come_back_with_their_flux(model):
    truth = torch.zeros(1, N, N)
    truth[0, 10, 12], truth[0, 20, 22] = 2.0, 1.0
    dirty, beam = model.dirty_image(model.forward(truth))[0].numpy(), model.beam().numpy()
    found = clean(dirty, beam, threshold=0.02)
    assert found.component_HW[9:12, 11:14].sum() == pytest.approx(2.0, rel=0.05)
    assert found.component_HW[19:22, 21:24].sum() == pytest.approx(1.0, rel=0.05)
    assert np.abs(found.residual_HW).max() <= 0.02 and found.n_iterations < 2000
    explained = dirty - convolve(found.component_HW, beam)
    assert found.residual_HW == pytest.approx(explained, abs=1e-5)
    assert found.restored_HW[10, 12] == pytest.approx(2.0, rel=0.1), "Jy per clean beam: a point's flux at its peak"


def test_the_clean_beam_is_the_gaussian_of_the_core():
    row, column = np.indices((2 * N - 1, 2 * N - 1)) - (N - 1)
    gaussian = np.exp(-(row**2 / 8 + row * column / 20 + column**2 / 18))
    assert fit_beam(gaussian) == pytest.approx(gaussian, abs=1e-9)


def test_nothing_is_done_below_the_threshold_and_bad_input_is_refused(model):
    beam = model.beam().numpy()
    quiet = clean(np.full((N, N), 0.01), beam, threshold=0.02)
    assert quiet.n_iterations == 0 and not quiet.component_HW.any()
    for dirty, b, options, words in (
        (np.zeros((N, N + 1)), beam, {}, "dirty image"),
        (np.full((N, N), np.nan), beam, {}, "finite"),
        (np.zeros((N, N)), 2 * beam, {}, "1 at its centre"),
        (np.zeros((N, N)), beam, {"gain": 0.0}, "gain"),
        (np.zeros((N, N)), beam, {"threshold": -1.0}, "threshold"),
        (np.zeros((N, N)), (np.indices(beam.shape).sum(0) == 2 * (N - 1)).astype(float), {}, "several pixels"),
    ):
        with pytest.raises(InputError, match=words):
            clean(dirty, b, **options)
