"""Parts that a catalogue's column tells: who trains, who validates and who tests, as published."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from equirgz.data.catalogues.catalogue import CatalogueOptions, Column, find_column
from equirgz.data.catalogues.labels import read_labels
from equirgz.data.formats.folders import PARTS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.notes import list_bad
from equirgz.data.splits.test_part import split_off_test
from equirgz.errors import DataError, InputError


def split_by_column(images: ImageSet, column: Column, source: str) -> Data:
    """Return the parts of a set that a column of its table names: train, valid, test, unlabelled (``PARTS``, any case).

    Images without a word are in no part; they are counted in a note and listed. Raises InputError for a column that
    is not there, DataError for other words and where nobody trains.
    """
    name = find_column(images.table, (), column)
    read = read_labels(images.table[name], f"{source}: {name}")
    word_N = np.char.lower(read.text_N) if len(read.text_N) else read.text_N
    count = Counter(word_N[~read.missing_N].tolist())
    unknown = sorted(set(count) - set(PARTS))
    if unknown:
        got = ", ".join(f"{word} ({count[word]})" for word in unknown[:5])
        expected = f"the words {', '.join(PARTS)}"
        raise DataError(f"{source}: {name}", expected=expected, got=got, mend="write these in the column")
    part_N = np.array([PARTS.get(word, "") for word in word_N], dtype=str)
    outside = {str(images.source_id_N[i]): f"nothing in the column {name}" for i in np.flatnonzero(part_N == "")}
    if outside:
        list_bad(outside, source, what="images in no part")
    names = dict.fromkeys(PARTS.values())
    parts = {part: images.subset(part_N == part, name=f"{images.name}/{part}") for part in names}
    if not len(parts["train"]):
        raise DataError(f"{source}: {name}", expected="sources that train", got=dict(count) or "none")
    tests = {part: parts[part] for part in ("valid", "test") if len(parts[part])}
    unlabelled = parts["unlabelled"].without_labels() if len(parts["unlabelled"]) else None
    return Data(parts["train"], tests, unlabelled)


def check_one_split(test_fraction: float, split_column: Column) -> None:
    """Raise InputError where both a fraction and a column say who tests."""
    if test_fraction and split_column is not None:
        got = f"test_fraction {test_fraction:g} and split_column {split_column!r}"
        expected = "one way to tell who tests"
        raise InputError("dataset 'folder'", expected=expected, got=got, mend="leave one out")


def divide_own(images: ImageSet, columns: CatalogueOptions, source: Path, test_fraction: float, seed: int) -> Data:
    """Return one's own images as parts, told by the column of ``columns`` or made by a fraction."""
    if columns.split_column is not None:
        return split_by_column(images, columns.split_column, str(source))
    return split_off_test(images, test_fraction, seed)
