import numpy as np
import pytest

from equirgz.data.simulate.measure import MEASURES, measure_image, measure_images

SCALE, BEAM = 1.8, 5.4
SIGMA = BEAM / SCALE / np.sqrt(8 * np.log(2))


def blobs(*places, size=150):
    """Round beams of given flux at (row, column) from the centre, clipped at 1 % of the brightest."""
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    image = sum(flux * np.exp(-0.5 * ((row - r) ** 2 + (column - c) ** 2) / SIGMA**2) for r, c, flux in places)
    return np.where(image > 0.01 * image.max(), image / image.max() * 255, 0).astype(np.uint8)


def measure(*places):
    return measure_image(blobs(*places), SCALE, BEAM)


def test_a_point_is_a_point():
    found = measure((0, 0, 1))
    assert found["parts"] == 1 and found["others_share"] < 1e-9 and found["axial_ratio"] == pytest.approx(1, abs=0.05)
    assert found["core_share"] == found["peak_share"] > 0.4 and found["asymmetry"] < 0.1
    # a Gaussian reaches 1 % of its peak at 3.03 sigma
    assert np.exp(found["log_las"]) == pytest.approx((2 * 3.03 * SIGMA + 1) * SCALE, rel=0.1)


def test_a_double_has_its_peaks_apart_and_a_core_its_share():
    double = measure((0, -20, 1), (0, 20, 1))
    las_px = np.exp(double["log_las"]) / SCALE
    assert las_px == pytest.approx(40 + 6 * SIGMA + 1, rel=0.05)
    assert double["fr_ratio"] == pytest.approx(40 / las_px, abs=0.02)
    assert double["core_share"] == 0 and double["asymmetry"] < 0.02 and double["curvature"] < 0.01
    assert np.exp(double["log_rms_radius"]) == pytest.approx(SCALE * np.hypot(20, 1.35 * SIGMA), rel=0.03)
    lopsided = measure((0, -20, 3), (0, 20, 1))
    assert lopsided["asymmetry"] == pytest.approx(0.5, abs=0.05)
    triple = measure((0, -20, 1), (0, 0, 1), (0, 20, 1))
    assert triple["core_share"] == pytest.approx(measure((0, 0, 1))["core_share"] / 3, rel=0.15)
    bent = measure((0, -20, 1), (15, 0, 1), (0, 20, 1))
    assert bent["curvature"] > 0.15


def test_a_far_source_is_not_the_target():
    found = measure((0, 0, 1), (40, 30, 0.5))
    assert found["parts"] == 1 and found["others_share"] == pytest.approx(1 / 3, abs=0.04)


def test_specks_are_counted_and_dark_images_have_no_measures():
    dark = np.zeros((150, 150), np.uint8)
    dark[10:12, 75] = dark[100, 30] = 255
    found = measure_image(dark, SCALE, BEAM)
    assert found.pop("specks") == 2 and np.isnan(list(found.values())).all()
    table = measure_images(np.stack([dark, blobs((0, 0, 1))]), SCALE, BEAM)
    assert list(table.columns) == list(MEASURES) and table["log_las"].isna().tolist() == [True, False]


@pytest.mark.parametrize("turn", range(4))
def test_measures_do_not_depend_on_the_orientation(turn):
    image = blobs((3, -20, 1), (0, 0, 0.4), (-5, 18, 0.6), size=151)
    first, turned = measure_image(image, SCALE, BEAM), measure_image(np.rot90(image, turn)[:, ::-1], SCALE, BEAM)
    np.testing.assert_allclose(list(turned.values()), list(first.values()), atol=0.02)


def test_a_threshold_taken_off_changes_little():
    image = blobs((0, -12, 1), (0, 12, 0.7))
    off = np.where(image > 8, (image.astype(float) - 8) / 247 * 255, 0)
    first, second = measure_image(np.where(image > 8, image, 0), SCALE, BEAM), measure_image(off, SCALE, BEAM)
    np.testing.assert_allclose(list(second.values()), list(first.values()), atol=0.02)
