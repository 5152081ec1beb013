"""Visibilities from files that the tests write, and what is refused of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from astropy.io import fits

from equirgz.errors import DataError, InputError
from equirgz.imaging.antennas import Coverage, make_coverage
from equirgz.imaging.gridded import GriddedMeasurement
from equirgz.imaging.non_uniform import NonUniformMeasurement
from equirgz.imaging.visibilities import Visibilities, read_visibilities

FREQUENCY_HZ = 0.7e9


def simulate(n: int = 9) -> tuple[Visibilities, torch.Tensor]:
    """Return noiseless visibilities of a random image at the places of a short track, and the image."""
    coverage = make_coverage("vla_like", 30.0, frequency_ghz=0.7, noise_jy=0.5, n_times=3)
    x_HW = torch.rand(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = NonUniformMeasurement(coverage, n, 3.6, dtype=torch.float64)
    return Visibilities(coverage, model.forward(x_HW[None])[0].numpy()), x_HW


def write_uvfits(
    path, visibilities: Visibilities, weight_M=None, axes=("COMPLEX", "STOKES", "FREQ", "RA", "DEC"), stokes=(-1, -1)
):
    """Two hands of different weight, half a jansky up and down, whose weighted mean is the visibility."""
    of = visibilities.coverage
    weight_M = of.weight_M if weight_M is None else weight_M
    data = np.zeros((len(of), 1, 1, 1, 2, 3))
    for hand, (share, shift) in enumerate(((0.25, 1.5), (0.75, -0.5))):
        y_M = visibilities.y_M + shift
        data[:, 0, 0, 0, hand] = np.stack([y_M.real, y_M.imag, share * weight_M], 1)
    seconds = [of.u_M / FREQUENCY_HZ, of.v_M / FREQUENCY_HZ, np.zeros(len(of))]
    group = fits.GroupData(data, bitpix=-64, parnames=["UU---SIN", "VV---SIN", "WW---SIN"], pardata=seconds)
    hdu = fits.GroupsHDU(group)
    for k, name in enumerate(axes, 2):
        hdu.header[f"CTYPE{k}"], hdu.header[f"CRVAL{k}"], hdu.header[f"CRPIX{k}"] = name, 1.0, 1.0
        hdu.header[f"CDELT{k}"] = 1.0
    hdu.header["CRVAL3"], hdu.header["CDELT3"] = stokes
    hdu.header[f"CRVAL{2 + axes.index('FREQ')}" if "FREQ" in axes else "CRVAL9"] = FREQUENCY_HZ
    hdu.writeto(path)
    return path


def test_a_uvfits_file_gives_back_what_was_written(tmp_path):
    made, _ = simulate()
    read = read_visibilities(write_uvfits(tmp_path / "a.uvfits", made))
    for name in ("u_M", "v_M", "weight_M"):
        np.testing.assert_allclose(getattr(read.coverage, name), getattr(made.coverage, name), rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(read.y_M, made.y_M, atol=1e-9)
    turned = read_visibilities(tmp_path / "a.uvfits", conjugate=True)
    np.testing.assert_allclose(turned.y_M, made.y_M.conj(), atol=1e-9)


def test_stokes_are_told_by_their_codes(tmp_path):
    """Linear hands are averaged as round ones are, of I and Q only I is taken, and of one hand nothing is made."""
    made, _ = simulate()
    linear = read_visibilities(write_uvfits(tmp_path / "xx_yy.uvfits", made, stokes=(-5, -1)))
    np.testing.assert_allclose(linear.y_M, made.y_M, atol=1e-9)
    total = read_visibilities(write_uvfits(tmp_path / "i_q.UVFITS", made, stokes=(1, 1)))
    np.testing.assert_allclose(total.y_M, made.y_M + 1.5, atol=1e-9)
    np.testing.assert_allclose(total.coverage.weight_M, 0.25 * made.coverage.weight_M, rtol=1e-6)
    for stokes, codes in (((-2, -1), "-2, -3"), ((2, 1), "2, 3")):
        path = write_uvfits(tmp_path / f"{stokes[0]}.uvfits", made, stokes=stokes)
        with pytest.raises(DataError, match=rf"expected Stokes I .* got codes \[{codes}\]; export I"):
            read_visibilities(path)


def test_an_npz_gives_the_same_and_conjugates_count_once(tmp_path):
    made, _ = simulate()
    of = made.coverage
    twice = {"u": np.r_[of.u_M, -of.u_M], "v": np.r_[of.v_M, -of.v_M], "weight": np.r_[of.weight_M, of.weight_M],
             "visibility": np.r_[made.y_M, made.y_M.conj()]}  # fmt: skip
    np.savez(tmp_path / "a.npz", **twice)
    read = read_visibilities(tmp_path / "a.npz")
    assert len(read) == len(made)
    np.testing.assert_array_equal(read.y_M, made.y_M)
    twice["visibility"][-1] *= -1
    np.savez(tmp_path / "b.npz", **twice)
    with pytest.raises(InputError, match="expected Hermitian visibilities, got"):
        read_visibilities(tmp_path / "b.npz")


def test_gridded_visibilities_are_those_of_the_grid_where_they_lie_on_it():
    """Whatever half of the plane they are given in, also at the centre, and in parts of different weight."""
    rng, n, scale = np.random.default_rng(0), 9, 3.6
    cell = 1 / (n * scale * np.pi / 180 / 3600)
    k_M2 = np.array([[1, 2], [-3, 1], [0, 0], [0, -4], [1, 2], [4, 4]])
    coverage = Coverage(cell * k_M2[:, 0], cell * k_M2[:, 1], rng.uniform(1, 2, len(k_M2)))
    x_HW = torch.rand(n, n, dtype=torch.float64)
    exact = NonUniformMeasurement(coverage, n, scale, dtype=torch.float64).forward(x_HW[None])[0].numpy()
    model, y_M = Visibilities(coverage, exact).grid(n, scale)
    assert len(y_M) == 5 and isinstance(model, GriddedMeasurement)
    torch.testing.assert_close(y_M, model.forward(x_HW[None].float())[0], rtol=1e-4, atol=1e-4)
    assert float(model.chi2(x_HW[None].float(), y_M)[0]) < 1e-6


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_flags_are_refused_or_dropped(tmp_path, weight):
    made, _ = simulate()
    of = made.coverage
    weight_M = of.weight_M.copy()
    weight_M[3] = weight
    np.savez(tmp_path / "a.npz", u=of.u_M, v=of.v_M, visibility=made.y_M, weight=weight_M)
    write_uvfits(tmp_path / "a.uvfits", made, weight_M)
    for name in ("a.npz", "a.uvfits"):
        with pytest.raises(
            InputError, match=f"{name}: weights: expected positive numbers, got 1 of {len(made)} of zero"
        ):
            read_visibilities(tmp_path / name)
        assert len(read_visibilities(tmp_path / name, drop_flagged=True)) == len(made) - 1


def test_what_is_no_set_of_visibilities_is_refused_by_name(tmp_path):
    made, _ = simulate()
    with pytest.raises(DataError, match="expected a file of visibilities, got none"):
        read_visibilities(tmp_path / "none.uvfits")
    (tmp_path / "text.uvfits").write_text("no FITS")
    with pytest.raises(DataError, match="expected .npz or UVFITS, got neither"):
        read_visibilities(tmp_path / "text.uvfits")
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
    with pytest.raises(DataError, match="exportuvfits"):
        read_visibilities(tmp_path / "image.fits")
    with pytest.raises(DataError, match="axes COMPLEX of 3, STOKES and FREQ"):
        read_visibilities(write_uvfits(tmp_path / "c.uvfits", made, axes=("COMPLEX", "STOKES", "WAVE", "RA", "DEC")))
    np.savez(tmp_path / "a.npz", u=[1.0], v=[1.0])
    with pytest.raises(DataError, match="got no visibility, weight"):
        read_visibilities(tmp_path / "a.npz")
    np.savez(tmp_path / "e.npz", u=[], v=[], visibility=[], weight=[])
    with pytest.raises(InputError, match="expected at least one visibility, got none"):
        read_visibilities(tmp_path / "e.npz")
    with pytest.raises(InputError, match="Nyquist"):
        made.grid(9, 36.0)
    with pytest.raises(InputError, match="expected finite numbers, got 1 NaN"):
        Visibilities(Coverage([1.0], [1.0], [1.0]), [np.nan])
    with pytest.raises(InputError, match="one per"):
        Visibilities(Coverage([1.0], [1.0], [1.0]), [1.0, 2.0])
