"""Unlabelled sets of another class balance than they come with. Legend: N sources, K classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from equirgz.data.imageset import ImageSet
from equirgz.errors import InputError, check_choice, require
from equirgz.seeding import derive_seed

OTHERS = "all others"


def thin_to_share(images: ImageSet, share: Mapping[str, float], *, seed: int) -> np.ndarray:
    """Return sorted indices of the largest subset of which each class k of ``share`` is its share s_k.

        n_k = n_l s_k / s_l   to within one source, with l the class of the smallest n_l / s_l

    The balance of an unlabelled set is a variable of arXiv 2204.08816. The classes that ``share`` does not name have
    the rest of it together (none where the shares add up to 1). All sources of the class l, which limits the subset,
    stay; of the others the first of one permutation each, which depends on ``seed`` alone, so that milder subsets
    hold those that are thinned further. Class names count without regard to case. Raises InputError where labels or a
    class are unknown, or a class has no source or would lose all.
    """
    key = "data.unlabelled_class_share"
    unknown = int((images.label_N < 0).sum())
    if unknown or not images.n_classes:
        got = f"{unknown} of {len(images)} without"
        expected = f"labels of all sources of {images.name}, to select by"
        raise InputError(key, expected=expected, got=got, mend="choose another unlabelled set")
    place = {name.lower(): k for k, name in enumerate(images.class_names)}
    wanted = {check_choice(f"{key}: class of {images.name}", name.lower(), place): s for name, s in share.items()}
    require(len(wanted) == len(share), key, expected="each class once", got=", ".join(share))
    members = {name: np.flatnonzero(images.label_N == place[name]) for name in wanted}
    rest = 1 - sum(wanted.values())
    if rest > 1e-9:
        wanted[OTHERS] = rest
        members[OTHERS] = np.flatnonzero(~np.isin(images.label_N, [place[name] for name in members]))
    limit = min(wanted, key=lambda name: len(members[name]) / wanted[name])
    n = {name: round(len(members[limit]) * s / wanted[limit]) for name, s in wanted.items()}
    if not all(n.values()):
        got = " and ".join(f"{len(member)} {name}" for name, member in members.items())
        mend = "choose shares nearer to theirs, or another set"
        shares = ", ".join(f"{s:.4g} {name}" for name, s in wanted.items())
        raise InputError(key, expected=f"sources for the shares {shares}", got=f"{got} in {images.name}", mend=mend)
    kept = [
        np.random.default_rng(derive_seed(seed, "unlabelled_class_share", name)).permutation(member)[: n[name]]
        for name, member in members.items()
    ]
    return np.sort(np.concatenate(kept))
