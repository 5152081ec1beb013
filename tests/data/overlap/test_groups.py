"""No fold and no held-out set shares a field of the sky, or an image, with the sources that train."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.config import DataConfig, SplitConfig
from equirgz.data import Data, load_data, split_data
from equirgz.data.imageset import ImageSet
from equirgz.data.overlap.describe import count_groups, describe_groups, list_same
from equirgz.data.overlap.exact import match_copies
from equirgz.data.overlap.grouping import Grouping
from equirgz.data.overlap.groups import (
    divide,
    find_fields,
    find_tiles,
    group_sources,
    keep_apart,
    keep_together,
    own_sources,
)
from equirgz.data.overlap.leaks import LEAK_RADIUS_ARCSEC, refuse_leaks
from equirgz.data.sky.position import match_positions
from equirgz.data.splits.test_part import split_off_test
from equirgz.errors import InputError


def make_set(position_deg=None, image_NHW=None, n=6) -> ImageSet:
    rng = np.random.default_rng(0)
    image_NHW = rng.normal(size=(n, 5, 5)).astype(np.float32) if image_NHW is None else image_NHW
    names = np.array([f"s{i}" for i in range(n)])
    return ImageSet("set", image_NHW, np.zeros(n, int), names, ("a", "b"), 1.8, position_deg)


def test_fields_follow_positions_and_pixels_from_source_to_source():
    ra = np.array([10.0, 10.0 + 260 / 3600, 10.0 + 520 / 3600, 50.0, 80.0, np.nan])
    images = make_set(np.stack([ra, np.zeros(6)], 1))
    image_NHW = images.image_NHW.copy()
    image_NHW[5] = np.rot90(image_NHW[3])  # no position, but the image of another, turned
    field = find_fields(make_set(images.position_deg_N2, image_NHW))
    assert field[0] == field[1] == field[2] and field[3] == field[5] and len(set(field)) == 3
    assert len(set(find_fields(make_set()))) == 6
    assert set(match_copies(make_set(image_NHW=image_NHW)).i) == {3, 5}


@pytest.mark.parametrize("seed", range(5))
def test_pieces_keep_sizes_and_classes_and_divide_no_field(seed):
    rng = np.random.default_rng(seed)
    n = 120
    label = rng.integers(0, 2, n)
    field = np.arange(n)
    for first in rng.choice(n, 12, replace=False):
        field[rng.choice(n, 2)] = field[first]
    pieces = np.array_split(rng.permutation(n), 5)
    kept = keep_together(pieces, np.unique(field, return_inverse=True)[1], label)
    assert sorted(np.concatenate(kept)) == list(range(n))
    of = np.empty(n, int)
    for p, (before, after) in enumerate(zip(pieces, kept, strict=True)):
        assert len(before) == len(after) and label[before].sum() == label[after].sum()
        of[after] = p
    assert all(len(set(of[field == f])) == 1 for f in field)


def test_pieces_that_divide_nothing_come_back_and_a_field_larger_than_a_piece_is_whole():
    pieces = [np.array([2, 0]), np.array([1, 3])]
    assert [p.tolist() for p in keep_together(pieces, np.arange(4), np.zeros(4, int))] == [[2, 0], [1, 3]]
    grown = keep_together(pieces, np.array([0, 0, 1, 0]), np.zeros(4, int))
    assert sorted(grown[0]) == [0, 1, 3] and grown[1].tolist() == [2]


@pytest.mark.parametrize("split", [{"n_folds": 5, "fold": 0}, {"n_folds": 5, "fold": 3}, {"hold_out": 146}])
@pytest.mark.parametrize("split_seed", [0, 1, 2])
def test_no_field_of_mirabest_is_trained_and_tested_on(data_root, split, split_seed):
    """Before, two of the published near-duplicates (8 and 44 arcsec apart) fell into different folds."""
    config = DataConfig(name="mirabest_confident", image_size=33, crop=81)
    data, _ = split_data(load_data(config, data_root), config, SplitConfig(split_seed=split_seed, **split))
    test, train = data.tests["test"], data.train
    assert not len(match_positions(test.position_deg_N2, train.position_deg_N2, LEAK_RADIUS_ARCSEC)[0])
    n = 833 if "fold" in split else 729
    assert len(test) + len(train) == n and len(test) in (166, 167, 146)


def own_set(image_NHW, label_N=None, position=None, grouping=None, name="own"):
    n = len(image_NHW)
    label_N = np.arange(n) % 2 if label_N is None else label_N
    images = ImageSet(name, image_NHW, label_N, np.arange(n).astype(str), ("a", "b"), 1.8, position)
    return own_sources(images, grouping or Grouping())


def noise(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 12, 12), dtype=np.uint8)


def planted(seed=0, n=40, n_copies=12):
    rng = np.random.default_rng(seed)
    source_M = rng.choice(n, n_copies)  # some have several copies
    base_NHW = noise(n, seed)
    copies = [np.rot90(base_NHW[k], rng.integers(0, 4))[:: rng.choice([1, -1])] for k in source_M]
    return np.concatenate([base_NHW, copies]), np.concatenate([np.arange(n), source_M])


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16), test_fraction=st.floats(0.1, 0.6), n_folds=st.integers(2, 6))
def test_no_split_of_own_images_divides_planted_copies(seed, test_fraction, n_folds):
    image_NHW, source_N = planted(seed)
    images = own_set(image_NHW, source_N % 2)
    assert (find_fields(images)[source_N] == find_fields(images)).all()
    source_of = dict(zip(images.source_id_N, source_N, strict=True))

    def sources(part):
        return {source_of[source] for source in part.source_id_N}

    data = split_off_test(images, test_fraction, seed)
    assert not sources(data.train) & sources(data.tests["test"])
    assert len(data.train) + len(data.tests["test"]) == 52
    assert abs(len(data.tests["test"]) - round(52 * test_fraction)) <= np.bincount(source_N).max()
    config = DataConfig(name="folder", normalise=False)
    tested = []
    for fold in range(n_folds):
        split = SplitConfig(fold=fold, n_folds=n_folds, n_val=6, split_seed=seed)
        part, labels = split_data(data, config, split)
        assert not sources(part.train) & sources(part.tests["test"])
        val, rest = part.train.subset(labels.val_index), part.train.subset(labels.unlabelled_index)
        assert len(val) and not sources(val) & sources(rest)
        tested += part.tests["test"].source_id_N.tolist()
    assert sorted(tested) == sorted(images.source_id_N)
    held, _ = split_data(data, config, SplitConfig(hold_out=10, split_seed=seed))
    assert not sources(held.train) & sources(held.tests["test"])


def test_a_deep_field_is_one_group_per_source_unless_a_radius_or_tiles_say_otherwise():
    ra, dec = np.meshgrid(150 + np.arange(8) * 200 / 3600, 2 + np.arange(8) * 200 / 3600)
    field = np.stack([ra.ravel(), dec.ravel()], 1)
    count = {}
    for grouping in (Grouping(), Grouping(270.0), Grouping(tile_arcsec=810.0), Grouping(0.0)):
        images = own_set(noise(64), position=field, grouping=grouping)
        count[grouping] = len(set(find_fields(images)))
    assert list(count.values())[:2] == [64, 1] and list(count.values())[3] == 64
    assert 4 <= count[Grouping(tile_arcsec=810.0)] <= 9
    tiled = own_set(noise(64), position=field, grouping=Grouping(tile_arcsec=810.0))
    pieces = divide(tiled, np.array_split(np.arange(64), 3), what="folds")
    tile_N = find_fields(tiled)
    assert all(map(len, pieces)) and sum(len(set(tile_N[piece])) for piece in pieces) == len(set(tile_N))
    chained = own_set(noise(64), position=field, grouping=Grouping(270.0))
    with pytest.raises(InputError, match="1 groups of 64 sources, the largest of 64: 3 stay empty"):
        divide(chained, np.array_split(np.arange(64), 4), what="split.n_folds 4")


@pytest.mark.parametrize("options", [{"radius_arcsec": -1.0}, {"radius_arcsec": float("nan")}, {"tile_arcsec": 0.0}])
def test_a_radius_or_tile_that_is_none_is_refused(options):
    with pytest.raises(InputError, match="group_"):
        Grouping(**options)


def test_tiles_hold_every_source_of_a_place_near_the_poles_and_over_the_meridian():
    place = np.array([[0.001, 0.01], [359.999, 0.01], [10.0, 89.99], [200.0, 89.99], [10.0, -89.99], [10.001, 0.01]])
    tile = find_tiles(place, 3600.0)
    assert tile[2] == tile[3] and tile[0] != tile[5] and len(set(tile)) == 5


def test_names_are_no_evidence_and_published_parts_are_compared():
    image_NHW = noise(20)
    train, test = group_sources([own_set(image_NHW[:12], name="own/train"), own_set(image_NHW[12:], name="own/test")])
    data = Data(train, {"test": test})
    assert keep_apart(data) is not None and count_groups(data)["groups"] == 20
    pool = train.joined(test, "all")  # equal ids of two folders are two sources
    assert len(set(pool.source_id_N)) == 20 and {"train/0", "test/0"} <= set(pool.source_id_N)
    assert refuse_leaks(test, {"train": train}) is test
    image_NHW[15] = np.rot90(image_NHW[3])
    train, test = group_sources([own_set(image_NHW[:12]), own_set(image_NHW[12:])])
    with pytest.raises(InputError, match=r"got 1 of 12 \(1 by pixels"):
        keep_apart(Data(train, {"test": test}))
    kept = keep_apart(Data(train, {"test": test}, train.without_labels()), drop=True)
    assert len(kept.train) == len(kept.unlabelled) == 11 and "3" not in kept.train.source_id_N
    with pytest.raises(InputError, match="with the pixels of a training source"):
        refuse_leaks(test, {"train": train}, held="training")


def test_what_is_the_same_is_counted_and_named():
    image_NHW = noise(6)
    image_NHW[4] = image_NHW[1][::-1]
    place_N2 = np.array([[10.0, 0], [20, 0], [30, 0], [10.001, 0], [np.nan, np.nan], [np.nan, np.nan]])
    images = own_set(image_NHW, np.array([0, 0, 1, 1, 1, 0]), place_N2)
    found = count_groups(Data(images, {}))
    assert found == {"images": 6, "groups": 4, "copies": 1, "look_alikes": 0, "neighbours": 1, "largest": 2}
    assert describe_groups(Data(images, {})).startswith("own: 6 images in 4 groups that no split divides (1 copies")
    assert list(list_same(images)) == [
        "4: same pixels as 1, but labelled b and not a",
        "3: at the place of 0, but labelled b and not a",
    ]
    assert describe_groups(Data(make_set(), {})) == "" and list(list_same(make_set())) == []
