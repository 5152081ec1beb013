"""Cross-validation: every pooled source is tested once, by seed alone, and contradictions are refused."""

from dataclasses import replace

import numpy as np
import pytest

from equirgz.config import DataConfig, SplitConfig
from equirgz.data import Data, load_data, split_data
from equirgz.errors import InputError
from equirgz.metrics.check import check_finite

CONFIG = DataConfig(name="synthetic_fr", image_size=17, params={"n_train": 43, "n_test": 20})


@pytest.fixture(scope="module")
def data() -> Data:
    return load_data(CONFIG)


def folds(data, *, n_folds=5, split_seed=0, **options):
    config = {"n_folds": n_folds, "split_seed": split_seed, **options}
    return [split_data(data, CONFIG, SplitConfig(fold=fold, **config)) for fold in range(n_folds)]


def test_each_source_is_tested_once_and_never_trained_on_in_its_fold(data):
    whole = np.concatenate([data.train.source_id_N, data.tests["test"].source_id_N])
    label_of = dict(zip(whole, [*data.train.label_N, *data.tests["test"].label_N], strict=True))
    tested = []
    for folded, split in folds(data):
        test, labelled = folded.tests["test"], folded.train.subset(split.train_index)
        assert set(folded.tests) == {"test"} and len(folded.train) + len(test) == len(whole)
        assert not set(test.source_id_N) & set(folded.train.source_id_N)
        assert len(labelled) == 63 - 13 and len(set(labelled.source_id_N)) == 50
        assert [label_of[source] for source in test.source_id_N] == test.label_N.tolist()
        tested += test.source_id_N.tolist()
    assert sorted(tested) == sorted(whole)


def test_folds_hold_the_classes_in_proportion_and_differ_by_seed_alone(data):
    def members(seed):
        return [set(folded.tests["test"].source_id_N) for folded, _ in folds(data, split_seed=seed)]

    share = np.mean([*data.train.label_N, *data.tests["test"].label_N])
    for folded, _ in folds(data):
        label_N = folded.tests["test"].label_N
        assert abs(label_N.sum() - share * len(label_N)) <= 1.5
    assert members(3) == members(3) and members(3) != members(4)


def test_pixels_are_scaled_by_the_training_part_of_the_fold(data):
    for folded, _ in folds(data):
        check_finite("pixels", folded.train.image_NHW.reshape(-1), 1)
        assert np.sqrt(np.mean(np.square(folded.train.image_NHW, dtype=np.float64))) == pytest.approx(1, rel=1e-6)
        assert folded.checksum == data.checksum


def test_label_and_validation_counts_are_the_same_in_every_fold(data):
    for folded, split in folds(data, n_labels=20, n_val=10):
        assert len(split.train_index) == 20 and len(split.val_index) == 10
        assert not set(split.train_index) & set(split.val_index)
        assert split.train_index.max() < len(folded.train)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"n_labels": 51},
            r"expected n_labels \+ n_val <= 50, the 63 pooled sources less a fold, got n_labels=51",
        ),
        ({"n_labels": 45, "n_val": 6}, "ask for at most 44 labels"),
        ({"n_val": 50}, "n_labels=None, n_val=50"),
        ({"n_folds": 64}, "at most the 63 pooled sources, got 64"),
    ],
)
def test_counts_that_contradict_the_folds_are_refused(data, options, message):
    with pytest.raises(InputError, match=message):
        split_data(data, CONFIG, SplitConfig(**{"fold": 0, "n_folds": 5, **options}))


def test_data_that_cannot_be_pooled_are_refused(data):
    split = SplitConfig(fold=0, n_folds=5)
    with pytest.raises(InputError, match="expected a test set to pool"):
        split_data(Data(data.train, {}), CONFIG, split.model_copy(update={"n_folds": 2}))
    config = CONFIG.model_copy(update={"extra_tests": {"synthetic_fr": {}}})
    with pytest.raises(InputError, match=r"expected no extra test sets, got \['synthetic_fr'\]"):
        split_data(data, config, split)


def test_an_unlabelled_set_must_not_hold_the_fold(data):
    pool = Data(data.train, data.tests, data.train.without_labels())
    with pytest.raises(InputError, match="drop_leaks"):
        split_data(pool, CONFIG, SplitConfig(fold=0, n_folds=5))
    config = CONFIG.model_copy(update={"drop_leaks": True})
    folded, _ = split_data(pool, config, SplitConfig(fold=0, n_folds=5))
    assert 0 < len(folded.unlabelled) < len(data.train)
    assert not set(folded.unlabelled.source_id_N) & set(folded.tests["test"].source_id_N)


def test_held_out_sources_are_training_sources_that_no_training_sees(data):
    config = CONFIG.model_copy(update={"drop_leaks": True})
    whole = Data(data.train, data.tests, data.train.without_labels())
    part, split = split_data(whole, config, SplitConfig(hold_out=10, n_labels=20))
    held = set(part.tests["test"].source_id_N)
    assert set(part.tests) == {"test"} and len(held) == 10 and part.checksum == whole.checksum
    assert held <= set(data.train.source_id_N) and not held & set(data.tests["test"].source_id_N)
    assert not held & set(part.train.source_id_N) and not held & set(part.unlabelled.source_id_N)
    assert len(split.train_index) == 20 and len(part.train) == len(part.unlabelled) == 33
    assert abs(part.tests["test"].label_N.sum() - 10 * data.train.label_N.mean()) <= 1.5
    again, other = (split_data(data, CONFIG, SplitConfig(hold_out=10, split_seed=seed))[0] for seed in (0, 1))
    assert set(again.tests["test"].source_id_N) == held != set(other.tests["test"].source_id_N)


def test_held_out_sources_must_leave_some_and_exclude_folds(data):
    with pytest.raises(InputError, match="expected fewer than the 43 training sources, got 43 to hold out"):
        split_data(data, CONFIG, SplitConfig(hold_out=43))
    some = replace(data, train=replace(data.train, label_N=np.where(np.arange(43) < 3, -1, data.train.label_N)))
    for options in ({"hold_out": 5}, {"n_folds": 5, "fold": 0}):
        with pytest.raises(InputError, match="expected a label of every source, got 3 without one"):
            split_data(some, CONFIG, SplitConfig(**options))
    with pytest.raises(ValueError, match="expected fold or hold_out, not both"):
        SplitConfig(fold=0, n_folds=5, hold_out=10)


def test_all_confident_sources_of_mirabest(data_root):
    config = DataConfig(name="mirabest_confident", image_size=17, crop=81)
    real = load_data(config, data_root)
    tested = []
    for fold in range(5):
        folded, split = split_data(real, config, SplitConfig(fold=fold, n_folds=5))
        test = folded.tests["test"]
        tested += test.source_id_N.tolist()
        assert len(test) in (166, 167) and len(split.train_index) == 666
    assert len(tested) == len(set(tested)) == 833
