"""Other test sets than the published one: folds of all sources, or a part of the training sources.

Legend: N pooled sources, k folds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from equirgz.config import DataConfig, SplitConfig
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.load import divide_by_rms
from equirgz.data.overlap.groups import divide, find_own_groups
from equirgz.data.overlap.leaks import refuse_leaks
from equirgz.data.splits.class_share import thin_to_share
from equirgz.data.splits.labelled import Split, make_split, stratified_order
from equirgz.errors import InputError
from equirgz.tasks import Task


def split_data(data: Data, data_config: DataConfig, split: SplitConfig, task: Task | None = None) -> tuple[Data, Split]:
    """Return the data that a run sees and its label split; data as they are without a fold and held-out sources.

    With ``data.unlabelled_class_share`` and no unlabelled set, the split's ``unlabelled_index`` is thinned to that
    share. A registered unlabelled set was thinned before: what a fold drops of it may move its share. Sources without
    a target of ``task`` (default: classes) neither train nor validate.
    """
    n_labels = split.n_labels
    if data.endless is not None:
        _check_endless(data_config, split)
    if split.fold is not None:
        pool, pieces = make_folds(data, data_config, n_folds=split.n_folds, split_seed=split.split_seed, task=task)
        n_labels = count_labels(len(pool), split, max(map(len, pieces)))
        data = _test_on(data, data_config, pool, pieces[split.fold], f"fold {split.fold} of {split.n_folds}")
    elif split.hold_out is not None:
        data = hold_out(data, data_config, n=split.hold_out, split_seed=split.split_seed, task=task)
    made = make_split(
        find_strata(data.train, task),
        n_labels=n_labels,
        n_val=split.n_val,
        split_seed=split.split_seed,
        group_N=find_own_groups(data.train),
    )
    share = data_config.unlabelled_class_share
    if share is not None and data.unlabelled is None:
        pool = data.train.subset(made.unlabelled_index)
        kept = thin_to_share(pool, share, seed=split.split_seed)
        made = replace(made, unlabelled_index=made.unlabelled_index[kept])
    return data, made


def _check_endless(data: DataConfig, split: SplitConfig) -> None:
    """Refuse what chooses among the training sources where a training draws ever new ones."""
    chosen = {"split." + key: getattr(split, key) for key in ("n_labels", "fold", "hold_out")}
    chosen["data.unlabelled_class_share"] = data.unlabelled_class_share
    for key, value in chosen.items():
        if value is not None:
            mend = f"leave {key} out, or set data.params.stream: false"
            raise InputError(f"data {data.name}", expected=f"no {key} with an endless stream", got=value, mend=mend)


def find_strata(images: ImageSet, task: Task | None) -> np.ndarray:
    """Return the classes that a split balances, -1 for sources that cannot train: the labels, or those of ``task``."""
    return images.label_N if task is None else task.strata(images)


def count_labels(n_pool: int, split: SplitConfig, largest: int) -> int:
    """Return the labelled sources of every fold: ``n_labels``, or all that the largest fold leaves.

    ``n_pool`` - ``largest`` - n_val labels are there in all of them, so that all folds train on the same number.
    Raises InputError for more labels than that.
    """
    most = n_pool - largest
    n_labels = most - split.n_val if split.n_labels is None else split.n_labels
    if n_labels < 1 or n_labels + split.n_val > most:
        raise InputError(
            "split",
            expected=f"n_labels + n_val <= {most}, the {n_pool} pooled sources less a fold",
            got=f"n_labels={split.n_labels}, n_val={split.n_val}",
            mend=f"ask for at most {most - split.n_val} labels, or leave n_labels out",
        )
    return n_labels


def make_folds(
    data: Data, config: DataConfig, *, n_folds: int, split_seed: int, task: Task | None = None
) -> tuple[ImageSet, list[np.ndarray]]:
    """Return the pooled training and test sources, and the indices of every fold into them; each fold tests once.

    The folds are consecutive pieces of one stratified permutation that depends on ``split_seed`` alone: each
    holds every class in proportion to within about one, and every source lies in exactly one; what shows one field
    or one source lies in one fold (:func:`divide`), and folds differ by more than a source where it must. Other test
    sets are left out, since all folds would test on them. An unlabelled set is cleaned of the fold's sources, or
    refused, as by :func:`~equirgz.data.load_data`; images are divided by the root mean square of the fold's own
    training images. The checksum stays that of ``data``. Raises InputError for data without a test set or with
    extra test sets, and for more folds than sources or groups of them.
    """
    if "test" not in data.tests:
        raise InputError(data.train.name, expected="a test set to pool with the training set", got="none")
    if config.extra_tests:
        mend = "leave data.extra_tests out, or test without folds"
        raise InputError("split.fold", expected="no extra test sets", got=list(config.extra_tests), mend=mend)
    pool = data.train.joined(data.tests["test"], f"{data.train.name}+test")
    _check_labelled(pool, "split.fold", task)
    if n_folds > len(pool):
        raise InputError("split.n_folds", expected=f"at most the {len(pool)} pooled sources", got=n_folds)
    order_N = stratified_order(find_strata(pool, task), split_seed, "folds")
    return pool, divide(pool, np.array_split(order_N, n_folds), what=f"split.n_folds {n_folds}")


def hold_out(data: Data, config: DataConfig, *, n: int, split_seed: int, task: Task | None = None) -> Data:
    """Return ``data`` with ``n`` of its training sources as the test set and the others as the training set.

    The sources are the first of a stratified permutation that depends on ``split_seed`` alone; sources of one
    field or source go together (:func:`divide`). The test sets of ``data`` are left out, so that a
    recipe found on the result owes them nothing. Unlabelled sets, scaling and checksum are as for
    :func:`make_folds`. Raises InputError where no training source is left.
    """
    _check_labelled(data.train, "split.hold_out", task)
    if n >= len(data.train):
        expected = f"fewer than the {len(data.train)} training sources"
        raise InputError("split.hold_out", expected=expected, got=f"{n} to hold out")
    order_N = stratified_order(find_strata(data.train, task), split_seed, "hold out")
    pieces = divide(data.train, np.split(order_N, [n]), what=f"split.hold_out {n}")
    return _test_on(data, config, data.train, pieces[0], f"held out {n}")


def _check_labelled(images: ImageSet, what: str, task: Task | None) -> None:
    n = int((find_strata(images, task) < 0).sum())
    if n:
        mend = "leave them out of the catalogue's folder, or test on a set of its own"
        raise InputError(what, expected="a label of every source", got=f"{n} without one", mend=mend)


def _test_on(data: Data, config: DataConfig, pool: ImageSet, test_N: np.ndarray, name: str) -> Data:
    """Return the sources ``test_N`` of ``pool`` as the test set, its others as training, scaled by these."""
    test = pool.subset(np.sort(test_N), f"{pool.name}/{name}")
    train = pool.subset(np.setdiff1d(np.arange(len(pool)), test_N), f"{pool.name}/without {name}")
    unlabelled = data.unlabelled
    if unlabelled is not None:
        unlabelled = refuse_leaks(unlabelled, {"test": test}, drop=config.drop_leaks)
    part = Data(train, {"test": test}, unlabelled, whole=data.checksum)
    return divide_by_rms(part) if config.normalise else part
