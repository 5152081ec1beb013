import json

import numpy as np
import pytest

from equirgz.data import DATASETS, make_split
from equirgz.data.splits import label_sets
from equirgz.data.splits.label_sets import (
    LABEL_COUNTS,
    SPLIT_SEEDS,
    load_label_set,
    load_label_sets,
    make_label_sets,
)
from equirgz.errors import DataError, InputError


@pytest.fixture(scope="module")
def trains(data_root):
    return {v: DATASETS.create("mirabest_confident", data_root, version=v).train for v in ("F", "v1")}


@pytest.mark.parametrize("version", ["F", "v1"])
def test_shipped_files_are_what_the_loader_and_the_split_give(trains, version):
    made = make_label_sets(trains[version])
    assert json.loads(json.dumps(made)) == load_label_sets(version)


@pytest.mark.parametrize("version", ["F", "v1"])
def test_label_sets_equal_make_split_and_survive_reordering(trains, version):
    train = trains[version]
    for seed in (0, 9):
        for n_labels in LABEL_COUNTS:
            n_val = min(100, 729 - n_labels)
            split = load_label_set(train, n_labels=n_labels, split_seed=seed, n_val=n_val, version=version)
            assert split.checksum == make_split(train.label_N, n_labels=n_labels, n_val=n_val, split_seed=seed).checksum
    turned = train.subset(np.arange(len(train))[::-1])
    split = load_label_set(turned, n_labels=50, split_seed=9, version=version)
    original = load_label_set(train, n_labels=50, split_seed=9, version=version)
    assert (turned.source_id_N[split.train_index] == train.source_id_N[original.train_index]).all()


@pytest.mark.parametrize("version", ["F", "v1"])
def test_shipped_label_sets_are_nested_stratified_and_different(version):
    manifest = load_label_sets(version)
    label = np.array(manifest["label"])
    assert sorted(manifest["source_id"]) == sorted(set(manifest["source_id"])) and len(label) == 729
    starts = set()
    for seed in SPLIT_SEEDS:
        order = np.array(manifest["order"][str(seed)])
        assert sorted(order) == list(range(729))
        for n_labels in LABEL_COUNTS:
            assert abs(label[order[:n_labels]].mean() - label.mean()) <= 1.1 / n_labels
        starts.add(tuple(order[:50]))
    assert len(starts) == len(SPLIT_SEEDS) and len(set(manifest["hash"].values())) >= 41


def test_other_counts_foreign_sets_and_altered_files_are_refused(trains, monkeypatch):
    with pytest.raises(InputError, match="use make_split"):
        load_label_set(trains["F"], n_labels=51, split_seed=0)
    with pytest.raises(DataError, match="sources of the label set, got none called"):
        load_label_set(trains["v1"], n_labels=50, split_seed=0)
    altered = json.loads(json.dumps(load_label_sets("F")))
    altered["order"]["0"][:2] = altered["order"]["0"][1::-1]
    monkeypatch.setattr(label_sets, "load_label_sets", lambda version: altered)
    with pytest.raises(DataError, match="hash"):
        load_label_set(trains["F"], n_labels=50, split_seed=0)
