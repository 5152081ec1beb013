import numpy as np
import pytest

from equirgz.data.formats.fits import load_fits
from equirgz.data.recipes import RECIPES, Recipe, cut_recipe, first_recipe, get_recipe
from equirgz.data.sets.mirabest import load_mirabest
from equirgz.errors import DataError, InputError


def test_recipe_on_a_plain_case():
    raw = np.zeros((1, 8, 8), np.float32)
    raw[0, 4, 4], raw[0, 3, 4], raw[0, 0, 0], raw[0, 4, 3] = 10.0, 5.0, 99.0, 3.0
    out = first_recipe(raw, size=4, std_N=np.array([1.0]))
    expected = np.zeros((4, 4), np.uint8)
    expected[2, 2], expected[1, 2] = 255, 127  # 3.0 is not above 3 sigma; 99 lies outside the cut
    assert (out[0] == expected).all()
    raw[0, 0, 0] = np.nan
    assert (first_recipe(raw, size=4, std_N=np.array([1.0])) == expected).all()
    assert first_recipe(np.zeros((2, 8, 8), np.float32), size=4).max() == 0
    with pytest.raises(DataError, match="square maps of at least 9 px"):
        first_recipe(raw, size=9)


def test_raw_cutouts_give_the_published_images_bit_for_bit(data_root):
    published = {}
    for images in load_mirabest(data_root):
        published |= dict(zip(images.source_id_N.tolist(), images.image_NHW, strict=True))
    different = []
    for path in sorted((data_root / "fits").glob("*.fits.gz")):
        name = path.name.removesuffix(".fits.gz")
        if name in published and (first_recipe(load_fits(path).image_HW[None])[0] != published[name]).any():
            different.append(name)
    # published as noise only, although the survey shows the source
    assert different == ["200_147.709-000.888_0.2715_0030.00"]


def make_map(size=20, noise=1e-4):
    raw = np.random.default_rng(0).normal(0, noise, (1, size, size)).astype(np.float32)
    raw[0, size // 2, size // 2] = 1.0
    raw[0, size // 2, size // 2 + 2] = 0.5
    return raw


def test_threshold_taken_off_and_scaled_to_the_peak():
    recipe = Recipe(size=8, rms_jy_per_beam=0.1, mask_radius_px=None, subtract=True, scale="peak", quantize=False)
    out = recipe(make_map())
    assert out[0, 4, 4] == pytest.approx(1) and out[0, 4, 6] == pytest.approx(0.2 / 0.7)  # as networks take them
    assert np.count_nonzero(out) == 2 and out.dtype == np.float32


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"raw"}))
def test_every_scaled_recipe_gives_bytes_or_shares_of_white(name):
    out = get_recipe(name)(np.pad(make_map(80), ((0, 0), (40, 40), (40, 40))))
    assert out.max() == {"u": 255, "f": 1}[out.dtype.kind] and out.min() == 0


def test_a_recipe_is_cut_on_the_sky_only_where_the_scale_is_known():
    assert cut_recipe("mirabest_f", crop_arcsec=90.0) == get_recipe("mirabest_f")
    cut = cut_recipe("mirabest_f", crop_arcsec=90.0, pixel_scale_arcsec=1.8)
    assert (cut.size, cut.mask_radius_px) == (50, 25.0)
    assert cut_recipe("rgz_dr1", size=40, crop_arcsec=90.0, pixel_scale_arcsec=1.8).size == 40


def test_raw_recipe_keeps_physical_units():
    raw = make_map()
    assert (RECIPES["raw"](raw) == raw).all()
    raw[0, 0, 0] = np.nan
    assert RECIPES["raw"](raw)[0, 0, 0] == 0


def test_noise_of_the_cut_differs_from_that_of_the_map():
    raw = make_map(60)
    raw[0, :20] *= 100
    cut, whole = (Recipe(size=8, mask_radius_px=None, noise_from=where)(raw) for where in ("cut", "map"))
    assert np.count_nonzero(cut) >= np.count_nonzero(whole) >= 2


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_take_blank_and_nan_maps(name):
    maps = np.zeros((2, 160, 160), np.float32)
    maps[1, :80] = np.nan
    out = get_recipe(name)(maps)
    assert out.max() == 0 and np.isfinite(out).all()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"scale": "log"}, "unknown 'log'"),
        ({"scale": "none"}, "set quantize false"),
        ({"size": 0}, "at least 1 pixel"),
        ({"n_sigma": None, "subtract": True}, "set n_sigma"),
    ],
)
def test_impossible_recipes_are_refused(arguments, expected):
    with pytest.raises(InputError, match=expected):
        Recipe(**arguments)
