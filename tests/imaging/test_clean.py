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


def test_a_lone_point_is_found_by_several_scales_as_by_one(model):
    truth = torch.zeros(1, N, N)
    truth[0, 15, 18] = 2.0
    dirty, beam = model.dirty_image(model.forward(truth))[0].numpy(), model.beam().numpy()
    points, scales = (clean(dirty, beam, threshold=0.02, scales_px=scales) for scales in ((0,), (0, 2, 4)))
    assert scales.n_iterations == points.n_iterations
    for name in ("component_HW", "residual_HW", "restored_HW"):
        assert getattr(scales, name) == pytest.approx(getattr(points, name), abs=1e-6)


def test_an_extended_source_leaves_less_to_several_scales(model):
    """After as many components, and what is left is what the components do not explain."""
    row, column = np.indices((N, N)) - N // 2
    truth = torch.as_tensor(np.exp(-(row**2 + column**2) / (2 * 4.0**2)), dtype=torch.float32)[None]
    dirty, beam = model.dirty_image(model.forward(truth))[0].numpy(), model.beam().numpy()
    points, scales = (clean(dirty, beam, max_iterations=25, scales_px=scales) for scales in ((0,), (0, 2, 4)))
    assert np.abs(scales.residual_HW).max() < 0.5 * np.abs(points.residual_HW).max()
    assert scales.residual_HW == pytest.approx(dirty - convolve(scales.component_HW, beam), abs=1e-5)
    for bad in ((), (-1.0, 2.0)):
        with pytest.raises(InputError, match="scales_px: expected numbers of at least 0"):
            clean(dirty, beam, scales_px=bad)
