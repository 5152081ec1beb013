"""Measurement models against sums over pixels, and tracks against what geometry says of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz.errors import InputError, MissingPackageError
from equirgz.imaging.antennas import ARRAYS, Array, Coverage, make_coverage
from equirgz.imaging.gridded import ARCSEC, GriddedMeasurement
from equirgz.imaging.non_uniform import NonUniformMeasurement

SCALE = 1.8


def random_coverage(n: int = 20, seed: int = 0) -> Coverage:
    rng = np.random.default_rng(seed)
    reach = 0.49 / (SCALE * ARCSEC)
    return Coverage(*rng.uniform(-reach, reach, (2, n)), rng.uniform(0.5, 2.0, n))


def cell_coverage(n: int) -> Coverage:
    """Return visibilities on cells of the grid, one of them at the centre."""
    cell = 1 / (n * SCALE * ARCSEC)
    ku, kv = np.array([0, 1, -2, 3, 0]), np.array([0, 2, 1, 0, 3])
    return Coverage(ku * cell, kv * cell, np.array([1.0, 2.0, 0.5, 1.0, 3.0]))


def sum_over_pixels(image_HW: np.ndarray, u: float, v: float) -> complex:
    n = len(image_HW)
    m, ell = (np.indices((n, n)) - n // 2) * SCALE * ARCSEC
    return (image_HW * np.exp(-2j * np.pi * (u * ell + v * m))).sum()


def models(n: int):
    dtype = torch.float64
    gridded = GriddedMeasurement.from_coverage(cell_coverage(n), n, SCALE)
    exact = GriddedMeasurement(to_grid(gridded), SCALE, dtype=dtype)
    return [exact, NonUniformMeasurement(random_coverage(), n, SCALE, dtype=dtype)]


def to_grid(model: GriddedMeasurement) -> np.ndarray:
    n = model.n_pixels
    weight_HW = np.zeros((n, n))
    for (row, column), weight in zip(model.cell_M2.tolist(), model.weight_M.tolist(), strict=True):
        weight_HW[row, column] = weight_HW[-row, -column] = weight
    return weight_HW


@pytest.mark.parametrize("n", [9, 12])
def test_visibilities_are_sums_over_pixels(n):
    image = torch.randn(2, n, n, dtype=torch.float64)
    coverage = random_coverage()
    found = NonUniformMeasurement(coverage, n, SCALE, dtype=torch.float64).forward(image)
    for m in range(len(coverage)):
        expected = sum_over_pixels(image[1].numpy(), coverage.u_M[m], coverage.v_M[m])
        assert complex(found[1, m]) == pytest.approx(expected, abs=1e-9)
    gridded = models(n)[0]
    cell = 1 / (n * SCALE * ARCSEC)
    k = np.fft.fftfreq(n) * n
    for m, (row, column) in enumerate(gridded.cell_M2.tolist()):
        expected = sum_over_pixels(image[0].numpy(), k[column] * cell, k[row] * cell)
        assert complex(gridded.forward(image)[0, m]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [9, 12])
@pytest.mark.parametrize("kind", [0, 1])
def test_adjoint_information_and_beam_follow_from_the_forward_model(n, kind):
    model = models(n)[kind]
    x, z = torch.randn(2, 1, n, n, dtype=torch.float64)
    v = torch.randn(1, len(model.weight_M), 2, dtype=torch.float64)
    v = torch.view_as_complex(v) * model.measured_parts()
    inner = float((v.conj() * model.forward(x)).real.sum())
    assert float((model.adjoint(v) * x).sum()) == pytest.approx(inner, rel=1e-9)
    information = model.apply_function(lambda value: value, x)
    assert torch.allclose(information, model.adjoint(model.weight_M * model.forward(x)), atol=1e-8)
    back = model.apply_function(lambda value: 1 / (2 + value), model.apply_function(lambda value: 2 + value, z))
    assert torch.allclose(back, z, atol=1e-8)
    point = torch.zeros(1, n, n, dtype=torch.float64)
    point[0, 2, 5] = 3.0
    image = model.dirty_image(model.forward(point))[0]
    beam = model.beam()
    assert torch.allclose(image, 3 * beam[n - 3 : 2 * n - 3, n - 6 : 2 * n - 6], atol=1e-9)
    assert float(beam[n - 1, n - 1]) == pytest.approx(1)


@pytest.mark.parametrize("kind", [0, 1])
def test_noise_has_the_variance_of_the_weights_and_chi2_counts_what_is_measured(kind):
    model = models(9)[kind]
    x = torch.randn(1, 9, 9, dtype=torch.float64)
    y = model.observe(x.expand(4000, 9, 9), torch.Generator().manual_seed(0))
    chi2 = model.chi2(x, y)
    assert float(chi2.mean()) == pytest.approx(model.n_numbers, rel=0.02)
    assert float(chi2.var()) == pytest.approx(2 * model.n_numbers, rel=0.1)


def test_cells_gather_the_weights_of_both_signs():
    cell = 1 / (9 * SCALE * ARCSEC)
    coverage = Coverage(np.array([1.2, -0.9, 0.1]) * cell, np.array([2.0, -2.1, 0.0]) * cell, np.array([1.0, 2.0, 5.0]))
    model = GriddedMeasurement.from_coverage(coverage, 9, SCALE)
    assert model.cell_M2.tolist() == [[0, 0], [2, 1]] and model.weight_M.tolist() == [5, 3] and model.n_numbers == 3


def test_tracks_are_ellipses_and_circles_at_the_pole():
    two = Array("two", 90.0, np.array([[0.0, 0.0], [300.0, 400.0]]))
    seen = {"frequency_ghz": 1.4, "noise_jy": 0.1, "hours": 12.0, "n_times": 25}
    pole = make_coverage(two, 90.0, **seen)
    metres = 1.4e9 / 299_792_458.0
    assert np.hypot(pole.u_M, pole.v_M) == pytest.approx(500 * metres) and len(pole) == 25
    assert pole.weight_M == pytest.approx(100)
    there = Array("there", 34.0, two.east_north_A2)
    tilted = make_coverage(there, 40.0, **seen)
    x, y, z = -np.sin(np.deg2rad(34)) * 400, 300.0, np.cos(np.deg2rad(34)) * 400
    sine, cosine = np.sin(np.deg2rad(40)), np.cos(np.deg2rad(40))
    height = (tilted.v_M / metres - z * cosine) / sine
    assert (tilted.u_M / metres) ** 2 + height**2 == pytest.approx(x * x + y * y)


@pytest.mark.parametrize("name", ARRAYS)
def test_named_arrays_observe_what_passes_near_their_zenith(name):
    array = ARRAYS[name]
    found = make_coverage(name, array.latitude_deg, frequency_ghz=1.4, noise_jy=1e-3, n_times=3)
    assert len(found) == 3 * len(array) * (len(array) - 1) // 2
    assert np.unique(np.round(array.east_north_A2, 3), axis=0).shape == array.east_north_A2.shape


def grid(**cells: float) -> np.ndarray:
    weight_HW = np.zeros((8, 8))
    for name, value in cells.items():
        weight_HW[int(name[1]), int(name[2])] = value
    return weight_HW


@pytest.mark.parametrize(
    ("weight_HW", "words"),
    [
        (np.zeros((8, 8)), "at least one measured cell, got an empty grid"),
        (np.zeros((8, 9)), r"weights \(n, n\)"),
        (grid(k12=1.0), "Hermitian"),
        (grid(k12=1.0, k76=2.0), "Hermitian"),
        (grid(k12=-1.0, k76=-1.0), "at least 0, got -1"),
        (grid(k12=np.nan, k76=np.nan), "finite"),
        (grid(k40=1.0), "Nyquist frequency of an even side"),
    ],
)
def test_bad_grids_are_refused(weight_HW, words):
    with pytest.raises(InputError, match=words):
        GriddedMeasurement(weight_HW, SCALE)


def test_bad_coverages_are_refused():
    one = np.ones(2)
    for u, weight, words in (
        (np.ones(0), np.ones(0), "at least one visibility"),
        (one * np.nan, one, "u: expected finite"),
        (one, np.array([1.0, 0.0]), "positive numbers, got 1 of zero or below"),
        (one, np.array([1.0, -2.0]), "positive"),
        (np.ones(3), one, "u, v, weight"),
    ):
        with pytest.raises(InputError, match=words):
            Coverage(u, u, weight)
    far = Coverage(one * 0.6 / (SCALE * ARCSEC), one, one)
    for make in (GriddedMeasurement.from_coverage, NonUniformMeasurement):
        with pytest.raises(InputError, match=r"Nyquist.*pixels of at most 1.5 arcsec"):
            make(far, 9, SCALE)
    edge = Coverage(one * 0.499 / (SCALE * ARCSEC), one, one)
    with pytest.raises(InputError, match="odd number of pixels"):
        GriddedMeasurement.from_coverage(edge, 8, SCALE)
    with pytest.raises(InputError, match="from 2 to 70.*grid the visibilities"):
        NonUniformMeasurement(random_coverage(), 128, SCALE)
    with pytest.raises(InputError, match="source above 15 degrees"):
        make_coverage("vla_like", -80.0, frequency_ghz=1.4, noise_jy=1.0)
    with pytest.raises(InputError, match="did you mean 'vla_like'"):
        make_coverage("vla", 10.0, frequency_ghz=1.4, noise_jy=1.0)
    with pytest.raises(InputError, match="noise_jy"):
        make_coverage("vla_like", 10.0, frequency_ghz=1.4, noise_jy=0.0)


def test_pixels_of_another_size_than_the_priors_are_refused():
    model = models(9)[1]
    model.check_scale(1.8)
    with pytest.raises(InputError, match="the prior's 1.5 arcsec, got 1.8"):
        model.check_scale(1.5)
    with pytest.raises(InputError, match=r"\(9, 9\) pixels"):
        model.forward(torch.zeros(1, 8, 8))


def test_the_other_backend_is_asked_for_by_name():
    """Equal to the direct sum where ducc0 is installed; else the one line says what to install."""
    try:
        import ducc0  # noqa: F401
    except ImportError:
        with pytest.raises(MissingPackageError, match="ducc0"):
            NonUniformMeasurement(random_coverage(), 9, SCALE, backend="ducc0")
        return
    direct, fast = (NonUniformMeasurement(random_coverage(), 9, SCALE, b, torch.float64) for b in ("direct", "ducc0"))
    x = torch.randn(2, 9, 9, dtype=torch.float64)
    assert torch.allclose(direct.forward(x), fast.forward(x), atol=1e-7)
    assert torch.allclose(direct.dirty(direct.forward(x)), fast.dirty(direct.forward(x)), atol=1e-6)
    assert torch.allclose(direct.beam(), fast.beam(), atol=1e-7)
