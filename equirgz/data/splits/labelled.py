"""Which training sources carry labels: nested, stratified, decided by ``split_seed`` alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.errors import DataError, InputError, require
from equirgz.records import read_json, write_json_atomic
from equirgz.seeding import derive_seed


@dataclass(frozen=True)
class Split:
    """Indices into a training set: labelled, validation, and everything that may be used unlabelled."""

    train_index: np.ndarray
    val_index: np.ndarray
    unlabelled_index: np.ndarray
    checksum: str


def stratified_order(label_N: np.ndarray, split_seed: int, stream: str = "split") -> np.ndarray:
    """Return a random permutation of 0..N-1 of which every piece holds the classes in proportion.

    Member j of a shuffled class of size m gets the rank (j + u)/m with one uniform u per class;
    sorting by rank mixes the classes, so that any run of n consecutive places holds n m/N members
    of each class to within about one. Unlabelled sources (-1) count as a class of their own. ``stream``
    names an independent permutation of the same seed.
    """
    generator = np.random.Generator(np.random.PCG64(derive_seed(split_seed, stream)))
    label_N = np.asarray(label_N)
    rank_N = np.empty(len(label_N))
    for label in np.unique(label_N):
        member = generator.permutation(np.flatnonzero(label_N == label))
        rank_N[member] = (np.arange(len(member)) + generator.random()) / len(member)
    tie_N = generator.permutation(len(label_N))
    return np.lexsort((tie_N, rank_N))


def make_split(
    label_N: np.ndarray,
    *,
    n_labels: int | None,
    n_val: int = 0,
    split_seed: int = 0,
    group_N: np.ndarray | None = None,
) -> Split:
    """Split N training sources: the first ``n_labels`` of one permutation train, its last ``n_val`` validate.

    The permutation depends on ``label_N`` and ``split_seed`` alone, so that smaller label sets lie
    inside larger ones and the validation set inside every larger one. ``n_labels=None`` trains on
    all that do not validate. ``unlabelled_index`` is everything outside the validation set. Sources without
    a label (-1) neither train nor validate, unless no source has one; N counts the others. Sources of one group in
    ``group_N`` lie all inside the validation set or all outside, which holds up to ``n_val`` then.

    Raises InputError when n_labels + n_val exceeds N, or when fewer labels than classes are asked.
    """
    label_N = np.asarray(label_N, dtype=np.int64)
    known_N = np.flatnonzero(label_N >= 0)
    if 0 < len(known_N) < len(label_N):
        known_group_N = None if group_N is None else group_N[known_N]
        part = make_split(
            label_N[known_N], n_labels=n_labels, n_val=n_val, split_seed=split_seed, group_N=known_group_N
        )
        train, val = known_N[part.train_index], known_N[part.val_index]
        kept_out = val if group_N is None else np.flatnonzero(np.isin(group_N, group_N[val]))
        return Split(train, val, np.setdiff1d(np.arange(len(label_N)), kept_out), _checksum(train, val))
    n = len(label_N)
    n_train = n - n_val if n_labels is None else n_labels
    if n_train < 1 or n_val < 0 or n_train + n_val > n:
        raise InputError(
            "label split",
            expected=f"n_labels >= 1 and n_labels + n_val <= {n} training sources",
            got=f"n_labels={n_labels}, n_val={n_val}",
            mend=f"ask for at most {n - n_val} labels",
        )
    n_classes = len(np.unique(label_N))
    if n_train < n_classes:
        expected = f"at least one label for each of {n_classes} classes"
        raise InputError("label split", expected=expected, got=n_train)
    order_N = stratified_order(label_N, split_seed)
    if group_N is not None and n_val:
        in_val_N = _fill(order_N, n_val, group_N)
        require(in_val_N.any(), "split.n_val", expected="room for a group of one source", got=n_val)
        order_N, n_val = np.concatenate([order_N[~in_val_N], order_N[in_val_N]]), int(in_val_N.sum())
        n_train = n - n_val if n_labels is None else n_labels
    train = order_N[:n_train]
    missing = set(np.unique(label_N)) - set(label_N[train])
    if missing:
        raise InputError(
            "label split",
            expected="every class among the labelled sources",
            got=f"none of class {sorted(int(k) for k in missing)} among {n_train}",
            mend="ask for more labels",
        )
    return split_from_order(order_N, n_train, n_val)


def _fill(order_N: np.ndarray, n_val: int, group_N: np.ndarray) -> np.ndarray:
    """Return which places of an order validate: whole groups from its end, as many as ``n_val`` has room for."""
    size_of = np.bincount(group_N)
    taken, room = np.zeros(len(size_of), bool), n_val
    _, last = np.unique(group_N[order_N][::-1], return_index=True)
    for group in group_N[order_N][::-1][np.sort(last)]:
        if size_of[group] <= room:
            taken[group], room = True, room - size_of[group]
    return taken[group_N[order_N]]


def split_from_order(order_N: np.ndarray, n_labels: int, n_val: int) -> Split:
    """Return the split of a permutation: its first ``n_labels`` train, its last ``n_val`` validate."""
    n = len(order_N)
    if n_labels < 1 or n_val < 0 or n_labels + n_val > n:
        raise InputError("label split", expected=f"n_labels + n_val <= {n}", got=f"{n_labels} + {n_val}")
    train, val = order_N[:n_labels], order_N[n - n_val :]
    return Split(train, val, np.sort(order_N[: n - n_val]), _checksum(train, val))


def _checksum(train: np.ndarray, val: np.ndarray) -> str:
    text = f"{train.astype(np.int64).tolist()}|{val.astype(np.int64).tolist()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hash_ids(source_ids: list[str]) -> str:
    """Return the first 16 hex digits of SHA-256 over ids joined by newlines, in their order."""
    return hashlib.sha256("\n".join(source_ids).encode()).hexdigest()[:16]


def make_manifest(name: str, source_id_N: np.ndarray, split: Split, *, split_seed: int) -> dict[str, Any]:
    """Return a split as a JSON-able mapping of source ids with a hash over them."""
    train = [str(source_id_N[i]) for i in split.train_index]
    val = [str(source_id_N[i]) for i in split.val_index]
    return {
        "dataset": name,
        "split_seed": int(split_seed),
        "n_labels": len(train),
        "n_val": len(val),
        "train": train,
        "val": val,
        "hash": hash_ids([*train, "|", *val]),
    }


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest as JSON by atomic rename."""
    write_json_atomic(path, manifest)


def load_manifest(path: Path, source_id_N: np.ndarray) -> Split:
    """Read a manifest and find its sources in ``source_id_N``; the stored hash is verified.

    Raises DataError when the manifest was altered or names sources that the set does not hold.
    """
    manifest = read_json(path)
    try:
        train, val, stored = list(manifest["train"]), list(manifest["val"]), manifest["hash"]
    except (TypeError, KeyError) as error:
        expected = "a manifest with train, val and hash"
        raise DataError(str(path), expected=expected, got=f"no {error}") from error
    found = hash_ids([*train, "|", *val])
    if found != stored:
        mend = "the manifest was altered; restore it"
        raise DataError(f"{path}: hash", expected=stored, got=found, mend=mend)
    place = {str(source): i for i, source in enumerate(source_id_N)}
    missing = [source for source in [*train, *val] if source not in place]
    if missing:
        got = f"{len(missing)} others, e.g. {missing[0]}"
        raise DataError(str(path), expected="sources of this set", got=got)
    train_index = np.array([place[s] for s in train], dtype=np.int64)
    val_index = np.array([place[s] for s in val], dtype=np.int64)
    unlabelled = np.setdiff1d(np.arange(len(source_id_N)), val_index)
    return Split(train_index, val_index, unlabelled, _checksum(train_index, val_index))
