"""Catalogues of sources (CSV, FITS table, VOTable, Parquet) as tables with known position columns."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.catalogues.labels import LABEL_NAMES, tidy_text
from equirgz.data.catalogues.text_tables import read_text_table
from equirgz.data.sky.position import join_sexagesimal, parse_position, read_angles
from equirgz.errors import DataError, EquirgzError, InputError, check_choice, require_package
from equirgz.paths import as_path

TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".dat")

#: well-known position columns, pairs in the order of preference
_PAIRS = (
    ("ra_deg", "dec_deg"),
    ("ra", "dec"),
    ("ra", "de"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("_raj2000", "_dej2000"),
    ("ra_j2000", "dec_j2000"),
    ("alpha_j2000", "delta_j2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("s_ra", "s_dec"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("ra_degrees", "dec_degrees"),
    ("right_ascension", "declination"),
    ("ra_1p4", "dec_1p4"),
)
RA_NAMES, DEC_NAMES = (tuple(dict.fromkeys(names)) for names in zip(*_PAIRS, strict=True))
ID_NAMES = (
    "source_id",
    "id",
    "id_str",
    "name",
    "source_name",
    "filename",
    "file",
    "iauname",
    "iau_name",
    "rgz_name",
    "object_id",
    "objid",
    "file_name",
    "image_name",
)
Column = str | int | None


@dataclass(frozen=True)
class CatalogueOptions:
    """How a catalogue is read, and which of its columns mean what; columns by name, or by number from 1.

    Parameters
    ----------
    label_column : class names or whole numbers; None: the one of the usual names (label, target, class, y);
        "": the images have no labels.
    id_column, ra_column, dec_column : ids (names of files or sources) and positions (degrees or sexagesimal,
        J2000); None: the usual names.
    split_column : who trains and who tests, in words (:mod:`equirgz.data.splits.published_split`); None: nobody says.
    match : rows belong to images by ``name`` or by ``position``.
    match_radius_arcsec : largest distance of a row from its image, arcsec, above 0; with ``match`` position alone.
    missing : words that mean "no label" beside those of :mod:`equirgz.data.catalogues.labels`.
    votes : in place of labels, the column of vote fractions (or counts) of each class; of one class alone the
        others are called "other". The label is the class with most votes.
    min_vote : least fraction of the votes for a label, above 0 and at most 1; below it a source has none.
    separator : between the columns of a text file; None: told from the file.
    header : whether a text file begins with the names of its columns; None: told from the file.
    encoding : of a text file, e.g. ``utf-8`` or ``latin-1``; None: told from the file.
    """

    label_column: Column = None
    id_column: Column = None
    ra_column: Column = None
    dec_column: Column = None
    split_column: Column = None
    match: str = "name"
    match_radius_arcsec: float = 10.0
    missing: tuple[str | int | float, ...] = ()
    votes: Mapping[str, str | int] | None = None
    min_vote: float = 0.5
    separator: str | None = None
    header: bool | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        check_choice("match", self.match, ("name", "position"))
        for what, good, expected in (
            ("match_radius_arcsec", self.match_radius_arcsec > 0, "above 0"),
            ("min_vote", 0 < self.min_vote <= 1, "above 0, at most 1"),
        ):
            if not good:
                raise InputError(what, expected=expected, got=getattr(self, what))
        if self.votes and self.label_column not in (None, ""):
            raise InputError("catalogue", expected="label_column or votes", got="both", mend="leave one out")

    def told(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {field.name: values[field.name] for field in fields(self) if values[field.name] != field.default}

    def keeps_text(self, column: str, number: int) -> bool:
        """Return whether the cells of a column (the n-th) are ids, labels or parts, which stay as they are written."""
        told = [name for name in (self.label_column, self.id_column, self.split_column) if name]
        if number in told:
            return True
        named = {str(name).strip().lower() for name in told if isinstance(name, str)}
        usual = (*ID_NAMES, *(LABEL_NAMES if self.label_column is None and not self.votes else ()))
        return column.lower() in named or _plain(column) in {_plain(name) for name in usual}


def read_catalogue(path: Path | str, options: CatalogueOptions | None = None) -> pd.DataFrame:
    """Read a catalogue by its ending: .csv, .tsv, .txt, .dat, .parquet, .fits (.fit, .gz), .vot, .xml, .ecsv.

    Columns keep their names; vector columns are left out; bytes become text; text is read by
    :func:`~equirgz.data.catalogues.text_tables.read_text_table`, with ids and labels as they are written. Raises
    DataError for a missing, damaged or empty file and InputError for an unknown ending or what has to be told.
    """
    path = as_path(path)
    options = options or CatalogueOptions()
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    ending = suffixes[-1] if suffixes else ""
    try:
        if ending in TEXT_ENDINGS:
            table = _read_text(path, options)
        elif ending in (".parquet", ".pq"):
            require_package("pyarrow", f"{path}: Parquet files")
            table = pd.read_parquet(path)
        elif ending in (".fits", ".fit", ".vot", ".votable", ".xml", ".ecsv"):
            table = _read_astropy(path, ending)
        else:
            raise InputError(
                f"catalogue {path}", expected=".csv, .tsv, .parquet, .fits, .vot or .ecsv", got=repr(ending)
            )
    except EquirgzError:
        raise
    except Exception as error:  # each reader raises kinds of its own for a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: expected a readable catalogue, got: {reason[:200]}") from error
    if not len(table):
        raise DataError(f"{path}: expected a catalogue with sources, got none")
    return table


def _read_text(path: Path, options: CatalogueOptions) -> pd.DataFrame:
    how = {"separator": options.separator, "header": options.header, "encoding": options.encoding}
    return read_text_table(path, **how, keep_text=options.keeps_text)


def _read_astropy(path: Path, ending: str) -> pd.DataFrame:
    from astropy.table import Table

    kind = {".fit": "fits", ".fits": "fits", ".ecsv": "ascii.ecsv"}.get(ending, "votable")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units and names outside the standards are common and harmless
        table = Table.read(path, format=kind)
    table = table[[name for name in table.colnames if len(table[name].shape) <= 1]]
    _turn_to_degrees(table)
    frame = table.to_pandas()
    for column in frame.columns:
        if frame[column].dtype == object:
            frame[column] = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in frame[column]]
    return frame


def _turn_to_degrees(table: Any) -> None:
    """Write position columns whose unit is another angle, or hours, in degrees; in place."""
    from astropy import units

    for name in table.colnames:
        unit = getattr(table[name], "unit", None)
        hours = unit == units.hour
        if unit is None or not (hours or unit.is_equivalent(units.deg)) or table[name].dtype.kind != "f":
            continue
        factor = 15.0 if hours else unit.to(units.deg)
        if _plain(name) in {_plain(known) for known in (*RA_NAMES, *DEC_NAMES)} and factor != 1:
            table[name] = np.asarray(table[name]) * factor


def _plain(name: object) -> str:
    """Return a column's name in lower case with one underscore for all that is no letter or digit."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def find_column(table: pd.DataFrame, names: tuple[str, ...], wanted: Column = None) -> str | None:
    """Return the column called ``wanted`` (or of this number, from 1), or the first of ``names``, or None.

    Names are compared in any case and with any punctuation ("RA/deg" is ``ra_deg``); exact ones come first.
    """
    columns = list(table.columns)
    if wanted is not None:
        if wanted in columns:
            return wanted
        if isinstance(wanted, int) and 1 <= wanted <= len(columns):
            return columns[wanted - 1]
        near = [c for c in columns if str(c).strip().lower() == str(wanted).strip().lower()]
        if len(near) == 1:
            return near[0]
        raise InputError("catalogue column", expected=f"one of {columns}", got=repr(wanted))
    lower = {str(column).strip().lower(): column for column in reversed(columns)}
    plain = {_plain(column): column for column in reversed(columns)}
    found = next((lower[name] for name in names if name in lower), None)
    return found if found is not None else next((plain[_plain(name)] for name in names if _plain(name) in plain), None)


def find_position_columns(table: pd.DataFrame, ra: Column = None, dec: Column = None) -> tuple[str, str] | None:
    """Return the columns of right ascension and declination, named or of one well-known pair, or None."""
    for pair in _PAIRS:
        found = find_column(table, pair[:1], ra), find_column(table, pair[1:], dec)
        if None not in found:
            return found
    return None


def get_positions(
    table: pd.DataFrame, *, ra: Column = None, dec: Column = None, source: str = "catalogue"
) -> np.ndarray:
    """Return right ascension and declination (N, 2) in degrees, NaN where a row has none.

    From the named or well-known columns, in degrees or sexagesimal text (hours, and degrees of declination); else
    from the columns of hours, minutes, ... of VizieR (RAh, RAm, RAs, DE-, DEd, DEm, DEs); else from names that hold
    a position (:func:`parse_position`) in every row. Raises DataError when there are none, or
    when they are no positions (|dec| > 90, ra outside [-180, 360]).
    """
    columns = find_position_columns(table, ra, dec)
    if columns is not None:
        position = np.stack(
            [
                read_angles(table[column], hours=hours, source=f"{source}: {column}")
                for column, hours in zip(columns, (True, False), strict=True)
            ],
            axis=1,
        )
    else:
        position = join_sexagesimal(table)
    if position is None and (named := find_column(table, ID_NAMES)) is not None:
        position = np.array([parse_position(str(value)) for value in table[named]]).reshape(-1, 2)
        position = position if np.isfinite(position).all() else None
    if position is None:
        raise DataError(
            f"{source}: expected position columns such as ra and dec, got {', '.join(map(str, table.columns))}; "
            "name them with ra_column and dec_column"
        )
    with np.errstate(invalid="ignore"):
        bad = (np.abs(position[:, 1]) > 90) | (position[:, 0] < -180) | (position[:, 0] > 360)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise DataError(f"{source}: position in row {i}", expected="degrees", got=tuple(position[i].tolist()))
    return position


def get_ids(table: pd.DataFrame, *, column: Column = None, prefix: str = "source") -> np.ndarray:
    """Return the ids of the sources as text from the named or a well-known column, else numbered ones."""
    name = find_column(table, ID_NAMES, column)
    if name is None:
        return np.array([f"{prefix}_{i:06d}" for i in range(len(table))])
    return np.array([tidy_text(v) for v in table[name]])
