"""Unlabelled sets of another class balance than they come with. Legend: N sources."""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError
from equirgz.seeding import derive_seed


def thin_to_share(
    label_N: np.ndarray, class_names: tuple[str, ...], fri_share: float, *, seed: int, name: str
) -> np.ndarray:
    """Return sorted indices of the largest subset of which FRI are a share ``fri_share``, to within one source.

        n_FRI / (n_FRI + n_other) = fri_share

    The balance of an unlabelled set is a variable of arXiv 2204.08816. All sources of the class (FRI, or
    the others together) that limits the subset stay; of the other the first of one permutation, which
    depends on ``seed`` alone, so that milder subsets hold those that are thinned further. ``name`` is the
    set's, for errors. Raises InputError where labels or the class FRI are unknown, or a class has no source
    or would lose all.
    """
    key = "data.unlabelled_fri_share"
    names = [class_name.lower() for class_name in class_names]
    unknown = int((np.asarray(label_N) < 0).sum())
    if "fri" not in names or unknown:
        got = f"{unknown} of {len(label_N)} without" if unknown else f"classes {', '.join(class_names) or 'none'}"
        expected = f"labels FRI and others of all sources of {name}, to select by"
        raise InputError(key, expected=expected, got=got, mend="choose another unlabelled set")
    fri_N = np.asarray(label_N) == names.index("fri")
    members = np.flatnonzero(fri_N), np.flatnonzero(~fri_N)
    n_fri, n_other = map(len, members)
    if n_fri * (1 - fri_share) > n_other * fri_share:
        n_fri = round(n_other * fri_share / (1 - fri_share))
    else:
        n_other = round(n_fri * (1 - fri_share) / fri_share)
    if not (n_fri and n_other):
        got = f"{len(members[0])} FRI and {len(members[1])} others in {name}"
        mend = "choose a share nearer to theirs, or another set"
        raise InputError(key, expected=f"sources for a share of {fri_share}", got=got, mend=mend)
    kept = [
        np.random.default_rng(derive_seed(seed, "unlabelled_fri_share", kind)).permutation(member)[:n]
        for kind, member, n in zip(("FRI", "other"), members, (n_fri, n_other), strict=True)
    ]
    return np.sort(np.concatenate(kept))
