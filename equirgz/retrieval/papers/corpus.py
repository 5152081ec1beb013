"""Readers of papers: CSV, BibTeX (as ADS exports it), tagged ADS or RIS text, or a folder of abstracts.

A corpus is a table with the columns id, title, abstract, year, citations, keywords; what a file does not say is blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.errors import DataError, InputError
from equirgz.paths import as_path

COLUMNS = ("id", "title", "abstract", "year", "citations", "keywords")
#: what other files call the columns
NAMES = {
    "id": ("id", "bibcode", "arxiv_id", "doi", "key"),
    "title": ("title",),
    "abstract": ("abstract", "summary", "text"),
    "year": ("year", "date", "pubdate", "published"),
    "citations": ("citations", "citation_count", "num_citations"),
    "keywords": ("keywords", "keyword", "categories"),
}
TAGS = {  # of ADS ("%R") and of RIS ("TY  - ")
    "R": "id", "T": "title", "B": "abstract", "D": "date", "K": "keywords", "c": "citations",
    "ID": "id", "TI": "title", "T1": "title", "AB": "abstract", "N2": "abstract", "PY": "date", "Y1": "date",
    "KW": "keywords", "DO": "doi",
}  # fmt: skip
_ENTRY, _YEAR = re.compile(r"@(\w+)\s*\{\s*([^,\s]+)\s*,"), re.compile(r"\d{4}")
_TAGGED = re.compile(r"^(?:%(\w)|([A-Z][A-Z0-9])  -) ?(.*)$")


def read_papers(path: Path | str) -> pd.DataFrame:
    """Return the papers of a file or folder, one row each, columns ``COLUMNS``.

    A folder holds one .txt or .md per paper: its name is the id, its first line the title. Papers without an abstract
    are left out. Raises DataError for a file that is none of these or holds no abstract, InputError for ids that stand
    twice.
    """
    path = as_path(path)
    try:
        rows = list(_rows(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return make_papers(pd.DataFrame(rows), str(path))


def make_papers(table: pd.DataFrame, source: str = "papers") -> pd.DataFrame:
    """Return a table as a corpus: the columns by any name that they are known under, years as numbers."""
    columns = {}
    lower = {str(column).lower(): column for column in table.columns}
    for name, known in NAMES.items():
        found = [lower[other] for other in known if other in lower]
        columns[name] = table[found[0]] if found else pd.Series([None] * len(table), dtype=object)
    if not any(name in lower for name in NAMES["abstract"]) or not any(name in lower for name in NAMES["id"]):
        got = ", ".join(map(str, table.columns)) or "nothing"
        raise DataError(source, expected="papers with the columns id, title and abstract", got=got)
    papers = pd.DataFrame(columns).reset_index(drop=True)
    for name in ("id", "title", "abstract", "keywords"):
        papers[name] = [" ".join(str(cell).split()) if _given(cell) else "" for cell in papers[name]]
    years = (_YEAR.search(str(cell)) if _given(cell) else None for cell in papers["year"])
    papers["year"] = [float(found[0]) if found else np.nan for found in years]
    papers["citations"] = pd.to_numeric(papers["citations"], errors="coerce").astype(np.float64)
    papers = papers[papers["abstract"] != ""].reset_index(drop=True)
    if not len(papers):
        raise DataError(source, expected="papers with abstracts", got="none")
    if (papers["id"] == "").any():
        raise DataError(source, expected="an id for every paper", got=f"none for {papers['title'].iloc[0]!r}")
    twice = papers["id"][papers["id"].duplicated()]
    if len(twice):
        raise InputError(f"{source}: ids", expected="each once", got=f"{twice.iloc[0]!r} twice")
    return papers


def _given(cell: object) -> bool:
    return cell is not None and not (isinstance(cell, float) and np.isnan(cell))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if path.is_dir():
        for file in sorted(p for p in path.iterdir() if p.suffix.lower() in (".txt", ".md")):
            title, _, abstract = file.read_text(encoding="utf-8", errors="replace").strip().partition("\n")
            yield {"id": file.stem, "title": title, "abstract": abstract}
    elif path.suffix.lower() in (".csv", ".tsv"):
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        try:
            yield from pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False).to_dict("records")
        except ValueError as error:
            raise DataError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    else:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = list(read_bibtex(text) if _ENTRY.search(text) else read_tagged(text))
        if not found:
            got = "neither entries (@article{...}) nor tags (%T, TI  -)"
            raise DataError(f"{path}: papers", expected="CSV, BibTeX, ADS or RIS text, or a folder", got=got)
        yield from found


def read_bibtex(text: str) -> Iterator[dict[str, str]]:
    """Yield the fields of each entry, by lower-case name, without outer braces or quotes; ``id`` is its key."""
    for entry in _ENTRY.finditer(text):
        if entry[1].lower() in ("comment", "string", "preamble"):
            continue
        fields, place = {"id": entry[2]}, entry.end()
        while named := re.compile(r"[\s,]*([\w-]+)\s*=\s*").match(text, place):
            value, place = _value(text, named.end())
            fields[named[1].lower()] = " ".join(re.sub(r"[{}]", "", value).split())
        yield fields


def _value(text: str, place: int) -> tuple[str, int]:
    """Return the value that begins at ``place`` (braced, quoted or bare) and the place behind it."""
    if text[place : place + 1] == '"' or text[place : place + 1] == "{":
        quoted, depth = text[place] == '"', 0
        for end in range(place, len(text)):
            letter = text[end]
            depth += (letter == "{") - (letter == "}")
            if (quoted and end > place and letter == '"' and depth == 0) or (not quoted and depth == 0):
                return text[place + 1 : end], end + 1
        raise DataError(
            "BibTeX", expected="a closing brace", got=f"the end of the file after {text[place : place + 30]!r}"
        )
    bare = re.compile(r"[^,}\s]*").match(text, place)
    return bare[0], bare.end()


def read_tagged(text: str) -> Iterator[dict[str, str]]:
    """Yield the records of ADS' tagged (%R ...) or of RIS text (TY  - ... ER  -); keywords of several lines join."""
    record: dict[str, str] = {}
    last = None
    for line in text.splitlines():
        found = _TAGGED.match(line)
        if found is None:
            if last and line.strip():
                record[last] += f" {line.strip()}"
            elif not line.strip():
                last = None
            continue
        tag, value = found[1] or found[2], found[3].strip()
        if tag in ("R", "TY", "ER") and record:
            yield record
            record, last = {}, None
        if tag in TAGS:
            last = TAGS[tag]
            record[last] = f"{record[last]}; {value}" if last == "keywords" and last in record else value
    if record:
        yield record
