"""What a catalogue says about images: rows matched by name or position. Legend: N sources."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.data.catalogue import DEC_NAMES, RA_NAMES, find_column, get_positions, read_catalogue
from equirgz.data.imageset import ImageSet
from equirgz.data.labels import encode_labels
from equirgz.data.match_names import match_names
from equirgz.data.position import match_positions, parse_position
from equirgz.errors import DataError, InputError, explain


def join_catalogue(
    images: ImageSet,
    paths: list[Path],
    catalogue: Path | str,
    *,
    label_column: str | None = None,
    match: str = "name",
    match_radius_arcsec: float = 10.0,
) -> ImageSet:
    """Return ``images`` with the columns, positions and, with ``label_column``, the labels of a catalogue.

    ``paths`` name the images: of their files inside a folder, or ids. Rows are matched by ``name``
    (:func:`match_names`) or by ``position`` (of the image, else of its name ``...123.456-01.234...``) within
    ``match_radius_arcsec``. Images without a row have no label. Raises DataError where no row matches.
    """
    rows = read_catalogue(catalogue)
    position_N2 = np.full((len(images), 2), np.nan) if images.position_deg_N2 is None else images.position_deg_N2
    if match == "position":
        named_N2 = np.array([parse_position(path.name) for path in paths])
        position_N2 = np.where(np.isfinite(position_N2).all(1, keepdims=True), position_N2, named_N2)
    row_N = _match_rows(rows, paths, position_N2, match, match_radius_arcsec, str(catalogue))
    matched = rows.reindex(row_N).reset_index(drop=True)
    table = pd.concat([images.table, matched.drop(columns=[c for c in matched if c in images.table])], axis=1)
    label_N, class_names = images.label_N, images.class_names
    if label_column is not None:
        if label_column not in rows:
            raise InputError(
                explain(f"{catalogue}", expected=f"a column {label_column!r}", got=list(rows.columns))
            )
        label_N, class_names = encode_labels(matched[label_column], source=f"{catalogue}: {label_column}")
    position_N2 = _fill_positions(position_N2, matched)
    return replace(
        images,
        table=table,
        label_N=label_N,
        class_names=class_names,
        position_deg_N2=position_N2 if np.isfinite(position_N2).any() else None,
    )


def _match_rows(
    rows: pd.DataFrame, files: list[Path], position: np.ndarray, match: str, radius_arcsec: float, source: str
) -> np.ndarray:
    """Return the catalogue row of every file; -1 (an absent row) where there is none."""
    row_N = np.full(len(files), -1)
    if match == "position":
        i, j, _ = match_positions(position, get_positions(rows, source=source), radius_arcsec)
        row_N[i[::-1]] = j[::-1]  # pairs are sorted by separation: the nearest is written last
    elif match == "name":
        row_N = match_names(rows, files, source)
    else:
        raise InputError(explain("match", expected="'name' or 'position'", got=repr(match)))
    if (row_N < 0).all():
        raise DataError(f"{source}: expected rows that match the files by {match}, got none of {len(files)}")
    return row_N


def _fill_positions(position: np.ndarray, matched: pd.DataFrame) -> np.ndarray:
    ra, dec = find_column(matched, RA_NAMES), find_column(matched, DEC_NAMES)
    if ra is None or dec is None:
        return position
    listed = matched[[ra, dec]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    return np.where(np.isfinite(listed), listed, position)
