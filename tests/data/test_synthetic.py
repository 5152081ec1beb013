import numpy as np
import pytest

from equirgz.data import load_data
from equirgz.data.noise_level import clipped_std
from equirgz.data.simulate.morphology import CLASS_NAMES, draw_sources
from equirgz.data.simulate.observe import Beam, beam_transform, deposit, observe
from equirgz.data.simulate.synthetic import Observation, draw_labels, simulate, simulate_raw
from equirgz.errors import InputError

FWHM = np.sqrt(8 * np.log(2))


def draw(kind, n=200, seed=0, **keywords):
    return draw_sources(np.full(n, CLASS_NAMES.index(kind)), np.random.default_rng(seed), **keywords)


def test_a_point_source_becomes_the_beam_with_its_flux_as_peak():
    beam = Beam(5.4)
    sources = draw("compact", 1)
    point = type(sources)(*(np.zeros((1, 1), np.float32),) * 2, np.full((1, 1), 0.3, np.float32), *(np.ones(1),) * 2)
    image = observe(point, beam, 0.0, 1.8, 65, np.random.default_rng(0), centring_px=0)[0].astype(float)
    assert image.max() == pytest.approx(0.3, rel=3e-4)
    row = np.arange(65) - 32
    expected = 0.3 * np.exp(-0.5 * (np.hypot(*np.meshgrid(row, row)) * 1.8 * FWHM / 5.4) ** 2)
    np.testing.assert_allclose(image, expected, atol=1e-4)
    assert image.sum() / beam.area_px(1.8) == pytest.approx(0.3, rel=1e-4)  # integrated flux density


def test_elliptical_beam_has_its_axes_and_angle():
    beam = Beam(9.0, axis_ratio=2.25, angle_deg=30)
    major, minor = np.array(beam.sigma_px(1.0)) * FWHM
    assert (major, minor) == pytest.approx((13.5, 6.0))
    image = np.fft.fftshift(np.fft.irfft2(beam_transform(beam, 1.0, 129), s=(129, 129)))
    rows, columns = np.mgrid[-64:65, -64:65]
    total = image.sum()
    moments = np.array([[(image * a * b).sum() / total for a in (rows, columns)] for b in (rows, columns)])
    values, vectors = np.linalg.eigh(moments)
    np.testing.assert_allclose(np.sqrt(values) * FWHM, [6.0, 13.5], rtol=1e-3)
    assert np.rad2deg(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180 == pytest.approx(30, abs=0.1)


def test_deposit_keeps_flux_and_first_moments():
    rng = np.random.default_rng(1)
    x, y, flux = rng.uniform(3, 20, (2, 50)), rng.uniform(3, 20, (2, 50)), rng.random((2, 50))
    sky = deposit(x, y, flux, 24)
    rows, columns = np.mgrid[:24, :24]
    for i in range(2):
        assert sky[i].sum() == pytest.approx(flux[i].sum(), rel=1e-5)
        assert (sky[i] * columns).sum() == pytest.approx((flux[i] * x[i]).sum(), rel=1e-5)
        assert (sky[i] * rows).sum() == pytest.approx((flux[i] * y[i]).sum(), rel=1e-5)
    assert deposit(np.array([[-1.0, 23.5]]), np.array([[5.0, 5.0]]), np.ones((1, 2)), 24).sum() == 0


@pytest.mark.parametrize("beam_arcsec", [5.4, 10.8])
def test_noise_has_the_rms_and_the_correlation_of_the_beam(beam_arcsec):
    survey = Observation(beam_arcsec=beam_arcsec, noise_mjy_per_beam=0.2, flux_scale=1e-9, field_sources=0)
    raw, _ = simulate_raw(np.zeros(4, int), ("FRI",), survey, np.random.default_rng(0))
    assert raw.std() == pytest.approx(2e-4, rel=0.03)
    sigma = beam_arcsec / 1.8 / FWHM
    for lag in (1, 3):
        correlation = (raw[:, :, lag:] * raw[:, :, :-lag]).mean() / raw.var()
        assert correlation == pytest.approx(np.exp(-(lag**2) / (4 * sigma**2)), abs=0.04)


@pytest.mark.parametrize("kind", CLASS_NAMES)
def test_sources_have_their_flux_and_size(kind):
    sources = draw(kind)
    np.testing.assert_allclose(sources.flux_jy_NP.sum(1), sources.flux_jy_N, rtol=1e-4)
    assert (sources.flux_jy_NP >= 0).all() and np.isfinite(sources.x_arcsec_NP).all()
    radius = np.hypot(sources.x_arcsec_NP, sources.y_arcsec_NP)
    extent = 2 * np.quantile(radius, 0.98, axis=1)
    ratio = np.median(extent / sources.las_arcsec_N)
    assert 0.6 < ratio < 1.6
    doubled = draw(kind, size_scale=2.0, flux_scale=3.0)
    np.testing.assert_allclose(doubled.las_arcsec_N, 2 * sources.las_arcsec_N, rtol=1e-5)
    assert np.median(doubled.flux_jy_N) > 2.9 * np.median(sources.flux_jy_N)


def brightness_radius(sources):
    """Flux-weighted median distance from the core over the half-extent, cores left out."""
    fractions = []
    for x, y, flux, las in zip(
        sources.x_arcsec_NP[:, 1:],
        sources.y_arcsec_NP[:, 1:],
        sources.flux_jy_NP[:, 1:],
        sources.las_arcsec_N,
        strict=True,
    ):
        radius = np.hypot(x, y)
        order = np.argsort(radius)
        total = np.cumsum(flux[order])
        fractions.append(radius[order][np.searchsorted(total, total[-1] / 2)] / (las / 2))
    return np.array(fractions)


def test_fri_are_darkened_and_frii_brightened_towards_their_edges():
    # Fanaroff and Riley's ratio: the brightest regions lie inside or outside half the extent
    fri, frii = brightness_radius(draw("FRI")), brightness_radius(draw("FRII"))
    assert np.mean(fri < 0.5) > 0.7 and np.mean(frii > 0.5) > 0.95
    assert np.mean(fri > 0.5) > 0.02  # the classes overlap


def test_bent_sources_lie_to_one_side_of_their_core():
    def one_sidedness(sources):
        weight = sources.flux_jy_NP / sources.flux_jy_NP.sum(1, keepdims=True)
        centre = np.hypot((weight * sources.x_arcsec_NP).sum(1), (weight * sources.y_arcsec_NP).sum(1))
        return np.median(centre / sources.las_arcsec_N)

    assert one_sidedness(draw("bent")) > 1.5 * one_sidedness(draw("FRI"))


def test_orientations_are_uniform():
    sources = draw("FRII", 600)
    weight = sources.flux_jy_NP
    x, y = sources.x_arcsec_NP, sources.y_arcsec_NP
    angle = 0.5 * np.arctan2(2 * (weight * x * y).sum(1), (weight * (x * x - y * y)).sum(1))
    assert abs(np.exp(2j * angle).mean()) < 0.12  # 3 sigma for 600 uniform axes


def test_images_look_like_those_of_the_archive(data_root):
    from equirgz.data.sets.mirabest import load_mirabest, select

    real = select(load_mirabest(data_root)[0], "confident")
    fake = simulate(128, ("FRI", "FRII"), Observation(), 0)
    assert fake.image_NHW.shape[1:] == (150, 150) and fake.image_NHW.dtype == np.uint8
    corner = np.hypot(*np.mgrid[-75:75, -75:75]) > 75
    assert fake.image_NHW[:, corner].max() == 0
    assert (fake.image_NHW.reshape(128, -1).max(1) == 255).mean() > 0.99
    for statistic in (
        lambda x: np.median((x > 0).sum((1, 2))),
        lambda x: x.mean(),
        lambda x: np.median((x > 128).sum((1, 2))),
        lambda x: np.median((x[:, 60:90, 60:90] > 0).sum((1, 2))),
    ):
        assert 0.5 < statistic(fake.image_NHW) / statistic(real.image_NHW) < 2


def test_same_seed_same_images_and_first_images_do_not_depend_on_the_number():
    first = simulate(40, ("FRI", "FRII"), Observation(), 3, "a")
    assert (first.image_NHW == simulate(40, ("FRI", "FRII"), Observation(), 3, "a").image_NHW).all()
    assert (first.image_NHW != simulate(40, ("FRI", "FRII"), Observation(), 4, "a").image_NHW).any((1, 2)).all()
    one_class = [simulate(n, ("bent",), Observation(), 3, "a").image_NHW for n in (32, 40)]
    assert (one_class[0] == one_class[1][:32]).all()


def test_simulator_version_is_raised_when_its_images_change():
    # if this fails on purpose: raise SIMULATOR_VERSION and write the new numbers here
    from equirgz.data.simulate.synthetic import SIMULATOR_VERSION

    images = simulate(64, CLASS_NAMES, Observation(), 0).image_NHW.astype(float)
    measured = [images.mean(), images.std(), images[:32].mean(), np.abs(np.diff(images, axis=2)).mean()]
    assert SIMULATOR_VERSION == 1
    np.testing.assert_allclose(measured, GOLDEN, rtol=1e-3)


GOLDEN = [0.622091, 7.997860, 0.750672, 0.233972]


def test_class_balance_and_order():
    rng = np.random.default_rng(0)
    assert np.bincount(draw_labels(10, np.array([0.25, 0.75]), rng)).tolist() == [2, 8]
    assert np.bincount(draw_labels(9, np.full(4, 0.25), rng), minlength=4).sum() == 9
    data = load_data("synthetic_fr", params={"n_train": 20, "n_test": 10, "survey": {"class_balance": 0.8}})
    assert data.train.class_counts() == {"FRI": 16, "FRII": 4}


def test_shifted_survey_gives_a_second_test_set_and_unlabelled_images():
    params = {"n_train": 8, "n_test": 8, "n_unlabelled": 6, "shift": {"beam_arcsec": 12.0}}
    data = load_data("synthetic_fr", params=params, image_size=33)
    assert set(data.tests) == {"test", "test_shift"} and len(data.unlabelled) == 6
    assert (data.unlabelled.label_N == -1).all() and data.tests["test_shift"].image_NHW.shape == (8, 33, 33)
    means = {name: images.image_NHW.mean((1, 2)) for name, images in data.tests.items()}
    assert (means["test_shift"] > means["test"]).all()  # the same sources, blurred
    assert (data.tests["test"].table == data.tests["test_shift"].table).all(axis=None)
    assert data.train.table["flux_jy"].between(0, 4).all()


def test_default_task_is_balanced_and_measured_noise_is_the_surveys():
    data = load_data("synthetic_fr", params={"n_train": 64, "n_test": 32})
    assert data.train.class_counts() == {"FRI": 32, "FRII": 32} and set(data.tests) == {"test"}
    raw, _ = simulate_raw(np.zeros(8, int), ("FRII",), Observation(), np.random.default_rng(0))
    assert np.median([clipped_std(x) for x in raw]) == pytest.approx(1.5e-4, rel=0.1)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"n_train": 0}, "n_train >= 1"),
        ({"classes": ["FRI", "FRIII"]}, "unknown 'FRIII'; did you mean"),
        ({"survey": {"beam": 5}}, "unknown keyword 'beam'; did you mean 'beam_arcsec'"),
        ({"survey": {"beam_arcsec": 0}}, "a positive number, got 0"),
        ({"survey": {"noise_mjy_per_beam": -1}}, "zero or more, got -1"),
        ({"survey": {"class_balance": [0.5, 0.2, 0.3]}}, "2 fractions that sum to 1"),
    ],
)
def test_bad_parameters_are_refused(params, expected):
    with pytest.raises(InputError, match=expected):
        load_data("synthetic_fr", params={"n_train": 4, "n_test": 2, **params})
