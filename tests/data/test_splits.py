import numpy as np
import pytest

from equirgz.data.splits.labelled import (
    load_manifest,
    make_manifest,
    make_split,
    stratified_order,
    write_manifest,
)
from equirgz.errors import DataError, InputError

LABELS = np.repeat([0, 1, 2], [348, 381, 20])


def test_label_sets_are_nested_and_validation_is_apart():
    splits = {n: make_split(LABELS, n_labels=n, n_val=100, split_seed=3) for n in (50, 145, 291, 583)}
    for small, large in zip((50, 145, 291), (145, 291, 583), strict=True):
        assert (splits[large].train_index[:small] == splits[small].train_index).all()
    for n, split in splits.items():
        assert len(set(split.train_index)) == n and len(split.val_index) == 100
        assert not set(split.train_index) & set(split.val_index)
        assert not set(split.unlabelled_index) & set(split.val_index)
        assert set(split.train_index) <= set(split.unlabelled_index)
        assert (split.val_index == splits[50].val_index).all()
    assert len(make_split(LABELS, n_labels=None, n_val=100).train_index) == len(LABELS) - 100


@pytest.mark.parametrize("seed", range(5))
def test_every_run_of_the_order_holds_the_classes_in_proportion(seed):
    order = stratified_order(LABELS, seed)
    assert sorted(order) == list(range(len(LABELS)))
    share = np.bincount(LABELS) / len(LABELS)
    for start, stop in ((0, 50), (100, 145), (500, 749)):
        counts = np.bincount(LABELS[order[start:stop]], minlength=3)
        assert np.abs(counts - share * (stop - start)).max() <= 1.5


def test_split_depends_on_the_split_seed_alone():
    first = make_split(LABELS, n_labels=50, split_seed=7)
    assert first.checksum == make_split(LABELS.astype(np.int32), n_labels=50, split_seed=7).checksum
    assert first.checksum != make_split(LABELS, n_labels=50, split_seed=8).checksum
    # frozen: published label sets must never move
    assert make_split(np.arange(10) % 2, n_labels=6, n_val=2, split_seed=0).train_index.tolist() == [
        9,
        2,
        7,
        0,
        3,
        4,
    ]


def test_every_source_is_equally_likely_to_be_labelled():
    labels = np.arange(40) % 2
    chosen = np.concatenate([make_split(labels, n_labels=10, split_seed=s).train_index for s in range(400)])
    counts = np.bincount(chosen, minlength=40)
    assert abs(counts.mean() - 100) < 1e-9 and counts.min() > 65 and counts.max() < 135


def test_sources_without_a_label_are_in_the_unlabelled_index_alone():
    labels = np.full(60, -1)
    labels[1::2] = np.arange(30) % 2
    split, plain = (make_split(x, n_labels=9, n_val=6, split_seed=4) for x in (labels, labels[1::2]))
    assert (split.train_index == 2 * plain.train_index + 1).all()  # as if the others were not there
    assert (split.val_index == 2 * plain.val_index + 1).all()
    expected = set(range(0, 60, 2)) | set((2 * plain.unlabelled_index + 1).tolist())
    assert set(split.unlabelled_index.tolist()) == expected and len(split.unlabelled_index) == 54
    assert len(make_split(labels, n_labels=None, n_val=6).train_index) == 24
    with pytest.raises(InputError, match="n_val <= 30 training sources, got n_labels=31"):
        make_split(labels, n_labels=31)
    assert len(make_split(np.full(8, -1), n_labels=None, n_val=2).train_index) == 6  # a pool without any


@pytest.mark.parametrize(
    ("n_labels", "n_val", "expected"),
    [
        (750, 0, "at most 749 labels"),
        (700, 50, "at most 699 labels"),
        (None, 749, "n_val=749"),
        (2, 0, "each of 3 classes, got 2"),
    ],
)
def test_impossible_label_counts_are_refused(n_labels, n_val, expected):
    with pytest.raises(InputError, match=expected):
        make_split(LABELS, n_labels=n_labels, n_val=n_val)


def test_a_label_set_without_a_rare_class_is_refused():
    with pytest.raises(InputError, match=r"every class among the labelled sources, got none of class \[1\]"):
        make_split(np.repeat([0, 1], [1000, 2]), n_labels=3, split_seed=0)


def test_manifests_survive_reordering_and_refuse_changes(tmp_path):
    ids = np.array([f"source_{i}" for i in range(len(LABELS))])
    split = make_split(LABELS, n_labels=50, n_val=20, split_seed=2)
    manifest = make_manifest("toy", ids, split, split_seed=2)
    write_manifest(tmp_path / "m.json", manifest)
    loaded = load_manifest(tmp_path / "m.json", ids)
    assert (loaded.train_index == split.train_index).all() and (loaded.val_index == split.val_index).all()
    assert loaded.checksum == split.checksum and (loaded.unlabelled_index == split.unlabelled_index).all()
    turned = load_manifest(tmp_path / "m.json", ids[::-1])
    assert (ids[::-1][turned.train_index] == ids[split.train_index]).all()
    with pytest.raises(DataError, match="expected sources of this set, got"):
        load_manifest(tmp_path / "m.json", ids[:100])
    manifest["train"][0] = "source_748"
    write_manifest(tmp_path / "bad.json", manifest)
    with pytest.raises(DataError, match="altered"):
        load_manifest(tmp_path / "bad.json", ids)
