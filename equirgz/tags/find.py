"""Sources that tag words describe: "bent one-sided with a bright core, no hot spots". Legend: N sources, T tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.errors import DataError, InputError, require, suggest
from equirgz.tags.annotations import plain_phrase

NOT = ("no", "not", "without", "never")
FLOOR = 1e-3
_PART = re.compile(r",|;|\bwith\b|\band\b|\bbut\b|\bwithout\b|\bno\b|\bnot\b")


@dataclass(frozen=True)
class Wanted:
    """Tags that a source shall have, those that it shall not, and words that name no tag."""

    tags: tuple[str, ...]
    absent: tuple[str, ...]
    unknown: tuple[str, ...]


def read_query(query: str, tags: Sequence[str]) -> Wanted:
    """Return which of ``tags`` a query names, longest names first; what follows no, not or without is unwanted.

    A negation holds up to the next comma, "with", "and" or "but". Plural and hyphens do not matter.
    Raises InputError for an empty query and one that names no tag, with the nearest of them.

    >>> read_query("bent and one sided with a bright core, no hot spot", ["bent", "one-sided", "bright core", "hot spots"])
    Wanted(tags=('bent', 'one-sided', 'bright core'), absent=('hot spots',), unknown=())
    """  # noqa: E501
    require(bool(query.strip()), "query", expected="words of tags", got="nothing")
    words = [_stem(word) for word in plain_phrase(_PART.sub(lambda part: f" {_mark(part[0])} ", query.lower())).split()]
    names = {tag: [_stem(word) for word in plain_phrase(tag).split()] for tag in tags}
    wanted, absent, unknown, negated = [], [], [], False
    place = 0
    while place < len(words):
        if words[place] in (_stem("breakhere"), _stem("nothere")):
            negated = words[place] == _stem("nothere")
            place += 1
            continue
        fits = [tag for tag, name in names.items() if words[place : place + len(name)] == name]
        if fits:
            tag = max(fits, key=lambda tag: len(names[tag]))
            (absent if negated else wanted).append(tag)
            place += len(names[tag])
        else:
            if words[place] not in ("a", "an", "the", "of", "is", "source", "galaxy"):
                unknown.append(words[place])
            place += 1
    if not wanted and not absent:
        mend = suggest(unknown[0] if unknown else query, tags)
        raise InputError("query", expected="words of the tags", got=repr(query), mend=mend)
    both = sorted(set(wanted) & set(absent))
    require(not both, "query", expected="each tag wanted or unwanted", got=f"{', '.join(both)} both")
    return Wanted(tuple(dict.fromkeys(wanted)), tuple(dict.fromkeys(absent)), tuple(dict.fromkeys(unknown)))


def read_tagged(path: Path | str) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return (name_N, tags, share_NT) of a CSV: a column of names, then one per tag, of shares or of counts of people.

    Counts become shares of the most people that agreed on anything. Raises DataError for a file that is none, and for
    names that come twice, blank cells and negative numbers, by the name of the first.
    """
    try:
        read = pd.read_csv(path, dtype={0: str})
        name_N, value_NT = read.iloc[:, 0].to_numpy(str), read.iloc[:, 1:].to_numpy(float)
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path}: expected CSV with names and tags; {' '.join(str(error).split())}") from error
    if 0 in value_NT.shape:
        got = f"{len(value_NT)} sources and {value_NT.shape[1]} tags"
        raise DataError(str(path), expected="sources, a column of names and one per tag", got=got)
    names, count = np.unique(name_N, return_counts=True)
    if (count > 1).any():
        raise DataError(f"{path}: names", expected="each once", got=f"{str(names[count > 1][0])!r} twice")
    bad_NT = ~(np.isfinite(value_NT) & (value_NT >= 0))
    if bad_NT.any():
        row, column = np.argwhere(bad_NT)[0]
        what = f"{path}: {name_N[row]}, tag {read.columns[1 + column]}"
        raise DataError(what, expected="a share or a count of 0 or more", got=value_NT[row, column])
    return name_N, list(read.columns[1:]), value_NT / max(1.0, float(value_NT.max()))


def say_unknown(wanted: Wanted, tags: Sequence[str]) -> list[str]:
    """Return a line for each word of a query that names no tag, with the nearest one.

    >>> say_unknown(read_query("bent hotspot", ["bent", "hot spots"]), ["bent", "hot spots"])
    ["'hotspot' names no tag; did you mean 'hot spots'? Valid: bent, hot spots"]
    """
    return [f"{word!r} names no tag; {suggest(word, tags)}" for word in wanted.unknown]


def rank_by_tags(query: str, tags: Sequence[str], share_NT: np.ndarray) -> tuple[np.ndarray, np.ndarray, Wanted]:
    """Return (index_N, score_N, wanted): sources in the order in which they fit, and their scores in [0, 1].

    share_NT: probability of each tag (an answer of the task ``multilabel``), or the share of people who used it.
    The score is the geometric mean of the wanted ones' shares and of one less the unwanted ones', none under 0.001,
    so that a single missing tag costs much. Ties stay in their order.
    Raises InputError for shares outside [0, 1], NaN, or another number of tags.
    """
    share_NT = np.asarray(share_NT, np.float64)
    if share_NT.ndim != 2 or share_NT.shape[1] != len(tags):
        raise InputError("tags", expected=f"shares (N, {len(tags)})", got=share_NT.shape)
    if not ((share_NT >= 0) & (share_NT <= 1)).all():
        raise InputError("tags", expected="shares from 0 to 1", got="others, or NaN")
    wanted = read_query(query, tags)
    place = {tag: t for t, tag in enumerate(tags)}
    columns = [share_NT[:, place[tag]] for tag in wanted.tags] + [1 - share_NT[:, place[tag]] for tag in wanted.absent]
    score_N = np.exp(np.log(np.maximum(columns, FLOOR)).mean(0))
    order_N = np.argsort(-score_N, kind="stable")
    return order_N, score_N[order_N], wanted


def _mark(part: str) -> str:
    return "nothere" if part in NOT else "breakhere"


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
