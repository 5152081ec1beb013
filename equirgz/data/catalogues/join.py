"""What a catalogue says about images: rows matched by name or position, labels, votes. Legend: N sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.data.catalogues.catalogue import (
    CatalogueOptions,
    Column,
    find_column,
    find_position_columns,
    get_ids,
    get_positions,
    read_catalogue,
)
from equirgz.data.catalogues.labels import LABEL_NAMES, encode_labels
from equirgz.data.catalogues.match_names import match_names
from equirgz.data.catalogues.text_tables import refuse_decimal_commas
from equirgz.data.imageset import ImageSet
from equirgz.data.notes import list_bad, note
from equirgz.data.sky.position import match_positions, parse_position
from equirgz.errors import DataError, InputError


def join_catalogue(
    images: ImageSet, paths: list[Path], catalogue: Path | str, options: CatalogueOptions | None = None
) -> ImageSet:
    """Return ``images`` with the columns, positions and labels of a catalogue.

    ``paths`` name the images: of their files inside a folder, or ids. Rows are matched by ``name``
    (:func:`match_names`) or by ``position`` (of the image, else of its name: :func:`parse_position`) within
    a radius. Images without a row have no label; they, and rows without an image, are counted in a note and listed
    (:func:`~equirgz.data.notes.list_bad`). Raises DataError where no row matches, or where the rows that do have no
    label; InputError, with the columns that there are, where none holds labels and the images have none either.
    """
    options = options or CatalogueOptions()
    rows = read_catalogue(catalogue, options)
    position_N2 = np.full((len(images), 2), np.nan) if images.position_deg_N2 is None else images.position_deg_N2
    if options.match == "position":
        named_N2 = np.array([parse_position(path.name) for path in paths])
        position_N2 = np.where(np.isfinite(position_N2).all(1, keepdims=True), position_N2, named_N2)
    label_column = choose_label_column(rows, options.label_column, str(catalogue))
    row_N = _match_rows(rows, paths, position_N2, options, str(catalogue))
    _list_unmatched(rows, paths, row_N, catalogue)
    matched = rows.reindex(row_N).reset_index(drop=True)
    table = pd.concat([images.table, matched.drop(columns=[c for c in matched if c in images.table])], axis=1)
    images = replace(images, table=table)
    if options.votes or label_column is not None:
        images = label_from(images, matched, label_column, options, str(catalogue))
    elif options.label_column is None and not images.class_names:
        got = ", ".join(map(str, rows.columns))
        mend = "name it with label_column (or votes), or set label_column to '' for images without labels"
        expected = "a column of labels such as label or class"
        raise InputError(str(catalogue), expected=expected, got=got, mend=mend)
    position_N2 = _fill_positions(position_N2, matched, options)
    return replace(images, position_deg_N2=position_N2 if np.isfinite(position_N2).any() else None)


def choose_label_column(table: pd.DataFrame, wanted: Column, source: str) -> str | None:
    """Return the column of labels: the one named, else the one of the usual names, None where there is none.

    "" names none. Raises InputError for a name that is not there, or where two columns have usual names.
    """
    if wanted == "":
        return None
    if wanted is not None:
        try:
            return find_column(table, (), wanted)
        except InputError:
            raise InputError(source, expected=f"a column {wanted!r}", got=list(table.columns)) from None
    usual = [column for column in table.columns if str(column).strip().lower() in LABEL_NAMES]
    if len(usual) > 1:
        mend = "name the one that counts with label_column"
        raise InputError(source, expected="one column of labels", got=" and ".join(map(str, usual)), mend=mend)
    return usual[0] if usual else None


def label_from(
    images: ImageSet, table: pd.DataFrame, column: str | None, options: CatalogueOptions, source: str
) -> ImageSet:
    """Return the images labelled by a column, or by the votes, of a table with a row for each."""
    where = source if column is None else f"{source}: {column}"
    if options.votes:
        label_N, class_names = count_votes(table, options.votes, options.min_vote, source)
    else:
        label_N, class_names = encode_labels(table[column], source=where, missing=options.missing)
    if len(images) and (label_N < 0).all():
        mend = f"choose another column of {', '.join(map(str, table.columns))}"
        got = f"none in the {len(images)} rows of the images"
        raise DataError(where, expected="labels", got=got, mend=mend)
    return replace(images, label_N=label_N, class_names=class_names)


def count_votes(
    table: pd.DataFrame, votes: Mapping[str, str], min_vote: float, source: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels and class names from vote fractions, one column per class (or of one class of two).

    The label is the class with most votes, where its fraction is at least ``min_vote`` and no other has as many;
    else -1. Numbers above 1 are counts, which are divided by their sum. Raises DataError for what is no vote.
    """
    columns = [find_column(table, (), column) for column in votes.values()]
    for column in columns:
        refuse_decimal_commas(table[column], f"{source}: {column}")
    try:
        vote_NK = np.stack([pd.to_numeric(table[column]).to_numpy(np.float64) for column in columns], axis=1)
    except (ValueError, TypeError) as error:
        raise DataError(f"{source}: votes", expected="numbers", got=f"{columns}: {error}") from error
    if np.nanmin(vote_NK, initial=0) < 0 or (len(columns) == 1 and np.nanmax(vote_NK, initial=0) > 1):
        got = f"{np.nanmin(vote_NK):g} to {np.nanmax(vote_NK):g} in {', '.join(map(str, columns))}"
        expected = "fractions from 0 to 1, or counts of every class"
        raise DataError(f"{source}: votes", expected=expected, got=got)
    names = tuple(votes)
    if len(columns) == 1:
        vote_NK, names = np.concatenate([vote_NK, 1 - vote_NK], axis=1), (*names, "other")
    vote_NK = np.nan_to_num(vote_NK, nan=0.0)
    if vote_NK.max(initial=0) > 1:
        vote_NK = vote_NK / np.maximum(vote_NK.sum(1, keepdims=True), 1e-300)
    best_N = vote_NK.max(1, initial=0)
    decided_N = (best_N >= min_vote) & (best_N > 0) & ((vote_NK == best_N[:, None]).sum(1) == 1)
    return np.where(decided_N, vote_NK.argmax(1), -1), names


def _match_rows(
    rows: pd.DataFrame, files: list[Path], position: np.ndarray, options: CatalogueOptions, source: str
) -> np.ndarray:
    """Return the catalogue row of every file; -1 (an absent row) where there is none."""
    row_N = np.full(len(files), -1)
    if options.match == "position":
        listed = get_positions(rows, ra=options.ra_column, dec=options.dec_column, source=source)
        i, j, _ = match_positions(position, listed, options.match_radius_arcsec)
        row_N[i[::-1]] = j[::-1]  # pairs are sorted by separation: the nearest is written last
        for pair_N, what in ((i, "images have several rows"), (row_N[row_N >= 0], "rows serve several images")):
            n = int((np.bincount(pair_N) > 1).sum())
            if n:
                radius = f"within {options.match_radius_arcsec:g} arcsec"
                note(f"{source}: {n} {what} {radius}; the nearest row counts")
    else:
        row_N = match_names(rows, files, source, options.id_column)
    if (row_N < 0).all():
        radius = f"set match_radius_arcsec ({options.match_radius_arcsec:g}), ra_column and dec_column"
        mend = "set id_column, or match to position" if options.match == "name" else radius
        expected = f"rows that match the files by {options.match}"
        raise DataError(source, expected=expected, got=f"none of {len(files)}", mend=mend)
    return row_N


def _list_unmatched(rows: pd.DataFrame, paths: list[Path], row_N: np.ndarray, catalogue: Path | str) -> None:
    """Count and list images without a row and rows without an image."""
    lonely = {str(path): "no row in the catalogue" for path, row in zip(paths, row_N, strict=True) if row < 0}
    if lonely:
        list_bad(lonely, catalogue, what="images", did="no label for")
    ids = get_ids(rows, prefix="row")
    idle = {f"{ids[k]} (row {k})": "no image" for k in np.setdiff1d(np.arange(len(rows)), row_N)}
    if idle:
        list_bad(idle, catalogue, what="rows")


def _fill_positions(position: np.ndarray, matched: pd.DataFrame, options: CatalogueOptions) -> np.ndarray:
    columns = find_position_columns(matched, options.ra_column, options.dec_column)
    if columns is None:
        return position
    try:
        listed = get_positions(matched, ra=options.ra_column, dec=options.dec_column)
    except DataError:  # columns of these names that hold no positions, which nobody asked for
        if options.ra_column is not None or options.dec_column is not None:
            raise
        return position
    return np.where(np.isfinite(listed), listed, position)
