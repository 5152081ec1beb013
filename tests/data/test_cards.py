import io

import numpy as np
import pytest
from PIL import Image

from equirgz.data import DATASETS
from equirgz.data.check.cards import make_card, make_contact_sheet, measure_images, write_card
from equirgz.data.facts import SETS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.simulate.synthetic import Observation, simulate
from equirgz.errors import ResultsError


@pytest.fixture(scope="module")
def data():
    images = simulate(30, ("FRI", "FRII"), Observation(), 0)
    return Data(images.subset(np.arange(20)), {"test": images.subset(np.arange(20, 30))})


def test_card_names_counts_distributions_faults_licence_and_citation(data_root, tmp_path):
    mirabest = DATASETS.create("mirabest_confident", data_root)
    card, sheet = write_card(mirabest, tmp_path, info=SETS["mirabest_f"])
    text = card.read_text()
    assert "| train | 729 | 348 | 381 |" in text and "| test | 104 | 49 | 55 |" in text
    assert "University of California" in text and "arXiv 2305.11108" in text and SETS["mirabest_f"].md5 in text
    assert "wrongly masked" in text and "largest angular size, arcsec | 729 |" in text and "redshift" in text
    assert f"]({sheet.name})" in text and "checksum" in text
    with Image.open(sheet) as picture:
        assert picture.size == (12 * 150, 4 * 150 + 2)


def test_measured_extent_is_that_of_a_disk():
    rows, columns = np.mgrid[:60, :60] - 30
    pixels = np.where(np.hypot(rows, columns) < 10, 200, 0).astype(np.uint8)
    images = ImageSet("d", np.stack([pixels, np.zeros_like(pixels)]), [-1, -1], ["a", "b"], (), 2.0)
    measured = measure_images(images)
    assert measured["extent_arcsec"] == pytest.approx([40.0, 0.0], rel=0.02)
    assert measured["lit_fraction"][0] == pytest.approx(np.pi * 100 / 3600, rel=0.05)


def test_simulated_card_has_flux_and_repeats_exactly(data):
    text = make_card(data)
    assert text == make_card(data) and "flux density, Jy | 20 |" in text and "Known faults" not in text
    assert make_contact_sheet(data.train) == make_contact_sheet(data.train)


def test_sheets_of_unlabelled_and_colour_images(data):
    size = Image.open(io.BytesIO(make_contact_sheet(data.train.without_labels()))).size
    assert size == (12 * 150, 2 * 150)
    colour = ImageSet("c", np.full((3, 3, 8, 8), 9, np.uint8), [0, 0, 0], list("abc"), ("x",))
    assert Image.open(io.BytesIO(make_contact_sheet(colour))).getpixel((0, 0)) == (9, 9, 9)


def test_an_unwritable_folder_is_an_error(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="choose a writable folder"):
        write_card(data, tmp_path / "file")
