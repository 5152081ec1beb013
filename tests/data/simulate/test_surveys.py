import numpy as np
import pytest
from astropy.io import fits

from equirgz.data.simulate.surveys import Survey, get_survey, list_surveys
from equirgz.errors import DataError, InputError


def write_image(path, shape=(96, 96), noise=2e-4, **cards):
    header = fits.Header({
        "CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CTYPE3": "FREQ", "CDELT1": -1.5 / 3600, "CDELT2": 1.5 / 3600,
        "CRPIX1": 48, "CRPIX2": 48, "CRPIX3": 1, "CRVAL1": 150.0, "CRVAL2": 20.0, "CRVAL3": 1.4e9, "CDELT3": 1e6,
        "BMAJ": 8 / 3600, "BMIN": 4.5 / 3600, "BPA": 30.0, "BUNIT": "JY/BEAM", **cards,
    })  # fmt: skip
    for key in [key for key, value in cards.items() if value is None]:
        del header[key]
    image = np.random.default_rng(0).normal(0, noise, (1, *shape)).astype(np.float32)
    fits.PrimaryHDU(image, header).writeto(path)
    return path


def test_every_survey_has_a_source_and_a_sane_beam():
    assert {"FIRST", "NVSS", "VLASS", "LoTSS-DR2", "MIGHTEE", "MGCLS", "RACS-low", "EMU"} <= set(list_surveys())
    for name in list_surveys():
        survey = get_survey(name)
        assert "arXiv" in survey.source or "AJ" in survey.source, name
        assert survey.depth_mjy == pytest.approx(5 * survey.noise_mjy_per_beam)
    assert get_survey("first") == get_survey("FIRST")
    assert get_survey("FIRST", beam_arcsec=6.4).beam_arcsec == 6.4


def test_field_density_is_firsts_and_follows_the_spectrum():
    assert get_survey("FIRST").field_density(1.0) == pytest.approx(90)
    low = Survey("low", frequency_mhz=144)
    assert low.field_density((1400 / 144) ** 0.7) == pytest.approx(90)  # the same sources, brighter


def test_a_survey_comes_back_from_a_fits_header(tmp_path):
    survey = Survey.from_fits(write_image(tmp_path / "mine.fits"))
    assert survey.name == "mine" and survey.frequency_mhz == 1400
    assert survey.beam_arcsec == pytest.approx(6.0) and survey.beam_axis_ratio == pytest.approx(8 / 4.5)
    assert survey.beam_angle_deg == 30 and survey.pixel_scale_arcsec == pytest.approx(1.5)
    assert survey.noise_mjy_per_beam == pytest.approx(0.2, rel=0.03)
    other = Survey.from_fits(tmp_path / "mine.fits", name="deep", noise_mjy_per_beam=0.05)
    assert other.name == "deep" and other.noise_mjy_per_beam == 0.05


@pytest.mark.parametrize(
    ("cards", "expected"),
    [({"BMAJ": None}, "give beam_arcsec"), ({"BUNIT": "K/s"}, "give noise_mjy_per_beam"),
     ({"CTYPE1": None, "CTYPE2": None}, "give pixel_scale_arcsec")],
)  # fmt: skip
def test_what_a_header_lacks_is_named(tmp_path, cards, expected):
    path = write_image(tmp_path / "mine.fits", **cards)
    with pytest.raises(DataError, match=expected):
        Survey.from_fits(path)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"beam_arcsec": 0}, "beam_arcsec: expected 0.01 to 3600 arcsec, got 0"),
        ({"beam_arcsec": float("nan")}, "0.01 to 3600"),
        ({"noise_mjy_per_beam": -1}, "0 to 100000 mJy/beam, got -1"),
        ({"beam_axis_ratio": 0.5}, "1 to 10"),
        ({"pixel_scale_arcsec": 5.4}, "1.5 to 30 pixels wide"),
        ({"snapshot_arms": 3}, "0 or 6"),
        ({"flux_scale": True}, "flux_scale"),
        ({"beam_asec": 5}, "unknown keyword 'beam_asec'; did you mean 'beam_arcsec'"),
    ],
)
def test_bad_options_are_refused(options, expected):
    with pytest.raises(InputError, match=expected):
        get_survey("FIRST", **options)
    with pytest.raises(InputError, match="did you mean 'FIRST'"):
        get_survey("FRST")
