"""Readers for descriptions and experts' classes of the same subjects.

Legend: D rows of descriptions, E classifications by experts, N subjects, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.errors import DataError, InputError, require
from equirgz.paths import as_path

#: a table's columns, each under the names that it has in published files and in ours
NAMES = {
    "subject": ("subject", "subject_ids", "subject_id"),
    "annotator": ("annotator", "user_id", "user"),
    "classification": ("classification", "classification_id"),
    "phrase": ("phrase", "annotations", "text"),
    "expert_class": ("expert_class", "annotations", "class"),
}
DESCRIPTIONS = ("english_annotations_cleaned.csv", "english_annotations.csv")
EXPERTS = ("expert_classes.csv", "expert_classifications.csv")
LEAST_POSITIVE = 5


@dataclass(frozen=True)
class Annotations:
    """Descriptions (``words``: subject, annotator, phrase) and experts' shares of votes (``share_NK``) of N subjects.

    ``subject_N`` are those that have both. ``left_out`` says in words what was not used, and how much of it.
    """

    words: pd.DataFrame
    share_NK: pd.DataFrame
    left_out: tuple[str, ...] = ()

    @property
    def subject_N(self) -> np.ndarray:
        """The subjects, in the order of ``share_NK``."""
        return self.share_NK.index.to_numpy()

    def classes(self, agreement: float, least: int = LEAST_POSITIVE) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Return target_NK, 1 where over ``agreement`` of a subject's experts gave the class, and who is left out.

        Classes with fewer than ``least`` such subjects are left out by name. Raises InputError where none stays.
        """
        if not 0 <= agreement < 1:
            raise InputError("agreement", expected="0 <= share of the experts < 1", got=agreement)
        target_NK = (self.share_NK > agreement).astype(np.int64)
        few = target_NK.columns[target_NK.sum() < least]
        said = tuple(f"class {k!r}: {int(target_NK[k].sum())} positive subjects, under {least}" for k in few)
        target_NK = target_NK.drop(columns=few)
        mend = "lower the agreement, or take more subjects"
        require(target_NK.shape[1] > 0, "classes", expected=f"one with {least} subjects", got="none", mend=mend)
        return target_NK, said


def read_annotations(folder: Path | str) -> Annotations:
    """Read a folder with the two tables as the authors of arXiv 2210.14760 published them, or as ours."""
    folder = as_path(folder)
    paths = []
    for what, names in (("descriptions", DESCRIPTIONS), ("experts' classes", EXPERTS)):
        found = [folder / name for name in names if (folder / name).is_file()]
        if not found:
            raise DataError(f"{folder}: {what}", expected=f"a file {' or '.join(names)}", got="none")
        paths.append(found[0])
    return make_annotations(_read(paths[0], "phrase"), _read(paths[1], "expert_class"))


def make_annotations(descriptions: pd.DataFrame, experts: pd.DataFrame) -> Annotations:
    """Join descriptions (subject, annotator, classification, phrase) and experts (..., expert_class, "A,B" for two).

    Left out, and said: blank phrases and classes, subjects without an expert or without a description.
    Raises DataError for a classification that belongs to two subjects or annotators, and where no subject has both.
    """
    left_out = []
    tables = []
    for what, table, column in (("descriptions", descriptions, "phrase"), ("experts", experts, "expert_class")):
        owners = table.groupby("classification")[["subject", "annotator"]].nunique().max(axis=1)
        if (owners > 1).any():
            got = f"classification {owners.idxmax()} under several"
            raise DataError(what, expected="one subject and one annotator per classification", got=got)
        text = table[column].fillna("").astype(str).str.strip().replace({"nan": "", "NaN": ""})
        text = text.map(plain_phrase) if column == "phrase" else text
        blank = text == ""
        if blank.any():
            left_out.append(f"{what}: {int(blank.sum())} of {len(table)} rows are blank")
        tables.append(table.assign(**{column: text})[~blank])
    words, experts = tables
    repeated = experts.duplicated("classification")
    if repeated.any():
        got = f"{experts['classification'][repeated].iloc[0]} twice"
        raise DataError("experts", expected="one row per classification", got=got)
    both = sorted(set(words["subject"]) & set(experts["subject"]))
    for what, table in (("without an expert", words), ("without a description", experts)):
        alone = sorted(set(table["subject"]) - set(both))
        if alone:
            shown = ", ".join(map(str, alone[:5])) + (", ..." if len(alone) > 5 else "")
            left_out.append(f"{len(alone)} subjects {what}: {shown}")
    expected, mend = "some with descriptions and experts", "; ".join(left_out) or None
    require(len(both) > 0, "subjects", expected=expected, got="none", mend=mend, error=DataError)
    words = words[words["subject"].isin(both)].reset_index(drop=True)
    each = experts[experts["subject"].isin(both)].assign(k=experts["expert_class"].str.split(",")).explode("k")
    each = each.assign(k=each["k"].str.strip()).drop_duplicates(["classification", "k"])
    votes = each.groupby(["subject", "k"]).size().unstack(fill_value=0).reindex(both)
    experts_N = each.groupby("subject")["classification"].nunique().reindex(both)
    return Annotations(words, votes.div(experts_N, axis=0), tuple(left_out))


def plain_phrase(text: str) -> str:
    """Return a phrase in lower case, its words apart by one space, without punctuation.

    >>> plain_phrase(" Bright-core,  (middle)")
    'bright core middle'
    """
    return " ".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())


def _read(path: Path, text_column: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    columns = {}
    for name in ("subject", "annotator", "classification", text_column):
        found = [column for column in NAMES[name] if column in table.columns]
        if not found:
            got = ", ".join(table.columns)
            raise DataError(f"{path}: column {name}", expected=f"one of {', '.join(NAMES[name])}", got=got)
        columns[name] = table[found[0]]
    return pd.DataFrame(columns)
