"""How a model sees maps of any scale and beam, and what is said of bad ones."""

from __future__ import annotations

import numpy as np
import pytest
from own_maps import double_map

from equirgz.answers.sightings import see_image, see_map
from equirgz.answers.source_model import Sky
from equirgz.data.recipes import RECIPES
from equirgz.data.simulate.measure import measure_image
from equirgz.errors import DataError

FIRST = {"scale_arcsec": 1.8, "beam_arcsec": 5.4}


def look(image, **sampling):
    return see_map(image, Sky(), **FIRST | sampling, source="it")


def size_of(image_SS):
    return np.exp(measure_image(image_SS, 1.8, 5.4)["log_las"])


def test_a_map_of_the_survey_is_seen_by_its_published_recipe():
    raw = double_map()
    found = look(raw)
    np.testing.assert_array_equal(found.image_SS, RECIPES["mirabest_f"](raw[None])[0])
    assert found.flags == () and found.words == ()
    assert found.snr == pytest.approx(0.02 / 1.5e-4, rel=0.05)


def spoilt(kind):
    raw = double_map()
    if kind == "nan":
        raw[:, :40] = np.nan
    elif kind == "zeros":
        raw[:, :40] = 0
    elif kind == "noise":
        raw = double_map(peak=0)
    elif kind == "away":
        raw = double_map(offset=(0, 90))
    elif kind == "cut":
        raw = double_map(size=46)  # 83 arcsec, lobes 40 arcsec apart reach no edge
    return raw


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("good", ()),
        ("nan", ("missing_pixels",)),
        ("zeros", ("missing_pixels",)),
        ("noise", ("noise_only",)),
        ("away", ("off_centre",)),
        ("cut", ()),
    ],
)
def test_what_is_wrong_is_flagged(kind, flags):
    assert look(spoilt(kind)).flags == flags


def test_a_source_that_the_border_cuts_is_at_the_edge():
    raw = double_map(apart=60)
    assert look(raw[:, 92:128]).flags == ("at_edge",)  # a strip narrower than the source
    raw[:, :94] = np.nan  # through the left lobe
    assert set(look(raw).flags) == {"missing_pixels", "at_edge"}
    raw = double_map(apart=60)
    raw[:, :60] = np.nan
    assert set(look(raw).flags) == {"missing_pixels"}


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        ({"beam_arcsec": 45.0}, "a beam of at most 8.1 arcsec, 1.5 times that of FIRST, got 45 arcsec"),
        ({"scale_arcsec": 15.0}, "pixels of at most 2.7 arcsec, 1.5 times that of FIRST, got 15 arcsec"),
    ],
)
def test_what_resolves_too_little_is_refused_with_the_numbers(sampling, words):
    with pytest.raises(DataError, match=f"it: expected {words}"):
        look(double_map(), **sampling)


def test_a_sharper_map_is_smoothed_to_the_beam_of_the_survey():
    sharp = double_map(scale=1.8, beam=3.6, apart=60, noise=1e-6, peak=0.02)
    found = look(sharp, beam_arcsec=3.6)
    assert found.flags == ("smoothed",) and "from a beam of 3.6 to 5.4 arcsec" in found.words[0]
    like = double_map(apart=60, noise=1e-6).astype(float)
    own = found.image_SS.astype(float)
    shown = RECIPES["mirabest_f"](like[None])[0].astype(float)
    assert np.abs(own / own.max() - shown / shown.max()).max() < 0.06  # the sampling of 2 pixels a beam


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_another_scale_is_resampled_and_shows_the_same_size(scale):
    found = look(double_map(size=round(220 * 1.8 / scale), scale=scale), scale_arcsec=scale)
    assert found.flags == ("rescaled",) and f"from {scale:g} to 1.8 arcsec" in found.words[0]
    assert found.image_SS.shape == (150, 150)
    assert size_of(found.image_SS) == pytest.approx(size_of(look(double_map()).image_SS), abs=4)


def test_an_oblong_map_is_its_middle_in_a_square():
    wide = double_map()[60:160]
    tall = look(wide)
    whole = look(double_map())
    np.testing.assert_allclose(tall.image_SS[40:110], whole.image_SS[40:110], atol=1)


def test_clipped_images_are_taken_as_they_are_and_others_clipped():
    made = RECIPES["mirabest_f"](double_map()[None])[0]
    found = see_image(made, Sky(), **FIRST)
    assert np.abs(found.image_SS.astype(int) - made).max() <= 1
    assert found.snr == pytest.approx(3 * 255 / made[made > 0].min(), rel=0.1)
    np.testing.assert_array_equal(see_image(double_map(), Sky(), **FIRST).image_SS, made)
    blank = np.zeros((150, 150), np.float32)
    with pytest.raises(DataError, match="expected more than one value"):
        see_image(blank, Sky(), **FIRST)
    blank[5, 5] = 1  # outside the disk
    with pytest.raises(DataError, match="above zero in the field"):
        see_image(blank, Sky(), **FIRST)
    blank[20, 75] = 1
    assert see_image(blank, Sky(), **FIRST).flags == ("off_centre",)
