import numpy as np
import pytest

from equirgz.config import DataConfig
from equirgz.data import DATASETS, Data, ImageSet, list_datasets, load_data
from equirgz.data.load import match_classes
from equirgz.errors import InputError

SMALL = {"n_train": 12, "n_test": 6}


@pytest.fixture
def toy(monkeypatch):
    """Register a dataset of three classes at 100, 101, ... degrees for one test."""

    def make(data_dir=None, /, ra=100.0, classes=("frii", "FRI", "odd")):
        n = 6
        rngs = [np.random.default_rng(round(ra) + i) for i in range(n)]
        pixels = np.stack([rng.integers(0, 256, (20, 20), dtype=np.uint8) for rng in rngs])
        position = np.stack([ra + np.arange(n), np.zeros(n)], 1)
        images = ImageSet("toy", pixels, np.arange(n) % 3, np.arange(n).astype(str), tuple(classes), 1.8, position)
        return Data(images, {})

    list_datasets()
    monkeypatch.setitem(DATASETS._entries, "toy", make)


def test_extra_tests_take_the_labels_of_the_training_set_by_name(toy):
    data = load_data("synthetic_fr", params=SMALL, image_size=15, extra_tests={"toy": {}})
    assert set(data.tests) == {"test", "toy_all"}
    assert data.tests["toy_all"].class_names == ("FRI", "FRII")
    assert data.tests["toy_all"].label_N.tolist() == [1, 0, -1, 1, 0, -1]
    assert data.tests["toy_all"].image_NHW.shape == (6, 15, 15)


def test_extra_tests_without_a_common_class_are_refused(toy):
    with pytest.raises(InputError, match="expected a class of FRI, FRII, got x, y, z; choose"):
        load_data("synthetic_fr", params=SMALL, extra_tests={"toy": {"classes": ["x", "y", "z"]}})
    with pytest.raises(InputError, match="unknown 'tyo'; did you mean 'toy'"):
        load_data("synthetic_fr", params=SMALL, extra_tests={"tyo": {}})


def test_extra_tests_that_hold_training_sources_are_refused_or_cleaned(toy):
    with pytest.raises(InputError, match=r"within 270 arcsec of a training source, got 6 \(e\.g\. 0\)"):
        load_data("toy", extra_tests={"toy": {}})
    data = load_data("toy", image_size=15, params={"ra": 103.0}, extra_tests={"toy": {}}, drop_leaks=True)
    assert data.tests["toy_all"].position_deg_N2[:, 0].tolist() == [100, 101, 102]


def test_real_extra_test_set_is_cleaned_of_training_sources(data_root):
    data = load_data(
        "mirabest_confident",
        data_root,
        image_size=15,
        extra_tests={"mirabest_uncertain": {}},
        drop_leaks=True,
    )
    assert {"test", "mirabest_uncertain_test"} <= set(data.tests)
    assert 40 <= len(data.tests["mirabest_uncertain_test"]) <= 49


def test_classes_are_matched_whatever_their_case_and_unlabelled_stay_so():
    images = ImageSet("u", np.zeros((3, 4, 4), np.uint8), [-1] * 3, list("abc"))
    assert match_classes(images, ("FRI", "FRII")).label_N.tolist() == [-1] * 3


def test_images_are_in_units_of_the_training_rms_and_the_checksum_knows():
    data = load_data("synthetic_fr", params=SMALL, image_size=15)
    assert np.sqrt(np.mean(data.train.image_NHW.astype(float) ** 2)) == pytest.approx(1, rel=1e-5)
    plain = load_data("synthetic_fr", params=SMALL, image_size=15, normalise=False)
    ratio = data.tests["test"].image_NHW.max() / plain.tests["test"].image_NHW.max()
    assert ratio == pytest.approx(data.train.image_NHW.max() / plain.train.image_NHW.max(), rel=1e-5)
    assert data.checksum != plain.checksum
    assert data.checksum == load_data(DataConfig(name="synthetic_fr", params=SMALL, image_size=15)).checksum


def test_every_registered_dataset_has_a_docstring_and_refuses_unknown_options():
    for name in list_datasets():
        assert (DATASETS.get(name).__doc__ or "").strip(), name
        with pytest.raises(InputError, match="unknown keyword 'no_such_option'"):
            DATASETS.create(name, None, no_such_option=1)


@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        ("synthetic_fr", "029a15f70df25c41"),
        ("synthetic_radio", "67e21ac4b38ec30f"),
        ("synthetic_votes", "a78e11a4e29b6510"),
        ("synthetic_tags", "9ef3987339811161"),
        ("synthetic_spirals", "f4f2753e228a89f1"),
        ("synthetic_spectra", "bb5cdf1576350389"),
    ],
)
def test_checksums_of_simulated_sets_outlive_names_in_the_code(name, checksum):
    """Else kept results are of other data than those of today, and no grid goes on; a true change raises a version."""
    rows = {"stretch": "linear", "mask": False, "normalise": False, "image_size": 384}
    data = load_data(name, params={"n_train": 20, "n_test": 10}, **(rows if name == "synthetic_spectra" else {}))
    assert data.checksum == checksum
