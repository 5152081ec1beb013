import numpy as np
import pytest

from equirgz.data import load_data
from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import ImageSet
from equirgz.data.sets.digits import add_noise, digits
from equirgz.data.sets.frdeep import cut_and_enlarge, frdeep_object
from equirgz.errors import DataError, InputError


def test_digits_share_no_training_digit_between_domains_and_test_on_the_same_digits():
    clean, task = digits(), DATASETS.create("digits_noisy", None, noise=0.4)
    source, target = set(task.train.source_id_N), set(task.unlabelled.source_id_N)
    assert not source & target and source | target == set(clean.train.source_id_N)
    assert abs(len(source) - len(target)) <= 1 and (task.unlabelled.label_N == -1).all()
    test, shifted = task.tests["test"], task.tests["test_shift"]
    assert (test.source_id_N == shifted.source_id_N).all() and (test.label_N == shifted.label_N).all()
    assert test.checksum == clean.tests["test"].checksum != shifted.checksum
    counts = np.bincount(task.train.label_N)
    assert counts.max() - counts.min() <= 10  # the classes are shared out evenly


def test_noise_has_the_stated_width_and_zero_noise_changes_nothing():
    grey = ImageSet("g", np.full((400, 8, 8), 128, np.uint8), np.zeros(400, int), np.arange(400), ("a",))
    difference = add_noise(grey, 0.1, 0).image_NHW.astype(float) - 128
    assert difference.std() == pytest.approx(25.5, rel=0.02) and abs(difference.mean()) < 0.5
    assert (add_noise(grey, 0.0, 0).image_NHW == 128).all()
    assert (add_noise(grey, 0.1, 0).image_NHW == add_noise(grey, 0.1, 0).image_NHW).all()
    assert (add_noise(grey, 9.0, 0).image_NHW != add_noise(grey, 9.0, 1).image_NHW).any()
    with pytest.raises(InputError, match="noise: expected 0 or more, got -1"):
        DATASETS.create("digits_noisy", None, noise=-1)


def test_a_cut_is_scaled_by_its_own_peak_and_keeps_the_sky_scale():
    image = np.zeros((2, 10, 10), np.uint8)
    image[0, 0, 0], image[0, 5, 5] = 255, 51  # a bright field source outside the cut
    images = ImageSet("n", image, np.array([0, 1]), np.array(["a", "b"]), ("x", "y"), 15.0)
    cut = cut_and_enlarge(images, 2, 2)
    assert cut.image_NHW[0].tolist() == [[0, 0], [0, 255]] and not cut.image_NHW[1].any()
    large = cut_and_enlarge(images, 6, 60)
    assert large.image_NHW.shape == (2, 60, 60) and large.pixel_scale_arcsec == pytest.approx(1.5)


def test_frdeep_trains_on_no_object_that_either_survey_tests_on(data_root):
    data = load_data("frdeep_first_to_nvss", data_root, image_size=17)

    def objects(images):
        return {frdeep_object(source) for source in images.source_id_N}

    held = objects(data.tests["test"]) | objects(data.tests["test_shift"])
    assert not held & objects(data.train) and not held & objects(data.unlabelled)
    assert len(data.train) == 512 and len(data.unlabelled) == 510 and (data.unlabelled.label_N == -1).all()
    assert [len(data.tests[name]) for name in ("test", "test_shift")] == [50, 50]
    assert len(objects(data.tests["test"]) & objects(data.tests["test_shift"])) == 5
    scales = {part.pixel_scale_arcsec for part in (data.train, data.unlabelled, *data.tests.values())}
    assert len({round(scale, 9) for scale in scales}) == 1  # the same sky in every image
    with pytest.raises(InputError, match="nvss_size: expected 1 to 150, got 151"):
        DATASETS.create("frdeep_first_to_nvss", data_root, nvss_size=151)


def test_a_file_name_without_a_number_is_refused():
    assert frdeep_object("FRI_37_example") == frdeep_object("FRI_37_CoNFIG_FR1_") == "FR-DEEP FRI 37"
    assert (
        frdeep_object("FRI_37_FRICAT_FR1_") == "FR-DEEP FRI 37 FRICAT"
        and frdeep_object("FRII_37_") == "FR-DEEP FRII 37"
    )
    with pytest.raises(DataError, match="ids such as FRI_37_example, got no_number"):
        frdeep_object("no_number")
