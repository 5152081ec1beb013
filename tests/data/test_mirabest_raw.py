import numpy as np
import pytest

from equirgz.data import load_data
from equirgz.data.recipes import RECIPES
from equirgz.data.sets.mirabest import load_mirabest
from equirgz.data.sets.mirabest_raw import SparseMaps, load_mirabest_raw
from equirgz.errors import InputError


def test_raw_maps_give_at_least_1253_published_images_bit_for_bit(data_root):
    raw = load_mirabest_raw(data_root)
    published = {}
    for images in load_mirabest(data_root):
        published |= dict(zip(images.source_id_N.tolist(), images.image_NHW, strict=True))
    assert len(raw) == len(published) == 1256
    equal = [(published[str(s)] == x).all() for s, x in zip(raw.source_id_N, raw.image_NHW, strict=True)]
    assert sum(equal) >= 1253
    assert raw.class_counts()["100"] == 339 and (raw.position_deg_N2[:, 1] < 0).any()


def test_sparse_maps_are_decoded_from_differences():
    sparse = SparseMaps(
        np.array([5, 1, 299, 0]),
        np.array([1.0, 2.0, 3.0, 4.0], np.float32),
        np.array([0, 3, 3, 4]),
        np.ones(3),
        np.array(list("abc")),
    )
    maps = sparse.maps(slice(0, 3))
    assert maps.shape == (3, 300, 300) and maps[1].max() == 0
    assert maps[0, 0, 5] == 1 and maps[0, 0, 6] == 2 and maps[0, 1, 5] == 3 and maps[2, 0, 0] == 4
    assert (sparse.maps(slice(2, 3)) == maps[2:]).all()


def test_dataset_has_the_published_split(data_root):
    raw = load_data("mirabest_raw", data_root, image_size=15)
    published = load_data("mirabest_confident", data_root, image_size=15)
    assert (raw.train.source_id_N == published.train.source_id_N).all()
    assert (raw.tests["test"].label_N == published.tests["test"].label_N).all()
    with pytest.raises(InputError, match="unknown 'raw'"):
        load_data("mirabest_raw", data_root, params={"recipe": "raw"})


def test_a_neighbour_outside_of_a_cut_on_the_sky_has_no_say_in_the_scale(data_root):
    whole = load_data("mirabest_raw", data_root, image_size=50, crop=50, stretch="linear", normalise=False)
    cut = load_data("mirabest_raw", data_root, image_size=50, crop_arcsec=90.0, stretch="linear", normalise=False)
    assert cut.train.pixel_scale_arcsec == pytest.approx(1.8)
    peak_N, whole_peak_N = (data.train.image_NHW.max((1, 2)) for data in (cut, whole))
    assert (peak_N >= whole_peak_N).all() and (peak_N > whole_peak_N).sum() > 20


def test_every_recipe_has_its_own_hash():
    assert len({recipe.hash for recipe in RECIPES.values()}) == len(RECIPES)
