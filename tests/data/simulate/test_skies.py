import numpy as np
import pytest

from equirgz.data.simulate.priors import CLASS_NAMES, load_priors
from equirgz.data.simulate.skies import COMPONENT_P, COMPONENTS, SIDE_P, make_skies
from equirgz.errors import InputError

PRIORS = load_priors()
LIGHT = [name for name, k in zip(PRIORS.families, PRIORS.class_F, strict=True) if CLASS_NAMES[k] != "none"]


def draw(family, n=32, seed=0, priors=PRIORS, **options):
    return make_skies(np.full(n, PRIORS.families.index(family)), priors, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("family", LIGHT)
def test_the_truth_is_what_is_drawn(family):
    skies = draw(family)
    truth, flux = skies.truth, skies.flux_NP
    assert np.isfinite(skies.x_NP).all() and np.isfinite(flux).all() and (flux >= 0).all()
    np.testing.assert_allclose(flux.sum(1), truth["flux_mjy"], rtol=1e-4)
    shares = [truth[name] for name in ("core_share", "jet_share", "lobe_share", "hot_share")]
    np.testing.assert_allclose(sum(shares), 1, rtol=1e-4)
    for k, share in enumerate(shares):
        np.testing.assert_allclose(flux[:, k == COMPONENT_P].sum(1) / flux.sum(1), share, atol=1e-4)
    for i in range(0, len(flux), 6):  # the size by brute force: the greatest width over all angles
        extended = flux[i] * (COMPONENT_P > 0)
        widths = []
        for angle in np.linspace(0, np.pi, 90, endpoint=False):
            along = skies.x_NP[i] * np.cos(angle) + skies.y_NP[i] * np.sin(angle)
            order = np.argsort(along)
            mass = np.cumsum(extended[order]) / extended.sum()
            low, high = along[order][np.searchsorted(mass, [0.01, 0.99])]
            widths.append(max(high, 0) - min(low, 0))
        # a third of FIRST's beam where a source is about round, and its axis ill defined
        assert 0.85 * max(widths) - 1.8 < truth["las_arcsec"][i] < 1.03 * max(widths)


def test_sizes_are_those_of_the_table_and_scale():
    skies = draw("frii_classic", 400)
    median, sigma, low, high = PRIORS.numbers["las"][:, PRIORS.families.index("frii_classic")]
    log_las = np.log(skies.truth["las_arcsec"])
    assert np.median(log_las) == pytest.approx(np.log(median), abs=3 * sigma / 20)
    assert skies.truth["las_arcsec"].max() < 1.01 * high and skies.truth["las_arcsec"].min() > 0.45 * low
    doubled = draw("frii_classic", 400, size_scale=2.0, flux_scale=3.0)
    assert np.median(doubled.truth["las_arcsec"] / skies.truth["las_arcsec"]) == pytest.approx(2, rel=0.05)
    np.testing.assert_allclose(doubled.truth["flux_mjy"], 3 * skies.truth["flux_mjy"], rtol=1e-5)


def median(name, family):
    return np.median(draw(family, 96).truth[name])


def test_families_are_what_they_are_called():
    # Fanaroff and Riley: the brightest places lie within, or beyond, half the size
    assert np.mean(draw("fri_plumes", 128).truth["fr_ratio"] < 0.5) > 0.75
    assert np.mean(draw("frii_classic", 128).truth["fr_ratio"] > 0.5) > 0.88
    assert median("bending_deg", "bent_narrow") > median("bending_deg", "bent_wide") > 25
    assert median("bending_deg", "fri_plumes") < 25 and median("bending_deg", "frii_classic") < 12
    assert median("second_pair_share", "frii_double_double") > 0.05 > median("second_pair_share", "frii_classic")
    assert median("hot_share", "frii_spots") > 0.5 and median("core_share", "frii_core") > 0.1
    assert median("inclination_deg", "fri_one_sided") < median("inclination_deg", "fri_plumes")
    assert median("las_arcsec", "compact_core") < 9


def test_a_one_sided_jet_is_one_sided_and_a_hybrid_has_two_kinds_of_arms():
    def arm(skies, side):
        return (skies.flux_NP * ((side == SIDE_P) & (COMPONENT_P > 0))).sum(1)

    one = draw("fri_one_sided", 96)
    ratio = arm(one, 0) / np.maximum(arm(one, 1), 1e-9)
    assert np.median(ratio) > 3 > np.median(arm(draw("frii_classic", 96), 0) / arm(draw("frii_classic", 96), 1))
    hybrid = draw("hybrid", 96)
    lobes = [(hybrid.flux_NP * ((side == SIDE_P) & (COMPONENT_P == 2))).sum(1) / arm(hybrid, side) for side in (0, 1)]
    assert np.median(lobes[0]) > 0.4 and np.median(lobes[1]) < 0.2


def test_none_is_dark_and_says_so():
    skies = draw("none_noise", 4)
    assert skies.flux_NP.sum() == 0 and (skies.truth["flux_mjy"] == 0).all()
    assert all(np.isnan(value).all() for name, value in skies.truth.items() if name != "flux_mjy")


def test_an_overlay_changes_one_quantity_of_one_family():
    changed = load_priors({"fri_plumes": {"las": [100, 0, 100, 100]}})
    np.testing.assert_allclose(draw("fri_plumes", 8, priors=changed).truth["las_arcsec"], 100, rtol=1e-3)
    for name in PRIORS.numbers:
        different = (changed.numbers[name] != PRIORS.numbers[name]).any(0)
        assert set(np.array(PRIORS.families)[different]) <= ({"fri_plumes"} if name == "las" else set())


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"FRIII": {}}, "unknown 'FRIII'; did you mean"),
        ({"FRI": {"length": [1, 2]}}, "unknown 'length'"),
        ({"FRI": 3}, "a mapping of quantities"),
        ({"FRI": {"las": [60, 0.5]}}, r"lognormal \[median, sigma, lowest, highest\]"),
        ({"FRI": {"las": [-60, 0.5, 1, 100]}}, "within 0.05 to 3600 arcsec"),
        ({"FRI": {"las": [60, -0.5, 1, 100]}}, "sigma >= 0"),
        ({"FRI": {"las": ["a", 0.5, 1, 100]}}, "lognormal"),
        ({"FRII": {"hot": [1.5, 0, 0.5]}}, r"p in \[0, 1\]"),
        ({"FRII": {"hot": [1.0, 0.5, 0.1]}}, "in order"),
        ({"all": {"beta": [0.5, 1.2]}}, "within 0 to 0.99 c"),
        ({"compact_core": {"core": [0.5, 1, 0, 1.1]}}, "within 0 to 1"),
    ],
)
def test_priors_outside_their_physical_range_are_refused(overlay, expected):
    with pytest.raises(InputError, match=expected):
        load_priors(overlay)


def test_components_are_numbered_in_order():
    assert COMPONENTS[COMPONENT_P[0]] == "core" and SIDE_P[0] == -1
    assert set(COMPONENT_P.tolist()) == {0, 1, 2, 3} and set(SIDE_P.tolist()) == {-1, 0, 1}
