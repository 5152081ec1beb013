"""Learning from what a user says of sources: labels make a model of one's own, ratings order the rest by interest.

Legend: N sources, F features, K classes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.answers.classify_images import AUTO, Classified, classify_sources
from equirgz.answers.fit import fit_classes, fit_reference
from equirgz.answers.inputs import Given
from equirgz.answers.source_model import TURNS, SourceModel
from equirgz.backbones.storage import check_free
from equirgz.data.catalogues.labels import tidy_text
from equirgz.errors import DataError, InputError, suggest
from equirgz.evaluate.anomaly import AnomalySearch
from equirgz.metrics import compute_metrics, format_value
from equirgz.metrics.error import ERROR_RATE
from equirgz.paths import as_path
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic

ID_COLUMNS = ("source_id", "id")
CARD = """# {name}

Classes {classes} of {n} labelled sources ({counts}), read from the frozen features of {base}. Made by
`equirgz finetune`, equirgz {version}. Each labelled source answered by a read-out of the other folds ({folds} of them):

| number | value | n |
| :-- | :-- | :-- |
{rows}

Temperature {temperature:.3f}, fitted on those answers. Sizes, core shares and bending are read as by {base}; the
labelled sources are the real ones that `unlike_real` compares with.
"""


def read_marks(path: Path | str, value: str) -> pd.Series:
    """Return what a table (CSV) says in its column ``value``, by source id; empty cells left out.

    The file is what the page of ``equirgz classify`` exports: ``source_id`` (or ``id``), ``label``, ``rating``, more.
    Raises DataError for a missing file or column, for no mark at all and for a source with two different ones.
    """
    path = as_path(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected CSV with the columns source_id and {value}, got: {error}") from error
    name = next((column for column in ID_COLUMNS if column in table), None)
    if name is None or value not in table:
        got = ", ".join(map(str, table.columns)) or "no columns"
        raise DataError(str(path), expected=f"the columns source_id and {value}", got=got)
    marks = pd.Series([tidy_text(text) for text in table[value]], index=table[name]).replace("", np.nan).dropna()
    if not len(marks):
        raise DataError(str(path), expected=f"a {value} of some source", got=f"none in {len(table)} rows")
    for source, values in marks.groupby(level=0):
        if values.nunique() > 1:
            got = " and ".join(map(repr, values.unique()[:2]))
            raise DataError(f"{path}: {source}", expected=f"one {value}", got=got, mend="keep one of the rows")
    return marks[~marks.index.duplicated()]


def places_of(marks: pd.Series, found: Classified) -> np.ndarray:
    """Return the row of every marked source; InputError that names the first which is not among those found."""
    row_of = {name: i for i, name in enumerate(found.table["id"])}
    missing = [name for name in marks.index if name not in row_of]
    if missing:
        left_out = next((reason for file, reason in found.left_out.items() if missing[0] in file), None)
        mend = f"it was left out: {left_out}" if left_out else suggest(str(missing[0]), list(row_of))
        got = f"{len(missing)} others, first {missing[0]!r}"
        raise InputError(
            "marked sources", expected=f"ids of the {len(row_of)} sources that were read", got=got, mend=mend
        )
    return np.array([row_of[name] for name in marks.index])


def finetune_folder(
    images: Any,
    labels: Path | str,
    output: Path | str,
    model: SourceModel | Path | str = AUTO,
    given: Given | None = None,
    *,
    turns: int = TURNS,
    seed: int = 0,
) -> tuple[SourceModel, list[dict[str, Any]]]:
    """Learn the classes of labelled sources among ``images``; return the model, saved with a card, and its numbers.

    The encoder stays as it is: of few labels a linear read-out learns more than the network would. Numbers are of
    answers without the fold that holds the source. Raises InputError for fewer than two classes of two sources each,
    and where ``output`` has the name of a file that is no model's.
    """
    check_free(output, (".json", ".md"))
    marks = read_marks(labels, "label")
    found = classify_sources(images, model, given, turns=turns, alike=0)
    place_M = places_of(marks, found)
    names, label_M = np.unique(marks.to_numpy(str), return_inverse=True)
    counts = dict(zip(names.tolist(), np.bincount(label_M).tolist(), strict=True))
    if len(names) < 2 or min(counts.values()) < 2:
        got = ", ".join(f"{n} {name}" for name, n in counts.items())
        raise InputError("labels", expected="two classes or more, of two sources or more each", got=got)
    h_MF = found.h_NF[place_M]
    n_folds = min(5, *counts.values())
    classes, fold_M = fit_classes(h_MF, label_M, seed=seed, n_folds=n_folds)
    p_MK = classes.out_of_fold(h_MF, fold_M)
    rows = compute_metrics(p_MK, label_M, [ERROR_RATE, "nll/mean"])
    base = (found.model.facts or {}).get("name", "a model")
    kept = ("metric", "value", "unit", "n")
    facts = {
        "name": as_path(output).name, "base": base, "version": code_version(), "turns": turns, "labelled": "labels",
        "n_labelled": len(marks), "tags": (found.model.facts or {}).get("tags"),
        "classes": [{key: row[key] for key in kept} for row in rows],
    }  # fmt: skip
    enough = len(found) > 2 * found.h_NF.shape[1]  # for a covariance of its own
    own = replace(
        found.model,
        class_names=tuple(names.tolist()),
        classes=classes,
        real=_reference(found, place_M, enough),
        seen={"name": marks.index.tolist(), "label": label_M.tolist(), "fold": fold_M.tolist()},
        facts=facts,
    )
    path = own.save(output)
    card = CARD.format(
        name=facts["name"], classes=", ".join(names), n=len(marks), base=base, version=facts["version"], folds=n_folds,
        counts=", ".join(f"{n} {name}" for name, n in counts.items()), temperature=float(classes.temperature),
        rows="\n".join(f"| {r['metric']} | {format_value(r)} | {r['n']} |" for r in rows),
    )  # fmt: skip
    write_bytes_atomic(path.with_suffix(".md"), card.encode())
    return own, rows


def _reference(found: Classified, place_M: np.ndarray, enough: bool) -> Any:
    """Return the labelled sources as reference, in the metric and with the limit of all sources or of the base's."""
    metric = fit_reference(found.h_NF) if enough else (found.model.real or found.model.simulated)
    if metric is None:
        return None
    return replace(metric, seen_MF=metric.whitened(found.h_NF[place_M]))


def rank_anomalies(
    images: Any,
    ratings: Path | str | None = None,
    model: SourceModel | Path | str = AUTO,
    given: Given | None = None,
    *,
    turns: int = TURNS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the sources with the most interesting first: id, file, interest, deviation, rating, flags.

    Without ratings ``interest`` is the score of an isolation forest; with them what a Gaussian process expects of
    ratings like the user's, and its standard deviation (:class:`~equirgz.evaluate.anomaly.AnomalySearch`). Raises
    InputError for ratings of sources that are not there, DataError for one that is no number.
    """
    marks = None if ratings is None else read_marks(ratings, "rating")
    found = classify_sources(images, model, given, turns=turns, alike=0)
    search = AnomalySearch(found.h_NF, seed=seed)
    rating_N = np.full(len(found), np.nan)
    interest_N, deviation_N = search.prior_N, np.full(len(found), np.nan)
    if marks is not None:
        try:
            value_M = marks.astype(float).to_numpy()
        except ValueError as error:
            raise DataError(f"{ratings}: expected ratings that are numbers; {error}") from error
        place_M = places_of(marks, found)
        rating_N[place_M] = value_M
        search.tell(place_M, value_M)
        interest_N, deviation_N = search.predict()
    table = found.table[["id", "file", "ra_deg", "dec_deg"]].assign(
        interest=interest_N, deviation=deviation_N, rating=rating_N, flags=found.table["flags"]
    )
    table = table.iloc[search.rank()].reset_index(drop=True)
    table.attrs["left_out"] = found.left_out
    return table
