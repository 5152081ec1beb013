"""Catalogues of sources (CSV, FITS table, VOTable, Parquet) as tables with known position columns."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.errors import DataError, InputError, explain

RA_NAMES = ("ra_deg", "ra", "raj2000", "_raj2000", "ra_j2000", "alpha_j2000", "ra_icrs", "s_ra", "ra_1p4")
DEC_NAMES = (
    "dec_deg",
    "dec",
    "dej2000",
    "_dej2000",
    "dec_j2000",
    "delta_j2000",
    "de_icrs",
    "s_dec",
    "dec_1p4",
)
ID_NAMES = ("source_id", "id", "id_str", "name", "source_name", "filename", "file", "iauname")


def read_catalogue(path: Path | str) -> pd.DataFrame:
    """Read a catalogue by its ending: .csv, .tsv, .parquet, .fits (.fit, .gz), .vot, .votable, .xml, .ecsv.

    Columns keep their names; vector columns are left out; bytes become text. Raises DataError for a
    missing, damaged or empty file and InputError for an unknown ending.
    """
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    ending = suffixes[-1] if suffixes else ""
    try:
        if ending in (".csv", ".tsv", ".txt"):
            table = pd.read_csv(path, sep="\t" if ending == ".tsv" else ",", dtype=_text_ids(path, ending))
        elif ending in (".parquet", ".pq"):
            table = pd.read_parquet(path)
        elif ending in (".fits", ".fit", ".vot", ".votable", ".xml", ".ecsv"):
            table = _read_astropy(path, ending)
        else:
            raise InputError(
                explain(
                    f"catalogue {path}",
                    expected=".csv, .tsv, .parquet, .fits, .vot or .ecsv",
                    got=repr(ending),
                )
            )
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet files need the package pyarrow; install it with pip install 'equirgz[parquet]'"
        ) from error
    except InputError:
        raise
    except Exception as error:  # each reader raises kinds of its own for a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: expected a readable catalogue, got: {reason[:200]}") from error
    if not len(table):
        raise DataError(f"{path}: expected a catalogue with sources, got none")
    return table


def _text_ids(path: Path, ending: str) -> dict[str, type]:
    """Return the columns of a text catalogue that are names, so that "0012" does not become 12."""
    header = pd.read_csv(path, sep="\t" if ending == ".tsv" else ",", nrows=0)
    return {column: str for column in header.columns if column.strip().lower() in ID_NAMES}


def _read_astropy(path: Path, ending: str) -> pd.DataFrame:
    from astropy.table import Table

    kind = {".fit": "fits", ".fits": "fits", ".ecsv": "ascii.ecsv"}.get(ending, "votable")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units and names outside the standards are common and harmless
        table = Table.read(path, format=kind)
    flat = [name for name in table.colnames if len(table[name].shape) <= 1]
    frame = table[flat].to_pandas()
    for column in frame.columns:
        if frame[column].dtype == object:
            frame[column] = [
                v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in frame[column]
            ]
    return frame


def find_column(table: pd.DataFrame, names: tuple[str, ...], wanted: str | None = None) -> str | None:
    """Return the column called ``wanted``, or the first of ``names`` present in any case, or None."""
    if wanted is not None:
        if wanted not in table.columns:
            raise InputError(
                explain("catalogue column", expected=f"one of {list(table.columns)}", got=repr(wanted))
            )
        return wanted
    lower = {str(column).strip().lower(): column for column in table.columns}
    return next((lower[name] for name in names if name in lower), None)


def get_positions(
    table: pd.DataFrame, *, ra: str | None = None, dec: str | None = None, source: str = "catalogue"
) -> np.ndarray:
    """Return right ascension and declination (N, 2) in degrees from the named or well-known columns.

    Raises DataError when there are none, or when they are not degrees (|dec| > 90, ra outside [-180, 360]).
    """
    ra_name, dec_name = find_column(table, RA_NAMES, ra), find_column(table, DEC_NAMES, dec)
    if ra_name is None or dec_name is None:
        raise DataError(
            f"{source}: expected position columns such as ra and dec, got {', '.join(map(str, table.columns))}; "
            "name them with ra=... and dec=..."
        )
    try:
        position = table[[ra_name, dec_name]].to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{source}: expected positions in degrees, got {table[ra_name].iloc[0]!r}; "
            "write sexagesimal ones in degrees (astropy.coordinates.SkyCoord)"
        ) from error
    with np.errstate(invalid="ignore"):
        bad = (np.abs(position[:, 1]) > 90) | (position[:, 0] < -180) | (position[:, 0] > 360)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise DataError(
            explain(f"{source}: position in row {i}", expected="degrees", got=tuple(position[i].tolist()))
        )
    return position


def get_ids(table: pd.DataFrame, *, column: str | None = None, prefix: str = "source") -> np.ndarray:
    """Return the ids of the sources as text from the named or a well-known column, else numbered ones."""
    name = find_column(table, ID_NAMES, column)
    if name is None:
        return np.array([f"{prefix}_{i:06d}" for i in range(len(table))])
    return np.array([str(v).strip() for v in table[name]])
