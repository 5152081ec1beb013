import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from equirgz.config import DataConfig, parse_run
from equirgz.data.imageset import ImageSet
from equirgz.data.preprocess import Preprocessing, crop_centre, disk, resample, resampling_matrix, stretch
from equirgz.errors import InputError
from equirgz.geometry.action import disk_mask

D4 = [lambda x, k=k, f=f: np.rot90(x[..., ::-1] if f else x, k, (-2, -1)) for k in range(4) for f in (0, 1)]


@pytest.mark.parametrize(("size_in", "size_out"), [(150, 65), (150, 81), (75, 33), (64, 64), (33, 65), (151, 51)])
def test_resampling_commutes_with_turns_and_flips_to_the_last_bit(size_in, size_out):
    x_NHW = np.random.default_rng(0).random((3, size_in, size_in)).astype(np.float32)
    y_NHW = resample(x_NHW, size_out)
    for turn in D4:
        assert (resample(turn(x_NHW), size_out) == turn(y_NHW)).all()


@pytest.mark.parametrize(("size_in", "size_out"), [(150, 65), (12, 4), (7, 3)])
def test_downsampling_is_the_mean_over_the_area_of_a_pixel(size_in, size_out):
    x = np.random.default_rng(1).random((1, size_in, size_in))
    fine = np.kron(x, np.ones((1, size_out, size_out)))  # size_in * size_out is divisible by both
    brute = fine.reshape(1, size_out, size_in, size_out, size_in).mean((2, 4))
    np.testing.assert_allclose(resample(x, size_out), brute, rtol=1e-6)


def test_rows_sum_to_one_and_linear_images_stay_linear_when_enlarged():
    for size_in, size_out in ((150, 65), (33, 65), (5, 5)):
        np.testing.assert_allclose(resampling_matrix(size_in, size_out).sum(1), 1, rtol=1e-12)
    ramp = np.broadcast_to(np.arange(9.0), (1, 9, 9))
    inner = resample(ramp, 27)[0, 13, 3:-3]
    np.testing.assert_allclose(np.diff(inner), 1 / 3, rtol=1e-5)


def test_the_central_pixel_stays_central_for_odd_sizes():
    x = np.zeros((1, 151, 151))
    x[0, 75, 75] = 1
    assert np.unravel_index(resample(x, 65)[0].argmax(), (65, 65)) == (32, 32)
    assert crop_centre(x, 101)[0, 50, 50] == 1


@pytest.mark.parametrize("kind", ["linear", "sqrt", "asinh"])
def test_stretches_are_monotone_and_keep_0_and_1(kind):
    v = np.linspace(0, 1, 101).astype(np.float32)
    y = stretch(v, kind)
    assert y[0] == 0 and y[-1] == pytest.approx(1) and (np.diff(y) > 0).all()
    np.testing.assert_allclose(stretch(-v, kind), -y, rtol=1e-6)


@pytest.mark.parametrize("size", [5, 64, 65])
def test_the_disk_is_that_of_geometry(size):
    assert (disk(size) == (disk_mask(size).numpy() > 0)).all()


def make_images(n=4, size=30, dtype=np.uint8):
    pixels = (np.random.default_rng(2).random((n, size, size)) * 255).astype(dtype)
    return ImageSet("toy", pixels, np.zeros(n), np.arange(n).astype(str), ("a",), 2.0)


def test_the_whole_chain_on_a_plain_case():
    images = make_images()
    out = Preprocessing(image_size=5, crop=10, stretch="linear", mask=False)(images)
    brute = images.image_NHW[:, 10:20, 10:20].reshape(4, 5, 2, 5, 2).mean((2, 4)) / 255
    np.testing.assert_allclose(out.image_NHW, brute, rtol=1e-6)
    assert out.image_NHW.dtype == np.float32 and out.pixel_scale_arcsec == 4.0
    masked = Preprocessing(image_size=5, crop=10, stretch="linear")(images)
    assert (masked.image_NHW[:, 0, 0] == 0).all() and (masked.image_NHW[:, 2, 2] == out.image_NHW[:, 2, 2]).all()


def test_float_images_are_taken_as_they_are():
    images = make_images(dtype=np.float32)
    out = Preprocessing(image_size=30, stretch="linear", mask=False)(images)
    assert (out.image_NHW == images.image_NHW).all()


def test_hash_and_checksum_follow_the_settings():
    hashes = {
        Preprocessing(**kwargs).hash
        for kwargs in ({}, {"image_size": 81}, {"crop": 100}, {"stretch": "asinh"}, {"mask": False})
    }
    assert len(hashes) == 5
    images = make_images()
    assert Preprocessing(5)(images).checksum == Preprocessing(5)(images).checksum != Preprocessing(7)(images).checksum


def test_defaults_are_those_of_the_run_configuration():
    config = DataConfig()
    assert Preprocessing() == Preprocessing(config.image_size, config.crop, config.stretch, config.mask)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"crop": 31}, "at most the image's 30 px, got 31"),
        ({"stretch": "log"}, "unknown 'log'"),
        ({"image_size": 0}, "at least 1"),
    ],
)
def test_bad_settings_are_refused(arguments, expected):
    with pytest.raises(InputError, match=expected):
        Preprocessing(**{"image_size": 15, **arguments})(make_images())
    with pytest.raises(InputError, match="square"):
        resample(np.zeros((1, 4, 5)), 2)


def test_a_large_set_is_not_copied_twice():
    images = make_images(4000, 64)
    tracemalloc.start()
    made = Preprocessing(64)(images)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.image_NHW.dtype == np.float32 and peak_bytes < 2 * made.image_NHW.nbytes


def test_a_crop_on_the_sky_is_that_many_pixels():
    images = make_images(3, 30)  # 2 arcsec a pixel
    on_sky, in_pixels = Preprocessing(9, crop_arcsec=40.4), Preprocessing(9, crop=20)
    assert np.array_equal(on_sky(images).image_NHW, in_pixels(images).image_NHW)
    assert on_sky(images).pixel_scale_arcsec == in_pixels(images).pixel_scale_arcsec == pytest.approx(40 / 9)
    assert on_sky.hash != in_pixels.hash
    with pytest.raises(InputError, match="known pixel scale"):
        on_sky(replace(images, pixel_scale_arcsec=float("nan")))
    with pytest.raises(InputError, match="got both"):
        Preprocessing(9, crop=20, crop_arcsec=40.0)
    with pytest.raises(InputError, match="crop or crop_arcsec"):
        parse_run({"data": {"crop": 20, "crop_arcsec": 40.0}})


def test_softening_is_in_the_units_of_the_images():
    peak_jy = np.array([0.0, 1e-3, 7.4e-3], np.float32).reshape(1, 1, 3)
    soft = stretch(peak_jy, "asinh", 1e-3)
    assert soft == pytest.approx(np.arcsinh(peak_jy / 1e-3) / np.arcsinh(1e3), rel=1e-5)
    assert soft.max() / soft[0, 0, 1] < 3.2, "compressed: 7.4 times the flux is 3.1 times as bright"
    assert Preprocessing(softening=1e-3).hash != Preprocessing().hash
    for bad in (0.0, -1.0, float("inf")):
        with pytest.raises(InputError, match="softening"):
            Preprocessing(softening=bad)


def test_settings_at_their_defaults_are_no_part_of_a_run():
    fields = DataConfig().model_dump()
    assert not {"crop_arcsec", "softening"} & set(fields)
    set_here = {"softening": 0.01, "crop_arcsec": 90.0}
    assert DataConfig(**set_here).model_dump().items() >= set_here.items()
