import numpy as np
import pytest

from equirgz.data.fits import load_fits
from equirgz.data.mirabest import load_mirabest
from equirgz.data.recipes import first_recipe
from equirgz.errors import DataError


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
