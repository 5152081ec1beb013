import gzip
import warnings

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import FK4, FK5, ICRS, Galactic, SkyCoord
from astropy.io import fits
from astropy.stats import sigma_clipped_stats
from astropy.wcs import WCS

from equirgz.data.check.faults import find_faults
from equirgz.data.formats.fits import load_fits
from equirgz.data.formats.units import JY_PER_BEAM
from equirgz.data.noise_level import clipped_std
from equirgz.errors import DataError, InputError


def make_header(scale_arcsec=1.8, size=40):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.0, -2.5]
    wcs.wcs.crpix = [(size + 1) / 2] * 2
    wcs.wcs.cdelt = [-scale_arcsec / 3600, scale_arcsec / 3600]
    header = wcs.to_header()
    header["BUNIT"] = "JY/BEAM"
    header["BMAJ"], header["BMIN"], header["BPA"] = 6.0 / 3600, 5.4 / 3600, 12.0
    return header


def make_pixels(size=40):
    pixels = np.random.default_rng(0).normal(0, 1e-4, (size, size)).astype(np.float32)
    pixels[size // 2, size // 2] = 0.05
    return pixels


def test_the_unit_that_maps_are_brought_to_is_spelt_as_astropy_does():
    assert (units.Jy / units.beam).to_string() == JY_PER_BEAM


def write_plain(path, pixels):
    fits.PrimaryHDU(pixels, make_header()).writeto(path)


def write_big_endian(path, pixels):
    fits.PrimaryHDU(pixels.astype(">f8"), make_header()).writeto(path)


def write_scaled(path, pixels):
    hdu = fits.PrimaryHDU(pixels.copy(), make_header())
    hdu.scale("int32", bscale=1e-8, bzero=0.01)
    hdu.writeto(path)


def write_tile_compressed(path, pixels):
    fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.CompImageHDU(pixels, make_header(), compression_type="GZIP_1", quantize_level=0),
        ]
    ).writeto(path)


def write_with_degenerate_axes(path, pixels):
    fits.PrimaryHDU(pixels[None, None], make_header()).writeto(path)


def write_after_a_table(path, pixels):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.zeros(3))])
    fits.HDUList([fits.PrimaryHDU(), table, fits.ImageHDU(pixels, make_header())]).writeto(path)


WRITERS = [
    write_plain,
    write_big_endian,
    write_scaled,
    write_tile_compressed,
    write_with_degenerate_axes,
    write_after_a_table,
]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_every_form_of_fits_gives_the_same_image(tmp_path, writer, compress):
    pixels, path = make_pixels(), tmp_path / "a.fits"
    writer(path, pixels)
    if compress:
        zipped = tmp_path / "a.fits.gz"
        zipped.write_bytes(gzip.compress(path.read_bytes()))
        path = zipped
    image = load_fits(path)
    np.testing.assert_allclose(image.image_HW, pixels, atol=1.1e-8)
    assert image.image_HW.dtype == np.float32 and image.image_HW.dtype.isnative
    assert image.pixel_scale_arcsec == pytest.approx(1.8) and image.unit == "Jy / beam"
    assert image.beam_arcsec == pytest.approx((6.0, 5.4, 12.0))
    assert image.centre_deg == pytest.approx((150.0, -2.5)) and find_faults(image) == []


def test_cubes_need_a_plane(tmp_path):
    cube = np.stack([make_pixels() * k for k in (1, 2, 3)])
    fits.PrimaryHDU(cube[None]).writeto(tmp_path / "cube.fits")
    assert (load_fits(tmp_path / "cube.fits", plane=1).image_HW == cube[1]).all()
    with pytest.raises(DataError, match=r"a cube \(1, 3, 40, 40\) of axis3 0 to 2; say which with plane=N"):
        load_fits(tmp_path / "cube.fits")
    with pytest.raises(InputError, match="0 to 2, got 3"):
        load_fits(tmp_path / "cube.fits", plane=3)


def test_no_sky_coordinates_is_no_error(tmp_path):
    fits.PrimaryHDU(make_pixels()).writeto(tmp_path / "a.fits")
    image = load_fits(tmp_path / "a.fits")
    assert np.isnan(image.pixel_scale_arcsec) and image.unit == "" and image.wcs is None
    assert np.isnan(image.centre_deg).all() and find_faults(image) == []


FRAMES = {
    "ICRS": (("RA", "DEC"), ICRS(), {"RADESYS": "ICRS"}),
    "J2000": (("RA", "DEC"), FK5(equinox="J2000"), {"EQUINOX": 2000.0}),
    "J1975": (("RA", "DEC"), FK5(equinox="J1975"), {"RADESYS": "FK5", "EQUINOX": 1975.0}),
    "B1950": (("RA", "DEC"), FK4(equinox="B1950"), {"EPOCH": 1950.0}),
    "Galactic": (("GLON", "GLAT"), Galactic(), {}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_centre_is_icrs_whatever_frame_the_header_has(tmp_path, name):
    axes, frame, keys = FRAMES[name]
    there = SkyCoord(187.7059, 12.3911, unit="deg")
    centre = there.transform_to(frame).spherical
    header = make_header()
    for key in ("RADESYS", "EQUINOX", "LONPOLE", "LATPOLE", "MJDREF"):
        header.remove(key, ignore_missing=True)
    for k, (axis, value) in enumerate(zip(axes, (centre.lon, centre.lat), strict=True), 1):
        header[f"CTYPE{k}"], header[f"CRVAL{k}"] = f"{axis:-<5}SIN", value.deg
    header.update(keys)
    fits.PrimaryHDU(make_pixels(), header).writeto(tmp_path / "a.fits")
    found = SkyCoord(*load_fits(tmp_path / "a.fits").centre_deg, unit="deg")
    assert found.separation(there).arcsec < 1


@pytest.mark.parametrize("axes", [("TLON-TAN", "TLAT-TAN"), ("MALN-TAN", "MALT-TAN"), ("RA---TAN", "DEC--TAN")])
def test_an_unknown_frame_gives_no_centre(tmp_path, axes):
    header = make_header()
    header["CTYPE1"], header["CTYPE2"] = axes
    header["RADESYS"] = "GAPPT"
    fits.PrimaryHDU(make_pixels(), header).writeto(tmp_path / "a.fits")
    assert np.isnan(load_fits(tmp_path / "a.fits").centre_deg).all()


def test_nan_are_counted_and_faults_are_named(tmp_path):
    pixels = make_pixels()
    pixels[:4] = np.nan
    pixels[30:36] = 0
    pixels[20, 20] = 0
    fits.PrimaryHDU(pixels, make_header()).writeto(tmp_path / "a.fits")
    image = load_fits(tmp_path / "a.fits")
    assert image.n_nan == 160 and np.isnan(image.image_HW[:4]).all()
    assert find_faults(image) == ["160 NaN pixels (10.0 %)", "241 pixels exactly zero", "noise only"]


def write_table_only(path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.zeros(3))])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (write_table_only, "expected an image of two axes in any HDU, got PrimaryHDU, BinTableHDU"),
        (lambda p: fits.PrimaryHDU(np.full((5, 5), np.nan)).writeto(p), "NaN in all 25"),
        (lambda p: fits.PrimaryHDU(np.zeros(5)).writeto(p), "two axes"),
        (lambda p: p.write_bytes(b"not a fits file at all"), "readable FITS file"),
        (lambda p: p.write_bytes(b""), "readable FITS file"),
        (lambda p: None, "readable FITS file"),
    ],
)
def test_files_without_a_usable_image_are_named_in_one_line(tmp_path, write, expected):
    path = tmp_path / "bad.fits"
    write(path)
    with pytest.raises(DataError) as caught:
        load_fits(path)
    assert expected in str(caught.value) and "bad.fits" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("compress", [False, True])
def test_truncated_files_are_named(tmp_path, compress):
    fits.PrimaryHDU(make_pixels(100), make_header()).writeto(tmp_path / "whole.fits")
    content = (tmp_path / "whole.fits").read_bytes()
    path = tmp_path / ("bad.fits.gz" if compress else "bad.fits")
    path.write_bytes(gzip.compress(content)[:9000] if compress else content[:9000])
    with pytest.raises(DataError, match="readable FITS file"):
        load_fits(path)


def test_clipped_std_equals_astropy():
    rng = np.random.default_rng(0)
    for trial in range(12):
        image = rng.normal(size=(60, 60)).astype(np.float32)
        image[20:30, 20:30] += rng.uniform(0, 100)
        if trial % 3 == 0:
            image[:5] = np.nan
        expected = sigma_clipped_stats(image[np.isfinite(image)], sigma=3, maxiters=5)[2]
        assert clipped_std(image) == pytest.approx(expected, rel=1e-6)
    assert np.isnan(clipped_std(np.full(4, np.nan))) and clipped_std(np.ones(9)) == 0


def test_real_cutouts_are_read_and_the_bad_ones_reported(data_root):
    paths = sorted((data_root / "fits").glob("*.fits.gz"))
    assert len(paths) == 23
    faults = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in paths:
            image = load_fits(path)
            assert image.image_HW.shape == (300, 300) and image.unit == "Jy / beam"
            assert image.pixel_scale_arcsec == pytest.approx(1.8)
            if find_faults(image):
                faults[path.name.split("_0")[0]] = find_faults(image)
    assert faults == {
        "100": ["44166 NaN pixels (49.1 %)"],
        "100_209.593+018.300": ["nothing at the centre: mis-centred or missing data"],
        "110_345.859-000.360": ["5197 NaN pixels (5.8 %)"],
        "210_180.617+058.693": ["1663 pixels exactly zero"],
    }


@pytest.mark.parametrize("left", [(), ("CDELT3",), ("CDELT2", "CDELT3")])
def test_a_sky_axis_without_a_step_has_no_scale(tmp_path, left):
    header = make_header()
    for key in ("CDELT1", "CDELT2", "PC1_1", "PC2_2"):
        if key not in left:
            header.remove(key, ignore_missing=True)
    if "CDELT3" in left:
        header["CDELT3"] = 1e6
    fits.PrimaryHDU(make_pixels(), header).writeto(tmp_path / "map.fits")
    assert np.isnan(load_fits(tmp_path / "map.fits").pixel_scale_arcsec)
