"""The label sets of MiraBest as files: who is labelled at 50, 145, 291, 583 and 729 labels, 10 split seeds.

Every file under ``manifests`` holds the sources of one version in the order in which the loader
gives them and, per split seed, one permutation; the first n of it are the n labels, the last ones
validate. The hash of each label set is stored beside it, so a changed loader, a changed random
generator or a changed file is found out (:func:`load_label_set` raises).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from equirgz.data.imageset import ImageSet
from equirgz.data.splits.labelled import Split, hash_ids, split_from_order, stratified_order
from equirgz.errors import DataError, InputError, check_choice, require

LABEL_COUNTS = (50, 145, 291, 583, 729)
SPLIT_SEEDS = tuple(range(10))
VERSIONS = ("F", "v1")


def make_label_sets(images: ImageSet) -> dict[str, Any]:
    """Return the JSON-able manifest of a training set at all label counts and split seeds."""
    ids = [str(source) for source in images.source_id_N]
    orders, hashes = {}, {}
    for seed in SPLIT_SEEDS:
        order = stratified_order(images.label_N, seed)
        orders[str(seed)] = order.tolist()
        for n_labels in LABEL_COUNTS:
            hashes[f"{seed}/{n_labels}"] = hash_ids([ids[i] for i in order[:n_labels]])
    return {
        "format": 1,
        "dataset": images.name,
        "label_counts": list(LABEL_COUNTS),
        "source_id": ids,
        "label": images.label_N.tolist(),
        "order": orders,
        "hash": hashes,
    }


@cache
def load_label_sets(version: str = "F") -> dict[str, Any]:
    """Return the shipped manifest of confident MiraBest, version F or v1."""
    import json

    check_choice("MiraBest version", version, VERSIONS)
    file = resources.files("equirgz.data.splits") / "manifests" / f"mirabest_{version}_confident.json"
    return json.loads(file.read_text())


def load_label_set(images: ImageSet, *, n_labels: int, split_seed: int, n_val: int = 0, version: str = "F") -> Split:
    """Return a shipped label set as indices into ``images`` (the confident train part, in any order).

    The same split as :func:`equirgz.data.make_split` gives. Raises InputError for a label count or
    seed that is not shipped, DataError when ``images`` lacks a source or the stored hash disagrees.
    """
    manifest = load_label_sets(version)
    if n_labels not in LABEL_COUNTS or split_seed not in SPLIT_SEEDS:
        raise InputError(
            "label set",
            expected=f"n_labels of {LABEL_COUNTS} and split_seed 0 to {SPLIT_SEEDS[-1]}",
            got=f"{n_labels} and {split_seed}",
            mend="use make_split for others",
        )
    ids, order = manifest["source_id"], manifest["order"][str(split_seed)]
    found = hash_ids([ids[i] for i in order[:n_labels]])
    stored = manifest["hash"][f"{split_seed}/{n_labels}"]
    require(found == stored, "label set: hash", expected=stored, got=found, mend="reinstall equirgz", error=DataError)
    place = {str(source): i for i, source in enumerate(images.source_id_N)}
    missing = [source for source in ids if source not in place]
    if missing:
        raise DataError(images.name, expected="the sources of the label set", got=f"none called {missing[0]}")
    return split_from_order(np.array([place[ids[i]] for i in order]), n_labels, n_val)
