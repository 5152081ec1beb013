"""Tables of answers as CSV, FITS, VOTable or ECSV, by the suffix; units where astronomers' formats have them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pandas as pd

from equirgz.errors import InputError
from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic

FORMATS = {".csv": "", ".fits": "fits", ".vot": "votable", ".ecsv": "ascii.ecsv"}
UNITS = {"deg": "deg", "arcsec": "arcsec"}  # last part of a column's name, before _low and _high


def check_table_path(path: Path | str, what: str = "--output") -> Path:
    """Return the path; InputError for an ending that is none of :data:`FORMATS`, and for an image that lies there."""
    path = as_path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(what, expected=f"a name that ends in {', '.join(FORMATS)}", got=path.name)
    if path.suffix.lower() == ".fits" and path.is_file() and _holds_image(path):
        raise InputError(what, expected="a new name, or that of a table", got=f"the image {path}", mend="give another")
    return path


def _holds_image(path: Path) -> bool:
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as file:
            return any(hdu.is_image and hdu.header.get("NAXIS", 0) >= 2 for hdu in file)
    except OSError:  # no FITS file
        return True


def write_table(table: pd.DataFrame, path: Path | str) -> Path:
    """Write a table by atomic rename; return its path. Raises InputError for another ending."""
    path = check_table_path(path)
    form = FORMATS[path.suffix.lower()]
    if not form:
        write_bytes_atomic(path, table.to_csv(index=False, float_format="%.6g").encode())
        return path
    from astropy.table import Table

    columns = {
        name: values.to_numpy(str) if values.dtype.kind not in "fiub" else values.to_numpy()
        for name, values in table.items()
    }
    made = Table(columns)
    for name in made.colnames:
        unit = UNITS.get(name.removesuffix("_low").removesuffix("_high").rpartition("_")[2])
        if unit and made[name].dtype.kind == "f":
            made[name].unit = unit
    stream: io.BytesIO | io.StringIO = io.StringIO() if form == "ascii.ecsv" else io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of columns that the FITS standard does not like
        made.write(stream, format=form)
    text = stream.getvalue()
    write_bytes_atomic(path, text.encode() if isinstance(text, str) else text)
    return path
