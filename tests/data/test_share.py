"""Unlabelled sets thinned to shares of their classes: exact, deterministic, nested, and nothing else touched."""

import numpy as np
import pytest

from equirgz.config import DataConfig, RunConfig, SplitConfig
from equirgz.data import load_data, split_data
from equirgz.data.imageset import ImageSet
from equirgz.data.splits.class_share import thin_to_share
from equirgz.errors import InputError

FR = ("FRI", "FRII")
SMALL = {"n_train": 24, "n_test": 6}


def thin(label_N, share, seed=0, names=FR):
    share = share if isinstance(share, dict) else {"FRI": share}
    ids = [f"s{i}" for i in range(len(label_N))]
    return thin_to_share(ImageSet("pool", np.zeros((len(ids), 2, 2)), label_N, ids, names), share, seed=seed)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.61, 0.9])
@pytest.mark.parametrize("n_fri", [100, 300, 700])
def test_the_share_is_reached_to_within_a_source_by_the_largest_subset(share, n_fri):
    label_N = np.random.default_rng(1).permutation(np.repeat([0, 1], [n_fri, 1000 - n_fri]))
    kept = thin(label_N, share)
    n, fri = len(kept), int((label_N[kept] == 0).sum())
    assert abs(fri - share * n) <= 1 and (np.diff(kept) > 0).all()
    assert fri == n_fri or n - fri == 1000 - n_fri  # one class is whole: no larger subset has this share
    assert (thin(label_N, share) == kept).all()
    if n < 1000:
        assert not np.array_equal(thin(label_N, share, seed=1), kept)


def test_smaller_shares_keep_the_same_fri_and_other_classes_count_together():
    label_N = np.tile([0, 1, 2, 1], 50)
    names = ("Fri", "FRII", "bent")
    few, more = (set(thin(label_N, share, names=names)) for share in (0.05, 0.15))
    assert few < more and {0, 1, 2} == set(label_N[sorted(few)])
    assert np.array_equal(thin(label_N, 0.25, names=names), np.arange(200))


@pytest.mark.parametrize(
    ("labels", "names", "share", "message"),
    [
        ([-1, -1], (), 0.5, "expected labels of all sources of pool, to select by, got 2 of 2 without"),
        ([0, 1, -1], FR, 0.5, "got 1 of 3 without; choose another unlabelled set"),
        ([0, 1], ("bent", "compact"), 0.5, "class of pool: unknown 'fri'; .*bent, compact"),
        ([0, 0, 0], FR, 0.5, "the shares 0.5 fri, 0.5 all others, got 3 fri and 0 all others in pool; choose shares"),
        ([0, 1, 1], FR, 0.9, "the shares 0.9 fri, 0.1 all others, got 1 fri and 2 all others in pool"),
        ([0, 1, 1], FR, {"FRI": 0.2, "fri": 0.2}, "expected each class once, got FRI, fri"),
    ],
)
def test_unknown_labels_and_shares_out_of_reach_are_named(labels, names, share, message):
    with pytest.raises(InputError, match=f"data.unlabelled_class_share: .*{message}"):
        thin(labels, share, names=names)


def test_several_classes_have_their_shares_and_those_left_out_none():
    label_N = np.repeat([0, 1, 2], [60, 30, 90])
    names = ("FRI", "FRII", "bent")
    assert np.bincount(label_N[thin(label_N, {"FRI": 0.25, "FRII": 0.5}, names=names)]).tolist() == [15, 30, 15]
    assert np.bincount(label_N[thin(label_N, {"FRI": 0.5, "FRII": 0.5}, names=names)]).tolist() == [30, 30]


def test_a_registered_set_is_thinned_and_loses_its_labels():
    fields = {"name": "synthetic_fr", "params": SMALL, "image_size": 15, "unlabelled": "synthetic_fr"}
    fields["unlabelled_params"] = {"n_train": 32, "n_test": 0, "seed": 1}
    whole = load_data(DataConfig(**fields))
    labels = load_data("synthetic_fr", params=fields["unlabelled_params"], image_size=15).train
    data = load_data(DataConfig(**fields, unlabelled_class_share={"FRI": 0.2}))
    label_of = dict(zip(labels.source_id_N, labels.label_N, strict=True))
    fri = [label_of[source] == 0 for source in data.unlabelled.source_id_N]
    assert len(fri) == 20 and sum(fri) == 4 and (data.unlabelled.label_N == -1).all()
    assert data.train.checksum == whole.train.checksum and len(whole.unlabelled) == 32
    assert data.tests["test"].checksum == whole.tests["test"].checksum
    again = load_data(DataConfig(**fields, unlabelled_class_share={"FRI": 0.2}))
    assert again.checksum == data.checksum != whole.checksum
    own = {**fields, "unlabelled": None, "params": {**SMALL, "n_unlabelled": 8}}
    with pytest.raises(InputError, match="got 8 of 8 without"):
        load_data(DataConfig(**own, unlabelled_class_share={"FRI": 0.2}))


def test_without_a_set_the_training_pool_is_thinned_and_nothing_else():
    plain = DataConfig(name="synthetic_fr", params=SMALL, image_size=15)
    config = plain.model_copy(update={"unlabelled_class_share": {"FRI": 0.25}})
    split = SplitConfig(n_labels=8, n_val=4)
    (data, thinned), (whole, made) = (split_data(load_data(c), c, split) for c in (config, plain))
    label_N = data.train.label_N[thinned.unlabelled_index]
    assert abs((label_N == 0).sum() - 0.25 * len(label_N)) <= 1 and len(label_N) < len(made.unlabelled_index) == 20
    assert set(thinned.unlabelled_index) < set(made.unlabelled_index)
    assert (thinned.train_index == made.train_index).all() and (thinned.val_index == made.val_index).all()
    assert data.checksum == whole.checksum and thinned.checksum == made.checksum
    assert (split_data(data, config, split)[1].unlabelled_index == thinned.unlabelled_index).all()


def test_unset_the_share_is_no_part_of_a_run():
    assert "unlabelled_class_share" not in RunConfig().model_dump()["data"]
    run = RunConfig(data=DataConfig(unlabelled_class_share={"FRI": 0.3}))
    assert run.model_dump()["data"]["unlabelled_class_share"] == {"FRI": 0.3} and run.run_key() != RunConfig().run_key()
    assert RunConfig(**run.model_dump()) == run
    for share in ({"FRI": 0}, {"FRI": 1.1}, {"FRI": 0.6, "FRII": 0.6}, {}, 0.3):
        with pytest.raises(ValueError, match="unlabelled_class_share"):
            DataConfig(unlabelled_class_share=share)
    with pytest.raises(InputError, match="unknown key 'unlabelled_fri_share'; did you mean 'unlabelled_class_share'"):
        DataConfig(unlabelled_fri_share=0.3)
