"""Spectra: what is refused by name, air and vacuum, FITS layouts, the simulator's physics, and how rows are loaded."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.data import load_data
from equirgz.data.imageset import ImageSet
from equirgz.data.preprocess import Preprocessing
from equirgz.data.spectra.fits_spectra import read_spectra
from equirgz.data.spectra.object_types import Object, shine
from equirgz.data.spectra.own_spectra import load_spectra
from equirgz.data.spectra.resampled_pca import ResampledPca, common_range
from equirgz.data.spectra.rows import Spectrum, to_rows, to_vacuum
from equirgz.data.spectra.synthetic_spectra import FINE_W, GRIDS, observe, synthetic_spectra
from equirgz.errors import DataError, ImageError, InputError
from equirgz.images import as_images

WAVE_L = np.linspace(4000.0, 8000.0, 40)
SMALL = {"n_train": 12, "n_test": 4, "n_unlabelled": 6}


def make(name: str = "s", **changes) -> Spectrum:
    parts = {"wavelength_L": WAVE_L, "flux_L": np.ones(40), "ivar_L": np.ones(40)} | changes
    return Spectrum(name, **parts)


def swapped(values_L: np.ndarray, at: int, value: float) -> np.ndarray:
    values_L = values_L.copy()
    values_L[at] = value
    return values_L


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wavelength_L": WAVE_L[::-1]}, "got unsorted ones: 8000 .* at pixel 0; sort the pixels"),
        ({"wavelength_L": swapped(WAVE_L, 3, WAVE_L[2])}, "got repeated ones: .* at pixel 2"),
        ({"wavelength_L": swapped(WAVE_L, 0, np.nan)}, "wavelengths above 0, got NaN"),
        ({"ivar_L": np.zeros(40)}, "a pixel of inverse variance above 0, got 0 everywhere; leave that spectrum out"),
        ({"ivar_L": swapped(np.ones(40), 5, -1.0)}, "inverse variances of 0 or more, got -1"),
        ({"ivar_L": swapped(np.ones(40), 5, np.nan)}, "inverse variances that are numbers, got NaN.* at pixel 5"),
        ({"flux_L": swapped(np.ones(40), 7, np.nan)}, "finite flux, got NaN.* at pixel 7"),
        ({"flux_L": np.ones(39)}, "three rows of one length"),
    ],
)
def test_spectra_that_cannot_be_used_are_refused_by_name(changes, message):
    with pytest.raises(DataError, match=f"spectrum mine: expected .*{message}|spectrum mine: .*{message}"):
        make("mine", **changes)


def test_lost_pixels_may_hold_anything_and_are_kept_as_zero():
    spectrum = make(flux_L=swapped(np.ones(40), 4, np.nan), ivar_L=swapped(np.ones(40), 4, 0.0))
    assert spectrum.flux_L[4] == 0 and spectrum.flux_L.sum() == 39


def test_air_becomes_vacuum_and_what_is_not_said_is_asked_for():
    """Published pairs of air and vacuum wavelengths (H alpha, [O III], Na D1; NIST), angstrom."""
    air, vacuum = np.array([6562.79, 5006.843, 5895.924]), np.array([6564.60, 5008.240, 5897.558])
    np.testing.assert_allclose(to_vacuum(air, "air", "Angstrom", "s"), vacuum, atol=0.01)
    np.testing.assert_allclose(to_vacuum(vacuum / 10, "vacuum", "nm", "s"), vacuum)
    with pytest.raises(DataError, match="spectrum s: expected wavelengths in vacuum or in air, got none; say it with"):
        to_vacuum(air, None, "nm", "s")
    with pytest.raises(DataError, match="spectrum s: expected a unit of wavelength, .* got parsec"):
        to_vacuum(air, "air", "parsec", "s")


def test_rows_keep_every_grid_as_it_is():
    short = Spectrum("t", np.geomspace(5000, 6000, 17), np.arange(17.0), np.full(17, 2.0))
    row_N31L = to_rows([make(), short], 48)
    assert row_N31L.shape == (2, 3, 1, 48) and not row_N31L[1, :, 0, 17:].any()
    np.testing.assert_allclose(10 ** row_N31L[1, 2, 0, :17].astype(float), short.wavelength_L, rtol=2e-6)
    with pytest.raises(DataError, match="at most 20 pixels, got 40"):
        to_rows([make()], 20)


def write_sdss(path, wavelength_L=WAVE_L, vacuum=True, kind="GALAXY", column="loglam", **columns):
    wave = {"loglam": np.log10(wavelength_L), "wavelength": wavelength_L}[column]
    coadd = Table({"flux": np.ones(len(wave)), column: wave, "ivar": np.ones(len(wave))} | columns)
    primary = fits.PrimaryHDU()
    if vacuum is not None:
        primary.header["VACUUM"] = vacuum
    about = fits.table_to_hdu(Table({"CLASS": [kind], "Z": [0.1]}))
    fits.HDUList([primary, fits.table_to_hdu(coadd), about]).writeto(path)


def write_desi(path, n=2, unit="Angstrom", medium="vac", flip=False):
    hdus = [fits.PrimaryHDU(), fits.table_to_hdu(Table({"TARGETID": 39627 + np.arange(n)}))]
    hdus[1].name = "FIBERMAP"
    for arm, low, high in (("B", 3600.0, 5800.0), ("R", 5760.0, 7620.0), ("Z", 7520.0, 9824.0)):
        wave_L = np.arange(low, high, 20.0)
        wave = fits.ImageHDU(wave_L[::-1].copy() if flip else wave_L, name=f"{arm}_WAVELENGTH")
        if unit:
            wave.header["BUNIT"] = unit
        if medium:
            wave.header["AIRORVAC"] = medium
        flux_TL = np.tile(wave_L, (n, 1)).astype(np.float32)
        mask = fits.ImageHDU(np.zeros(flux_TL.shape, np.int32), name=f"{arm}_MASK")
        mask.data[:, 0] = 1
        hdus += [wave, fits.ImageHDU(flux_TL, name=f"{arm}_FLUX"),
                 fits.ImageHDU(np.ones_like(flux_TL), name=f"{arm}_IVAR"), mask]  # fmt: skip
    fits.HDUList(hdus).writeto(path)


def test_the_layout_of_sdss(tmp_path):
    write_sdss(tmp_path / "a.fits", and_mask=(np.arange(40) == 3).astype(int))
    found = read_spectra(tmp_path / "a.fits")
    np.testing.assert_allclose(found.spectra[0].wavelength_L, WAVE_L)
    assert found.spectra[0].ivar_L[3] == 0 and found.spectra[0].ivar_L.sum() == 39
    assert found.facts == [{"class": "GALAXY", "redshift": 0.1}]
    write_sdss(tmp_path / "b.fits", vacuum=None)
    with pytest.raises(DataError, match="b.fits: expected wavelengths in vacuum or in air, got none"):
        read_spectra(tmp_path / "b.fits")
    assert read_spectra(tmp_path / "b.fits", medium="air").spectra[0].wavelength_L[0] == pytest.approx(
        4001.13, abs=0.01
    )
    write_sdss(tmp_path / "c.fits", column="wavelength")
    with pytest.raises(DataError, match="a unit of wavelength, .* got none"):
        read_spectra(tmp_path / "c.fits")
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "d.fits")
    with pytest.raises(DataError, match=r"d.fits: expected a table with flux.*\(SDSS\), or images B_FLUX.*\(DESI\)"):
        read_spectra(tmp_path / "d.fits")


@pytest.mark.parametrize(("said", "vacuum"), [("T", True), ("yes", True), (1, True), (False, False), ("air", False)])
def test_a_header_that_says_the_medium_is_understood(tmp_path, said, vacuum):
    write_sdss(tmp_path / "a.fits", vacuum=said)
    wavelength_L = read_spectra(tmp_path / "a.fits").spectra[0].wavelength_L
    np.testing.assert_allclose(wavelength_L, WAVE_L if vacuum else to_vacuum(WAVE_L, "air", "angstrom", "s"))


def test_a_header_that_says_something_else_is_not_taken_for_air(tmp_path):
    write_sdss(tmp_path / "a.fits", vacuum="unknown")
    with pytest.raises(DataError, match="expected wavelengths in vacuum or in air, got none; say it with medium="):
        read_spectra(tmp_path / "a.fits")
    assert len(read_spectra(tmp_path / "a.fits", medium="vacuum").spectra) == 1


def test_the_layout_of_desi_joins_its_arms(tmp_path):
    write_desi(tmp_path / "coadd.fits")
    first, second = read_spectra(tmp_path / "coadd.fits").spectra
    assert "39627" in first.name and "39628" in second.name
    seen_L = first.ivar_L > 0
    assert (np.diff(first.wavelength_L) > 0).all() and first.wavelength_L[-1] > 9800
    np.testing.assert_allclose(first.flux_L[seen_L], first.wavelength_L[seen_L], rtol=1e-6)
    assert set(first.ivar_L[seen_L]) == {1.0, 2.0}, "where arms overlap at one wavelength both count"
    for more, message in (({"medium": None}, "vacuum or in air"), ({"unit": None}, "a unit of wavelength")):
        path = tmp_path / f"without_{next(iter(more))}.fits"
        write_desi(path, **more)
        with pytest.raises(DataError, match=message):
            read_spectra(path)
    write_desi(tmp_path / "flipped.fits", flip=True)
    with pytest.raises(DataError, match="arm 1: expected wavelengths that rise .* got unsorted ones"):
        read_spectra(tmp_path / "flipped.fits")


def test_a_folder_of_spectra_is_a_data_set(tmp_path, caplog):
    for i in range(6):
        write_sdss(tmp_path / f"{i}.fits", kind=("GALAXY", "QSO")[i % 2])
    write_sdss(tmp_path / "bad.fits", ivar=np.zeros(40))
    options = {"stretch": "linear", "mask": False, "normalise": False, "image_size": 48}
    data = load_data("own_spectra", params={"path": str(tmp_path), "test_fraction": 0.34}, **options)
    assert data.train.class_names == ("GALAXY", "QSO") and len(data.train) == 4 and len(data.tests["test"]) == 2
    assert data.train.image_NHW.shape == (4, 3, 1, 48) and "left out 1 files, e.g. bad.fits" in caplog.text
    with pytest.raises(DataError, match="got 0 everywhere"):
        load_spectra(tmp_path / "bad.fits")
    with pytest.raises(DataError, match="a FITS file, or a folder of them, got none there"):
        load_spectra(tmp_path / "nowhere")
    with pytest.raises(InputError, match="expected params.path"):
        load_data("own_spectra", **options)


def test_lines_lie_where_the_redshift_puts_them():
    """The brightest pixel of a star-forming galaxy is H alpha, and a redshift shifts log wavelength."""
    for redshift in (0.05, 0.2, 0.4):
        flux_W = shine(Object(2, redshift, 1.0, 1.0, 0.0), FINE_W)
        assert FINE_W[flux_W.argmax()] == pytest.approx(6564.6 * (1 + redshift), rel=1e-3)
    for kind in range(4):
        flux_W = shine(Object(kind, 0.5, 0.5, 0.5, 0.5), FINE_W)
        assert (flux_W > 0).all() and flux_W.mean() == pytest.approx(1)


def test_noise_is_what_the_inverse_variance_says():
    flux_W = shine(Object(1, 0.1, 0.5, 0.5, 0.5), FINE_W)
    loud, quiet = (observe(flux_W, GRIDS["sdss_like"], ratio, 0.0, np.random.default_rng(0), "s") for ratio in (5, 1e6))
    chi2 = (loud.ivar_L * (loud.flux_L - quiet.flux_L) ** 2).mean()
    assert chi2 == pytest.approx(1, abs=4 * np.sqrt(2 / 320))
    assert 1 / np.median(np.sqrt(1 / loud.ivar_L) / quiet.flux_L) == pytest.approx(5, rel=0.3)


def test_the_simulated_set_shows_the_same_objects_on_every_grid():
    data = synthetic_spectra(**SMALL)
    assert set(data.tests) == {"test", "test_desi_like", "test_prism"}
    tables = [images.table for images in data.tests.values()]
    assert all((table["redshift"] == tables[0]["redshift"]).all() for table in tables)
    assert all(list(table["object"]) == list(tables[0]["object"]) for table in tables)
    pixels = {name: set((images.image_NHW[:, 2, 0] > 0).sum(1)) for name, images in data.tests.items()}
    assert pixels == {"test": {320}, "test_desi_like": {384}, "test_prism": {160}}
    assert set(data.unlabelled.table["grid"]) == set(GRIDS) and set(data.train.table["grid"]) == {"sdss_like"}
    again = synthetic_spectra(**SMALL | {"n_test": 3})
    assert (again.tests["test"].image_NHW == data.tests["test"].image_NHW[:3]).all()
    with pytest.raises(InputError, match="did you mean 'prism'"):
        synthetic_spectra(grids=("prisma",))
    with pytest.raises(InputError, match="signal_to_noise: expected two numbers above 0"):
        synthetic_spectra(signal_to_noise=(20, 5))


def test_what_is_done_to_images_alone_is_refused_for_rows():
    rows = ImageSet("s", to_rows([make()]), [-1], ["s"])
    assert rows.holds_rows and rows.image_size == 40
    plain = {"stretch": "linear", "mask": False}
    longer = Preprocessing(50, **plain)(rows)
    assert longer.image_NHW.shape == (1, 3, 1, 50) and (longer.image_NHW[..., :40] == rows.image_NHW).all()
    for changes, message in (
        ({"stretch": "sqrt"}, "data.stretch: expected unset for rows"),
        ({"mask": True}, "data.mask: "),
        ({"crop": 10}, "data.crop: "),
        ({"image_size": 30}, "data.image_size for s: expected at least the 40 pixels of the longest, got 30; use 40"),
    ):
        with pytest.raises(InputError, match=message):
            Preprocessing(**{"image_size": 40, **plain, **changes})(rows)
    with pytest.raises(InputError, match=r"data.normalise: expected images, got spectra .*set data.normalise: false"):
        load_data("synthetic_spectra", params=SMALL, image_size=384, **plain)


def test_rows_are_no_images_and_images_no_rows():
    row_N31L = to_rows([make()])
    assert as_images(row_N31L, rows=True).shape == (1, 3, 1, 40)
    with pytest.raises(ImageError, match="expected square ones"):
        as_images(row_N31L, rows=False)
    with pytest.raises(ImageError, match="expected rows such as spectra"):
        as_images(np.zeros((1, 3, 8, 8)), rows=True)
    with pytest.raises(ImageError, match="cut or pad the oblong images"):
        as_images(np.zeros((1, 3, 2, 8)))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_components_tell_spectra_that_are_made_of_them(seed):
    """Three functions with random weights, on two grids: the same components, and hidden pixels are told."""
    generator = np.random.default_rng(seed)
    weight_NK = generator.normal(size=(30, 3))

    def rows(wavelength_L):
        u_L = np.log(wavelength_L / 4000)
        flux_NL = 5 + weight_NK @ np.stack([np.sin(4 * u_L), np.cos(4 * u_L), u_L])
        return to_rows([Spectrum("s", wavelength_L, flux_L, np.full(len(u_L), 1e6)) for flux_L in flux_NL])

    even, log = rows(np.linspace(4000, 8000, 300)), rows(np.geomspace(3900, 8100, 200))
    wavelengths = common_range([even, log])
    assert wavelengths == pytest.approx((4000, 8000), rel=1e-5)
    pca = ResampledPca(even, 4, wavelengths, n_bins=60)
    assert np.abs(pca.transform(even) - pca.transform(log)).max() < 0.05 * np.abs(pca.transform(even)).max()
    shown_NL = np.ones((30, 200), bool)
    shown_NL[:, 60:80] = False
    model_NL, _ = pca.reconstruct(log, shown_NL)
    error_NL = np.abs(model_NL - log[:, 0, 0])[:, 60:80] / np.abs(log[:, 0, 0]).mean()
    assert np.nanmax(error_NL) < 0.05
