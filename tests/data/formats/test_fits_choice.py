"""Generated FITS: the image that was written, in Jy/beam or the stated unit, or a refusal that names the file."""

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from equirgz.data.formats.fits import load_fits
from equirgz.data.formats.hdus import COMPANIONS
from equirgz.data.formats.units import parse_unit
from equirgz.errors import DataError, InputError
from tests.data.formats.test_fits import make_header, make_pixels

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SKY = make_pixels(12)


def header_of(**cards):
    header = make_header(size=12)
    for key, value in cards.items():
        if value is None:
            header.remove(key, ignore_missing=True)
        else:
            header[key] = value
    return header


def image_hdu(pixels, name="", **cards):
    return fits.ImageHDU(pixels, header_of(**cards), name=name or None)


def write(path, *hdus):
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
    return path


@FEW
@given(data=st.data())
def test_the_image_is_found_wherever_it_stands(tmp_path, data):
    """Companions by name, thumbnails, maps in other units and tables never take the image's place."""
    others = data.draw(st.lists(st.sampled_from(["companion", "thumbnail", "unit", "table"]), max_size=4))
    named = data.draw(st.sampled_from(["", "SCI", "image"]))
    hdus = []
    for k, kind in enumerate(others):
        if kind == "companion":
            word = data.draw(st.sampled_from(sorted(COMPANIONS)))
            hdus.append(image_hdu(np.ones((12, 12)) * k, f"{named}_{word}".upper().strip("_")))
        elif kind == "thumbnail":
            hdus.append(image_hdu(np.ones((4, 4))))
        elif kind == "unit":
            hdus.append(image_hdu(np.ones((12, 12)) * k, BUNIT="s"))
        else:
            hdus.append(fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.zeros(3))]))
    kind = data.draw(st.sampled_from(["plain", "compressed", "double", "scaled"]))
    at = data.draw(st.integers(0, len(hdus)))
    hdu = image_hdu(SKY.astype(">f8") if kind == "double" else SKY.copy(), named)
    if kind == "compressed":
        hdu = fits.CompImageHDU(SKY, hdu.header, name=named or None, compression_type="GZIP_1", quantize_level=0)
    elif kind == "scaled":
        hdu.scale("int32", bscale=1e-9, bzero=0.02)
    image = load_fits(write(tmp_path / "a.fits", *hdus[:at], hdu, *hdus[at:]))
    np.testing.assert_allclose(image.image_HW, SKY, atol=3e-9 if kind == "scaled" else 0)
    assert image.unit == "Jy / beam"


@pytest.mark.parametrize("names", [("SCI", "SCI2"), ("", ""), ("A", "B")])
def test_several_images_are_refused_with_the_list_and_picked_by_hdu(tmp_path, names):
    path = write(tmp_path / "a.fits", *(image_hdu(SKY * k, name) for k, name in enumerate(names, 1)))
    listed = "; ".join(rf"{k} {name or 'unnamed'} \(12 x 12, JY/BEAM\)" for k, name in enumerate(names, 1))
    with pytest.raises(DataError, match=f"a.fits: expected one image of the sky, got {listed}; say which with hdu"):
        load_fits(path)
    for hdu in (2, "2", names[1].lower()):
        if hdu:
            assert (load_fits(path, hdu=hdu).image_HW == SKY * 2).all()
    for hdu in (0, 7, "WHT"):
        with pytest.raises(DataError, match=f"a.fits: expected an image of two axes in HDU {hdu}, got 1 "):
            load_fits(path, hdu=hdu)


@pytest.mark.parametrize("cards", [{"EXTNAME": "RMS"}, {"BTYPE": "weight"}, {"HDUCLAS2": "ERROR"}])
def test_a_map_that_is_no_image_is_taken_only_when_asked_for(tmp_path, cards):
    path = write(tmp_path / "a.fits", image_hdu(SKY, **cards))
    with pytest.raises(DataError, match="an image of the sky, not only a weight, mask or error map"):
        load_fits(path)
    assert (load_fits(path, hdu=1).image_HW == SKY).all()


def test_visibilities_are_no_image(tmp_path):
    groups = fits.GroupData(np.ones((3, 1, 4, 3), np.float32), parnames=["UU"], pardata=[np.zeros(3)], bitpix=-32)
    fits.HDUList([fits.GroupsHDU(groups)]).writeto(tmp_path / "uv.fits")
    with pytest.raises(DataError, match="an image of two axes"):
        load_fits(tmp_path / "uv.fits")


def test_blank_numbers_are_nan(tmp_path):
    hdu = fits.PrimaryHDU(np.arange(16, dtype=np.int16).reshape(4, 4))
    hdu.header["BLANK"] = 5
    hdu.writeto(tmp_path / "a.fits")
    image = load_fits(tmp_path / "a.fits")
    assert image.n_nan == 1 and np.isnan(image.image_HW[1, 1]) and image.image_HW[3, 3] == 15


SPELLINGS = {
    1.0: ["Jy/beam", "JY/BEAM", "jy/beam", "Jy beam-1", "JY BEAM^-1", "Jy.beam**-1", "Jansky/beam", "Jy/bm"],
    1e-3: ["mJy/beam", "mJy beam-1", "mJy/BEAM", "mjy/beam", "milliJy/beam", "MILLIJY/BEAM", "10**-3 Jy/beam"],
    1e-6: ["uJy/beam", "UJY/BEAM", "microJy/beam", "uJy beam^-1", "MICROJY/BEAM"],
    1e-9: ["nJy/beam", "NJY/BEAM"],
}


@FEW
@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64, ">f4"]))
def test_prefixes_become_jy_per_beam_however_they_are_spelt(tmp_path, data, dtype):
    factor = data.draw(st.sampled_from(sorted(SPELLINGS)))
    text = data.draw(st.sampled_from(SPELLINGS[factor]))
    path = write(tmp_path / "a.fits", image_hdu((SKY / factor).astype(dtype), BUNIT=text))
    image = load_fits(path)
    np.testing.assert_allclose(image.image_HW, SKY, rtol=1e-6)
    assert image.unit == "Jy / beam"
    as_written = load_fits(path, convert=False)
    np.testing.assert_allclose(as_written.image_HW, SKY / factor, rtol=1e-6)
    assert parse_unit(as_written.unit).is_equivalent(units.Jy / units.beam)


def test_kelvin_and_jy_per_pixel_need_the_beam_and_follow_the_closed_form(tmp_path):
    beam_sr = np.pi / (4 * np.log(2)) * 6.0 * 5.4 * (np.pi / 180 / 3600) ** 2
    rayleigh_jeans = 2 * 1.380649e-23 * 1.4e9**2 / 299792458.0**2 * beam_sr * 1e26
    pixels_per_beam = beam_sr / (1.8 * np.pi / 180 / 3600) ** 2
    frequency = {"RESTFRQ": 1.4e9}
    for text, cards, factor in (
        ("K", frequency, rayleigh_jeans),
        ("mK", frequency, rayleigh_jeans / 1000),
        ("KELVIN", frequency, rayleigh_jeans),
        ("Jy/pixel", {}, pixels_per_beam),
        ("MJy/sr", {}, beam_sr * 1e6),
    ):
        path = write(tmp_path / "a.fits", image_hdu(SKY, BUNIT=text, **cards))
        image = load_fits(path)
        np.testing.assert_allclose(image.image_HW, SKY * factor, rtol=1e-5)
        assert image.unit == "Jy / beam", text
        path = write(tmp_path / "a.fits", image_hdu(SKY, BUNIT=text, BMAJ=None, **cards))
        assert (load_fits(path).image_HW == SKY).all() and load_fits(path).unit not in ("", "Jy / beam")


@pytest.mark.parametrize("text", ["MJY/BEAM", "counts", "adu", "Jy", None])
def test_other_units_stay_and_the_user_may_say_one(tmp_path, text):
    path = write(tmp_path / "a.fits", image_hdu(SKY, BUNIT=text))
    image = load_fits(path)
    assert (image.image_HW == SKY).all() and image.unit == (text or "")
    said = load_fits(path, unit="mJy/beam")
    assert said.unit == "Jy / beam"
    np.testing.assert_allclose(said.image_HW, SKY / 1000, rtol=1e-6)
    with pytest.raises(InputError, match="a unit such as mJy/beam, got nonsense"):
        load_fits(path, unit="nonsense")


@FEW
@given(data=st.data())
def test_planes_are_picked_by_the_names_of_the_axes(tmp_path, data):
    """Whatever the order of the axes: the plane written for (stokes, frequency) is the one read."""
    n_stokes, n_frequency = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    order = data.draw(st.permutations(["RA---TAN", "DEC--TAN", "STOKES", "FREQ"]))
    number = np.arange(1, 1 + n_stokes * n_frequency).reshape(n_stokes, n_frequency)
    length = {"RA---TAN": 5, "DEC--TAN": 4, "STOKES": n_stokes, "FREQ": n_frequency}
    sky = SKY[:4, :5]
    cube = number[:, :, None, None] * sky
    here = ["STOKES", "FREQ", "DEC--TAN", "RA---TAN"]
    pixels = cube.transpose([here.index(name) for name in order[::-1]])
    header = fits.Header({"BUNIT": "Jy/beam"})
    for k, name in enumerate(order, 1):
        value = {"STOKES": (1.0, 1.0), "FREQ": (1.4e9, 1e6), "RA---TAN": (150.0, -5e-4), "DEC--TAN": (2.0, 5e-4)}[name]
        header[f"CTYPE{k}"], header[f"CRVAL{k}"], header[f"CDELT{k}"], header[f"CRPIX{k}"] = name, *value, 1.0
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(np.ascontiguousarray(pixels), header).writeto(path, overwrite=True)
    assert pixels.shape == tuple(length[name] for name in order[::-1])
    s, f = data.draw(st.integers(0, n_stokes - 1)), data.draw(st.integers(0, n_frequency - 1))
    for plane in (f"stokes={'IQU'[s]},frequency={f}", {"stokes": s, "freq": f}):
        image = load_fits(path, plane=plane)
        np.testing.assert_array_equal(image.image_HW, cube[s, f].astype(np.float32))
    assert image.centre_deg[1] == pytest.approx(2.0 + 1.5 * 5e-4, abs=1e-6)
    if n_stokes * n_frequency == 1:
        assert (load_fits(path).image_HW == cube[0, 0].astype(np.float32)).all()
    else:
        with pytest.raises(DataError, match="a.fits: expected one plane, got a cube .*; say which with plane=N"):
            load_fits(path)
    for plane in ("stokes=V", f"frequency={n_frequency}", "polarisation=V", "stokes", "stokes=I,,"):
        with pytest.raises((InputError, DataError), match="plane"):
            load_fits(path, plane=plane)
