from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from equirgz.data.check.data_root import check_pair, find_set_faults
from equirgz.data.imageset import ImageSet
from equirgz.data.overlap.compare import check_overlap, match_embeddings
from equirgz.data.overlap.leaks import refuse_leaks
from equirgz.data.overlap.likeness import match_images, polar_maps
from equirgz.data.simulate.synthetic import Observation, simulate
from equirgz.errors import DataError, InputError


@pytest.fixture(scope="module")
def images():
    return simulate(40, ("FRI", "FRII", "bent"), Observation(field_sources=0, sidelobe_level=0), 5, "base")


def make_set(pixels, name="b", position=None):
    n = len(pixels)
    return ImageSet(name, pixels, np.full(n, -1), np.array([f"{name}{i}" for i in range(n)]), (), 1.8, position)


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("quarter", range(4))
def test_lattice_turns_are_found_with_their_orientation(images, reflect, quarter):
    source = images.image_NHW[:6]
    turned = np.rot90(source[..., ::-1] if reflect else source, quarter, (-2, -1))
    pairs = match_images(make_set(np.ascontiguousarray(turned)), images, correlation=0.99)
    found = dict(zip(pairs.i.tolist(), zip(pairs.j, pairs.score, strict=True), strict=True))
    assert set(found) == set(range(6))
    for i in range(6):
        mine = [k for k in range(len(pairs)) if pairs.i[k] == i and pairs.j[k] == i]
        assert len(mine) == 1 and pairs.score[mine[0]] == pytest.approx(1, abs=1e-4)
        k = mine[0]
        laid = np.rot90(
            images.image_NHW[i][:, ::-1] if pairs.reflect[k] else images.image_NHW[i],
            round(pairs.angle_deg[k] / 90),
        )
        inside = slice(20, 130)
        a, b = (np.sqrt(x[inside, inside].astype(float)) for x in (laid, turned[i]))
        assert (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()) > 0.99


def test_arbitrary_angles_shifts_and_brightness_are_found(images):
    source = images.image_NHW[:8].astype(float)
    turned = np.stack([ndimage.rotate(x, 33.0, reshape=False, order=1) for x in source])
    moved = np.roll(turned, (3, -4), (1, 2)) * 0.6
    pairs = match_images(images, make_set(moved.astype(np.uint8)), correlation=0.95)
    own = [k for k in range(len(pairs)) if pairs.i[k] == pairs.j[k]]
    assert len(own) >= 7
    # b is turned back by -33 degrees as the turn was counter-clockwise
    off = (pairs.angle_deg[own] + 33 + 90) % 180 - 90  # straight sources are alike after half a turn
    assert (np.abs(off[~pairs.reflect[own]]) < 4).sum() >= 6


def test_different_sources_do_not_match(images):
    other = simulate(60, ("FRI", "bent"), Observation(field_sources=0), 6, "other")
    pairs = match_images(images, other, correlation=0.99)
    assert len(pairs.sources_a) <= 2
    assert len(match_images(images, images, correlation=0.99)) <= 2  # i < j only
    twice = make_set(np.concatenate([images.image_NHW[:5], images.image_NHW[2:3]]))
    pairs = match_images(twice, twice, correlation=0.999)
    assert list(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)) == [(2, 5)]


def test_blank_images_match_nothing(images):
    blank = make_set(np.stack([np.zeros((150, 150), np.uint8), np.full((150, 150), 7, np.uint8)]))
    assert len(match_images(blank, images)) == 0 and len(match_images(blank, blank)) == 0


def test_polar_maps_shift_under_rotation():
    rows, columns = np.mgrid[:49, :49] - 24.0
    image = np.exp(-((rows - 6) ** 2 + (columns - 9) ** 2) / 20)
    maps = polar_maps(np.stack([image, np.rot90(image)]))
    np.testing.assert_allclose(np.roll(maps[0], 24, axis=1), maps[1], atol=2e-3)
    np.testing.assert_allclose((maps**2).sum((1, 2)), 1, rtol=1e-5)


def test_embeddings_match_by_cosine():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(300, 16))
    b = np.concatenate([3 * a[[7, 280]], rng.normal(size=(20, 16)), np.zeros((1, 16))])
    pairs = match_embeddings(a, b)
    assert list(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)) == [(7, 0), (280, 1)]
    with pytest.raises(InputError, match=r"\(N, F\) and \(M, F\)"):
        match_embeddings(a, b[:, :4])


def test_overlap_reports_every_criterion(images):
    position = np.stack([np.linspace(10, 20, 40), np.zeros(40)], 1)
    a = make_set(images.image_NHW, "a", position)
    near = position[:4] + np.array([[0, 0], [0.01, 0], [0.05, 0], [3, 3]])
    b = make_set(np.ascontiguousarray(np.rot90(images.image_NHW[20:24], 1, (1, 2))), "b", near)
    overlap = check_overlap(a, b, embedding_a=np.eye(40), embedding_b=np.eye(40)[:4])
    assert overlap.same_object.sources_a.tolist() == [0, 1]
    assert overlap.same_field.sources_a.tolist() == [0, 1, 2]
    assert {20, 21, 22, 23} <= set(overlap.same_image.sources_a.tolist())
    assert overlap.same_embedding.sources_b.tolist() == [0, 1, 2, 3]
    assert {0, 1, 20, 21, 22, 23} <= set(overlap.shared_a().tolist())
    assert set(overlap.shared_b().tolist()) == {0, 1, 2, 3}
    text = "\n".join(overlap.lines())
    assert "same object by position: 2 of A in 2 of B" in text and "in all:" in text
    far = make_set(images.image_NHW[:2], "c", position[:2] + 50)
    assert check_overlap(far, b, images=False).lines()[-1] == "  clean"
    assert check_overlap(make_set(images.image_NHW[:2]), b, images=False).same_object is None


def test_clean_is_said_only_where_something_was_compared_and_nothing_is_shared(images):
    a, b = make_set(images.image_NHW[:3], "a"), make_set(images.image_NHW[:3], "b")
    wide = replace(b, pixel_scale_arcsec=15.0)
    none = "by position (3 of 3 sources of a and 3 of 3 sources of b have none)"
    assert check_overlap(a, wide).lines()[1:] == [
        f"  not compared: {none}; by image (pixel scales of 1.8 and 15 arcsec)"
    ]
    unknown = replace(wide, pixel_scale_arcsec=float("nan"))
    assert "by image (pixel scales of 1.8 and nan arcsec)" in check_overlap(a, unknown).lines()[-1]
    assert check_overlap(a, b, images=False).lines()[1:] == [f"  not compared: {none}"]
    position = np.array([[10.0, 0], [20, 0], [30, 0]])
    blank = np.full((3, 2), np.nan)
    lost = check_overlap(replace(a, position_deg_N2=position), replace(b, position_deg_N2=blank), images=False)
    assert lost.same_object is None and lost.lines()[1:] == [
        "  not compared: by position (3 of 3 sources of b have none)"
    ]
    some = np.concatenate([position[:2] + 50, blank[:1]])
    part = check_overlap(replace(a, position_deg_N2=position), replace(b, position_deg_N2=some), images=False)
    assert part.lines()[3:] == ["  not compared: by position (1 of 3 sources of b have none)", "  clean"]


def test_fields_that_overlap_are_not_clean(images):
    position = np.array([[10.0, 0], [20, 0], [30, 0]])
    a = make_set(images.image_NHW[:3], "a", position)
    b = make_set(images.image_NHW[3:6], "b", position + [0, 200 / 3600])
    assert check_overlap(a, b, images=False).lines()[1:] == [
        "  same object by position: 0 of A in 0 of B",
        "  same field by position: 3 of A in 3 of B",
        "  in all: 0 of A, but 3 of A lie in a field of B",
    ]


def test_leaks_by_id_and_position_are_refused_or_dropped(images):
    position = np.stack([np.linspace(10, 20, 40), np.zeros(40)], 1)
    test = make_set(images.image_NHW[:3], "t", position[:3])
    pool = make_set(images.image_NHW, "p", position + np.array([0, 0.07]))  # 252 arcsec north
    with pytest.raises(InputError, match=r"within 270 arcsec of a test source, got 3 \(e\.g\. p0\)"):
        refuse_leaks(pool, {"test": test})
    assert len(refuse_leaks(pool, {"test": test}, drop=True)) == 37
    clean = make_set(images.image_NHW[3:], "p", position[3:] + np.array([0, 0.08]))
    assert refuse_leaks(clean, {"test": test}) is clean
    with pytest.raises(InputError, match="got 3"):
        refuse_leaks(make_set(images.image_NHW, "t"), {"test": test})
    with pytest.raises(DataError, match="outside the test set, got none"):
        refuse_leaks(test, {"test": test}, drop=True)


def test_faults_of_a_set_are_blank_and_repeated_images(images):
    pixels = np.concatenate([images.image_NHW[:3], images.image_NHW[1:2], np.zeros((2, 150, 150), np.uint8)])
    assert find_set_faults(make_set(pixels)) == [
        "b4: all pixels equal",
        "b5: all pixels equal",
        "b3: same pixels as b1",
    ]


def test_pair_of_datasets_by_name(data_root):
    overlaps = check_pair("mirabest_hybrid", "mirabest_uncertain", data_root)
    assert len(overlaps) == 4 and all(len(o.same_object) == 0 for o in overlaps)
