"""Tables in text as people have them: any usual separator, encoding and kind of header, and no cell altered.

Every cell is read as text first. Nothing is guessed where two readings are possible: the line says which option
settles it.
"""

from __future__ import annotations

import csv
import gzip
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from equirgz.data.notes import note
from equirgz.errors import DataError, InputError

SEPARATORS = (",", ";", "\t", "|")
BLANKS = r"\s+"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")
_RULE = re.compile(r"[-=]{2,}|-")
#: words that stand for no number in a column of numbers (those of pandas)
NO_NUMBER = ("", "nan", "na", "n/a", "null", "none", "<na>", "#n/a", "--", "-")
_LOOKED_AT = 200


def read_text_table(
    path: Path,
    *,
    separator: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    keep_text: Callable[[str, int], bool] = lambda name, number: False,
) -> pd.DataFrame:
    """Read a table in text, gzipped or not; columns in which every cell is a number become numbers.

    Parameters
    ----------
    separator : default: the one of comma, semicolon, tab and bar that divides all lines alike, else blanks.
    header : whether the first line names the columns; default: yes, unless it holds numbers, which is refused.
        Without one the columns are called "1", "2", ... Comments (#) before it are skipped, as are VizieR's lines
        of units and dashes after it; a last comment that names the columns is the header.
    encoding : default: UTF-8 or UTF-16 by their marks, UTF-8, else Latin-1, which is said in a note.
    keep_text : tells by its name and number (from 1) whether the cells of a column stay text as they are written.

    Raises InputError where the separator or the header has to be told, DataError for lines of unlike length.
    """
    lines = _decode(path, encoding).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), len(lines))
    comments, lines = [line for line in lines[:first] if line.strip()], lines[first:]
    if not lines:
        raise DataError(f"{path}: expected a catalogue with sources, got none")
    told = re.fullmatch(r'"?sep=(.)"?', lines[0].strip(), re.IGNORECASE)  # as Excel writes it
    if told is not None:
        separator, lines, first = separator or told[1], lines[1:], first + 1
    separator = separator or find_separator(lines, str(path))
    if separator != BLANKS and len(separator) != 1:
        mend = r"give one character, or \s+ for blanks"
        raise InputError("separator", expected="one character", got=repr(separator), mend=mend)
    cells = _split(lines, separator, path, skipped=first)
    names = [str(k + 1) for k in range(cells.shape[1])]
    if header is not False:
        head = cells.iloc[0].tolist()
        named = _split_comment(comments, separator)
        if header or not any(_NUMBER.fullmatch(cell) for cell in head):
            names, cells = head, _drop_units(cells.iloc[1:])
        elif len(named) == len(head):
            names = named
        else:
            raise InputError(
                str(path),
                expected="a first line that names the columns",
                got=", ".join(head)[:80],
                mend="set header to false and name columns by their number (1, 2, ...), or header to true",
            )
    twice = [name for k, name in enumerate(names) if name in names[:k] and keep_text(name, k + 1)]
    if twice:
        mend = "give each column a name of its own, or set header to false after removing the first line"
        raise InputError(str(path), expected=f"one column {twice[0]!r}", got=names.count(twice[0]), mend=mend)
    cells.columns = pd.Index(_name_columns(names), dtype=object)
    cells = cells.reset_index(drop=True)
    columns = {}
    for k, name in enumerate(cells.columns):
        cell_N = cells.iloc[:, k]
        columns[name] = cell_N.where(cell_N != "", None) if keep_text(name, k + 1) else _to_numbers(cell_N)
    return pd.DataFrame(columns)


def _split_comment(comments: list[str], separator: str) -> list[str]:
    """Return the cells of the last comment before the first line, which may name the columns."""
    last = comments[-1].strip().lstrip("#").strip() if comments else ""
    return [cell.strip() for cell in re.split(separator if separator == BLANKS else re.escape(separator), last)]


def _decode(path: Path, encoding: str | None) -> str:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: expected a whole gzip file, got a damaged one ({error})") from error
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    encoding = encoding or next((name for mark, name in marks.items() if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        raise DataError(f"{path}: expected a table in text, got bytes of value 0; set encoding")
    try:
        return content.decode(encoding or "utf-8")
    except LookupError:
        raise InputError(f"{path}: expected a known encoding such as utf-8 or latin-1, got {encoding!r}") from None
    except UnicodeDecodeError as error:
        if encoding is not None:
            got = f"byte {content[error.start]:#x} at {error.start}"
            expected = f"text in {encoding}"
            raise DataError(str(path), expected=expected, got=got, mend="set another encoding") from None
    guess = "cp1252" if any(0x80 <= byte < 0xA0 for byte in content) else "latin-1"
    note(f"{path}: not UTF-8, read as {guess}; set encoding if names look wrong")
    return content.decode(guess, "replace")


def find_separator(lines: list[str], source: str) -> str:
    """Return the separator that divides every line into the same number of cells, more than one.

    Where lines differ, the one that divides the first line most; a single column is told by a comma.
    """
    looked = [line for line in lines[:_LOOKED_AT] if line.strip()]
    counts = {}
    for separator in SEPARATORS:
        rows = csv.reader([line + "\n" for line in looked], delimiter=separator, skipinitialspace=True)
        try:
            counts[separator] = [len(row) for row in rows]
        except csv.Error:
            counts[separator] = [0]
    alike = [separator for separator, n in counts.items() if n[0] > 1 and len(set(n)) == 1]
    if len(alike) > 1 and source.lower().endswith((".tsv", ".tab", ".tsv.gz")) and "\t" in alike:
        return "\t"
    if len(alike) > 1:
        got = " or ".join(map(repr, alike))
        raise InputError(source, expected="one separator that fits", got=got, mend="set separator")
    if alike:
        return alike[0]
    first = max(SEPARATORS, key=lambda separator: counts[separator][0])
    if counts[first][0] > 1:
        return first
    blanks = {len(line.split()) for line in looked}
    return BLANKS if len(blanks) == 1 and blanks != {1} else ","


def _split(lines: list[str], separator: str, path: Path, skipped: int) -> pd.DataFrame:
    """Return the cells as text (NFC) without blanks around them; DataError for a line of another length.

    Lines without any text are no rows. ``skipped`` lines came before.
    """
    ended = [line + "\n" for line in lines]
    rows: list[list[str]] = []
    if separator == BLANKS:
        split = ((k, line.split()) for k, line in enumerate(ended, 1))
    else:
        reader = csv.reader(ended, delimiter=separator, skipinitialspace=True, strict=True)
        split = ((reader.line_num, row) for row in reader)
    try:
        for number, row in split:
            cells = [unicodedata.normalize("NFC", cell).strip() for cell in row]
            if not any(cells):
                continue
            if rows and len(cells) != len(rows[0]):
                line = f"{path}: line {number + skipped}"
                mend = "write a separator for every cell, quote cells that hold it, or set separator"
                expected = f"{len(rows[0])} cells as in the first line"
                raise DataError(line, expected=expected, got=len(cells), mend=mend)
            rows.append(cells)
    except csv.Error as error:
        where = f"{path}: line {reader.line_num + skipped}"
        mend = "double the quotes inside quoted cells"
        raise DataError(where, expected="whole quoted cells", got=error, mend=mend) from error
    return pd.DataFrame(rows, dtype=object)


def _drop_units(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows below a line of dashes, with which VizieR and others end their header."""
    for k in range(min(2, len(cells))):
        if all(_RULE.fullmatch(cell) for cell in cells.iloc[k]):
            return cells.iloc[k + 1 :]
    return cells


def _name_columns(names: list[str]) -> list[str]:
    """Return unique names; columns without one are "Unnamed: 0", ..., a second "x" is "x.1", as in pandas."""
    given: list[str] = []
    for k, name in enumerate(names):
        name = name or f"Unnamed: {k}"
        number = sum(other == name for other in names[:k])
        given.append(f"{name}.{number}" if number else name)
    return given


def refuse_decimal_commas(values: Iterable[object], source: str) -> None:
    """Raise DataError for text that is all numbers, some of them with a comma for the decimal point.

    "12,5" may be 12.5, or a list of 12 and 5: it is read as neither where a number is wanted.
    """
    text = [value.strip() for value in values if isinstance(value, str) and value.strip().lower() not in NO_NUMBER]
    commas = [cell for cell in text if _COMMA.fullmatch(cell)]
    if commas and all(_NUMBER.fullmatch(cell.replace(",", ".", 1)) for cell in text):
        mend = "write points in place of the commas"
        raise DataError(source, expected="numbers with a decimal point", got=repr(commas[0]), mend=mend)


def _to_numbers(cell_N: pd.Series) -> pd.Series:
    """Return numbers, or booleans, where every cell is one; NaN for none. Else the text, None where blank."""
    lower_N = cell_N.str.lower()
    known = set(lower_N.unique())
    if known and known <= {"true", "false"}:
        return lower_N == "true"
    gone_N = lower_N.isin(NO_NUMBER)
    try:
        return pd.to_numeric(cell_N.where(~gone_N, None))
    except (ValueError, TypeError):
        return cell_N.where(cell_N != "", None)
