"""Plain-English tags of sources: read from frozen features, and told only where held-out sources bore them out.

Legend: N sources, T tags, E regressors (features and measures of the image).
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from equirgz.answers.linear_readouts import SAID, TagReadOut
from equirgz.answers.source_model import TURNS, SourceModel
from equirgz.data.imageset import ImageSet
from equirgz.data.simulate.stream import stream_sources
from equirgz.data.simulate.surveys import Survey
from equirgz.data.simulate.synthetic_tags import LABELS, TAGS, add_tags
from equirgz.errors import InputError
from equirgz.evaluate.probe import choose_penalty, fit_logistic
from equirgz.metrics.interval import wilson_interval
from equirgz.metrics.multilabel import average_precision
from equirgz.pretrained import list_classifiers
from equirgz.provenance import code_version
from equirgz.tags.find import Wanted, rank_by_tags, read_query

LEAST_PRECISION, LEAST_BEARERS = 0.5, 10  # mean precision and bearers, below which a tag is not told
PENALTIES = (1e-3, 1e-2, 1e-1)
SHARES = (0.6, 0.8)  # ends of the sources that fit, and of those that decide which tags are told; the rest measures


def simulate_tagged(survey: str | Survey, n: int, size_px: int, seed: int = 0) -> ImageSet:
    """Return ``n`` simulated sources of every family, as ``survey`` would show them, with the tags of their truth."""
    stream = stream_sources(survey, labels=LABELS, size_px=size_px, name="tagged", seed=seed)
    return add_tags(stream.image_set(n))


def teach_tags(model: SourceModel, tagged: ImageSet, turns: int = TURNS) -> SourceModel:
    """Return a model that tells tags, from its frozen features of sources that bear them.

    The first 60 % of the sources fit, each tag's penalty chosen by cross-validation among them. On the next 20 % a tag
    must have a mean precision of 0.5 and 10 bearers to be told at all; the last 20 % measure what is told. The truth is
    that before beam and noise, so that nobody finds all. Where no tag is told the model comes back without.
    """
    regressor_NE = regressors(model, tagged, turns)
    known_NE = np.isfinite(regressor_NE)
    fill_E = np.where(known_NE, regressor_NE, 0).sum(0) / np.maximum(known_NE.sum(0), 1)
    regressor_NE = np.where(known_NE, regressor_NE, fill_E)
    ends = [round(share * len(tagged)) for share in SHARES]
    fitting, choosing, measuring = (np.arange(*pair) for pair in zip([0, *ends], [*ends, len(tagged)], strict=True))
    told: dict[str, tuple[np.ndarray, float]] = {}
    for tag in TAGS:
        is_N = tagged.table[tag].to_numpy(int)
        if any(min(is_N[part].sum(), (1 - is_N[part]).sum()) < LEAST_BEARERS for part in (fitting, choosing)):
            continue
        penalty = choose_penalty(regressor_NE[fitting], is_N[fitting], PENALTIES).inverse_penalty
        weight_KE, bias_K = fit_logistic(regressor_NE[fitting], is_N[fitting], penalty)
        found = weight_KE[1] - weight_KE[0], float(bias_K[1] - bias_K[0])
        score_N = regressor_NE[choosing] @ found[0]
        if average_precision(score_N[:, None], is_N[choosing, None])[0] >= LEAST_PRECISION:
            told[tag] = found
    if not told:
        return model
    blank_T = np.zeros(len(told))
    weights, biases = zip(*told.values(), strict=True)
    read_out = TagReadOut(fill_E, np.stack(weights), np.array(biases), np.array(0), *[blank_T] * 4)
    p_NT, is_NT = read_out.probability(regressor_NE[measuring]), tagged.table[list(told)].to_numpy(int)[measuring]
    said_NT = p_NT >= SAID
    read_out = replace(
        read_out, n=np.array(len(measuring)), bearing_T=is_NT.sum(0), said_T=said_NT.sum(0),
        right_T=(said_NT & (is_NT == 1)).sum(0), average_precision_T=average_precision(p_NT, is_NT),
    )  # fmt: skip
    facts = {**(model.facts or {}), "tags": {"n_simulated": len(tagged), "version": code_version()}}
    return replace(model, tag_names=tuple(told), tags=read_out, facts=facts)


def regressors(model: SourceModel, images: ImageSet, turns: int) -> np.ndarray:
    """Return features and measures of images, (N, E)."""
    return np.concatenate([model.features(images, turns), model.measure(images)], 1)


def tag_columns(model: SourceModel, regressor_NE: np.ndarray, blank_N: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns ``tags`` (the words said, ";" between them) and ``tag_NAME`` (probabilities; NaN: blank).

    Raises InputError for a model that tells no tags.
    """
    check_tells(model)
    p_NT = np.where(blank_N[:, None], np.nan, model.tags.probability(regressor_NE))
    words = [";".join(tag for tag, p in zip(model.tag_names, p_T, strict=True) if p >= SAID) for p_T in p_NT]
    columns = {column_of(tag): p_NT[:, t] for t, tag in enumerate(model.tag_names)}
    return {"tags": np.array(words, dtype=object), **columns}


def column_of(tag: str) -> str:
    """Return the name of a tag's column.

    >>> column_of("hot spots")
    'tag_hot_spots'
    """
    return "tag_" + re.sub(r"\W+", "_", tag)


def check_tells(model: SourceModel) -> None:
    """Raise InputError where a model tells no tags."""
    if model.tags is None:
        telling = [name for name in list_classifiers() if SourceModel.load(name).tags is not None]
        mend = f"--model {' or '.join(telling)}, or one that `equirgz pretrain` makes" if telling else None
        raise InputError("tags", expected="a model that tells tags", got=repr(model), mend=mend)


def read_search(query: str, model: SourceModel) -> tuple[Wanted, tuple[str, ...]]:
    """Return what a query asks of the tags that a model tells, and the tags that it asks for and the model does not.

    The latter are tags of the simulator that were not found reliably. Raises InputError for an empty query, one without
    a tag (with the nearest ones), and one of such tags alone.
    """
    check_tells(model)
    wanted = read_query(query, [*model.tag_names, *(tag for tag in TAGS if tag not in model.tag_names)])
    tags, absent = (tuple(tag for tag in part if tag in model.tag_names) for part in (wanted.tags, wanted.absent))
    untold = tuple(tag for tag in (*wanted.tags, *wanted.absent) if tag not in model.tag_names)
    if not tags and not absent:
        expected = f"tags that this model tells: {', '.join(model.tag_names)}"
        got = f"{', '.join(untold)}, not found reliably in simulated sources"
        raise InputError("search", expected=expected, got=got)
    return Wanted(tags, absent, wanted.unknown), untold


def rank_table(table: pd.DataFrame, query: str, model: SourceModel) -> tuple[np.ndarray, np.ndarray]:
    """Return (order_N, score_N): rows of a table with tags, those that fit ``query`` best first, blank ones last.

    The score is that of :func:`equirgz.tags.find.rank_by_tags`, NaN of blank images.
    """
    p_NT = table[[column_of(tag) for tag in model.tag_names]].to_numpy(float)
    known = np.flatnonzero(np.isfinite(p_NT).all(1))
    order, score, _ = rank_by_tags(query, list(model.tag_names), p_NT[known])
    rest = np.setdiff1d(np.arange(len(table)), known)
    return np.concatenate([known[order], rest]), np.concatenate([score, np.full(len(rest), np.nan)])


def measured_tags(model: SourceModel) -> pd.DataFrame:
    """Return a row per tag that a model tells: tag, precision with its 95 % interval, recall, average_precision, n, ...

    Of the simulated sources that fitted and chose nothing; precision and recall are those of what is said. Precision is
    NaN of a tag that was never said there.
    """
    if model.tags is None:
        return pd.DataFrame(columns=["tag", "precision", "low", "high", "recall", "average_precision", "bearing", "n"])
    rows = []
    for t, tag in enumerate(model.tag_names):
        counts = model.tags.said_T, model.tags.right_T, model.tags.bearing_T
        said, right, bearing = (int(count_T[t]) for count_T in counts)
        low, high = wilson_interval(right, said) if said else (np.nan, np.nan)
        rows.append({
            "tag": tag, "precision": right / said if said else np.nan, "low": low, "high": high,
            "recall": right / bearing if bearing else np.nan,
            "average_precision": float(model.tags.average_precision_T[t]), "bearing": bearing, "n": int(model.tags.n),
        })  # fmt: skip
    return pd.DataFrame(rows)


def describe_tags(model: SourceModel) -> str:
    """Return the part of a card on tags, Markdown; "" where a model tells none."""
    rows = measured_tags(model)
    if not len(rows):
        return ""
    lines = [
        f"| {row.tag} | {row.precision:.2f} ({row.low:.2f} to {row.high:.2f}) | {row.recall:.2f} "
        f"| {row.average_precision:.2f} | {row.bearing / row.n:.2f} |"
        for row in rows.itertuples()
    ]
    untold = [tag for tag in TAGS if tag not in model.tag_names]
    rest = f"\n\nNot told, since under {LEAST_PRECISION:g} or too few: {', '.join(untold)}." if untold else ""
    made = model.facts["tags"]
    return (
        f"\n## Tags of {rows['n'][0]} simulated sources that it has not seen\n\n"
        f"Logistic regressions on features and measures of {round(SHARES[0] * made['n_simulated'])} other ones, of\n"
        f"every family (version {made['version']}). A tag is said from a probability of {SAID:g} on; precision\n"
        f"with its 95 % interval. Told are tags with a mean precision of {LEAST_PRECISION:g} on held-out sources that\n"
        "are not these; of real sources, and of other shares of them that bear a tag, nothing follows.\n\n"
        "| tag | precision | recall | mean precision | bear it |\n| :-- | :-- | :-- | :-- | :-- |\n"
        + "\n".join(lines) + rest + "\n"
    )  # fmt: skip
