"""What counts as a label and what as none: the one rule of ``fit``, ``finetune``, catalogues and every container.

A label is **missing** where its value is None, NaN, NaT, pandas' NA, masked or blank text, where it is -1 among
whole numbers, and where it is a word that the user lists as missing. Everything else is a label: ``NA``, ``None``
and ``null`` are names of classes as any other. Names lose the blanks around them and are compared in Unicode's
composed form (NFC). Numbers are **codes** where all are whole, whatever holds them (1, 1.0, "1" and "1.0" are the
class "1"; "01" and "1e5" are names), and otherwise continuous, which is no label. Legend: N sources.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.catalogues.text_tables import refuse_decimal_commas
from equirgz.errors import DataError, InputError, require

NO_LABEL = "none or NaN, masked, blank, or -1"
#: columns and arrays that are taken for the labels where none is named
LABEL_NAMES = ("label", "labels", "target", "targets", "class", "classes", "y", "label_n")
_CODE = re.compile(r"0|-?[1-9]\d{0,17}")
_DECIMAL = re.compile(r"-?(\d+\.\d*|\.\d+)([eE][+-]?\d{1,3})?")
#: what tables write for "no number": refused beside numbers, since they could name a class
_NO_NUMBER = frozenset({"na", "nan", "n/a", "none", "null", "<na>", "nat", "-", "--", "inf", "-inf"})
#: what numpy and pandas write for NaN, NA and NaT when they turn values into text: no name either
_NO_NAME = frozenset({"nan", "<na>", "nat"})


def tidy_text(value: Any) -> str:
    """Return a value as text: bytes decoded, 1.0 and True as "1", composed (NFC), without blanks around it."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            value = value.decode("latin-1")
    if isinstance(value, bool | np.bool_ | float | np.floating) and np.isfinite(value) and value == np.floor(value):
        value = int(value)
    return unicodedata.normalize("NFC", str(value)).strip().strip("\ufeff\x00")


@dataclass(frozen=True)
class Labels:
    """Labels as text ("" where missing), which are missing, and whether all others are whole numbers."""

    text_N: np.ndarray
    missing_N: np.ndarray
    are_codes: bool


def read_labels(values: Any, source: str = "labels", missing: Iterable[Any] = ()) -> Labels:
    """Read labels by the rule of this module; ``missing`` are the user's words for none.

    Raises DataError for continuous numbers, and for what can be read in two ways: -1 or the text "nan" among names,
    and a word such as ``NA`` among nothing but numbers.
    """
    words = {tidy_text(word) for word in ([missing] if isinstance(missing, str) else missing)}
    gone_N = _is_missing(values)
    value_N = np.asarray(values, dtype=object)
    text_N = np.array([tidy_text(v) if not gone else "" for v, gone in zip(value_N, gone_N, strict=True)], dtype=object)
    gone_N |= np.array([text == "" or text in words for text in text_N], dtype=bool)
    count = Counter(text_N[~gone_N].tolist())
    refuse_decimal_commas(count, source)
    decimals = {text: float(text) for text in count if _DECIMAL.fullmatch(text)}
    if decimals and "nan" in {text.lower() for text in count}:  # a column of decimals in text: NaN is its none
        gone_N |= np.array([text.lower() == "nan" for text in text_N], dtype=bool)
        count = Counter(text_N[~gone_N].tolist())
    broken = [text for text, number in decimals.items() if number != np.floor(number)]
    if broken:
        raise DataError(
            source,
            expected="names of classes or whole numbers",
            got=f"continuous numbers such as {broken[0]} ({len(count)} values)",
            mend="take vote fractions with votes, make classes of them, or regress on them (label_column: '')",
        )
    whole = {text: str(int(number)) for text, number in decimals.items()}
    names = [text for text in count if text not in whole and not _CODE.fullmatch(text)]
    numbers = len(count) - len(names)
    doubtful = [text for text in names if text.lower() in _NO_NUMBER]
    if numbers and names and len(doubtful) == len(names):
        _refuse(source, doubtful[0], count[doubtful[0]], "numbers")
    refuse_no_name(names, source, count)
    are_codes = not names and bool(count)
    if are_codes:
        text_N = np.array([whole.get(text, text) for text in text_N], dtype=object)
        gone_N |= text_N == "-1"
    elif "-1" in count:
        _refuse(source, "-1", count["-1"], "names")
    return Labels(np.where(gone_N, "", text_N).astype(str), gone_N, are_codes)


def refuse_no_name(names: Iterable[str], source: str, count: Mapping[str, int] | None = None) -> None:
    """Raise DataError for a class that is called as numpy and pandas write what is missing: ``nan``, ``<NA>``, ``NaT``.

    A label that was lost on the way into text or into the name of a folder is no class.
    """
    unwritten = [text for text in names if text.lower() in _NO_NAME]
    if unwritten:
        _refuse(source, unwritten[0], (count or {}).get(unwritten[0]), "names")


def _refuse(source: str, word: str, n: int | None, others: str) -> None:
    mend = f"list it as missing (missing: [{word!r}]), or give the class a name"
    where = "" if n is None else f" in {n} rows"
    raise DataError(source, expected=f"{others} alone", got=f"{word!r}{where} among them", mend=mend)


def _is_missing(values: Any) -> np.ndarray:
    """Return which values are None, NaN, NaT, NA or masked, (N,)."""
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.getmaskarray(values) | _is_missing(values.data)
    value_N = np.asarray(values, dtype=object)
    if value_N.ndim != 1:
        raise DataError("labels", expected="one value per image, (N,)", got=f"shape {value_N.shape}")
    return np.array([v is np.ma.masked or bool(pd.isna(v)) if np.ndim(v) == 0 else False for v in value_N], dtype=bool)


def encode_labels(
    values: Any, class_names: Sequence[str] = (), source: str = "labels", *, missing: Iterable[Any] = ()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return label indices and class names; labels that are missing (module docstring) give -1.

    Whole numbers of 0 or more become classes named by the codes, in their order: 0..K-1 stay as they are, and
    100 and 200 give the labels 0 and 1 of the classes "100" and "200". Names are sorted. With ``class_names``
    whole numbers are indices of these, and names are looked up in them. Raises DataError for other negative codes,
    for names or indices outside ``class_names``, for names that differ in case alone, and as :func:`read_labels`.
    """
    labels = read_labels(values, source, missing)
    known = labels.text_N[~labels.missing_N].tolist()
    if labels.are_codes:
        return _encode_codes(labels, tuple(class_names), source)
    names = tuple(tidy_text(name) for name in class_names) or tuple(sorted(set(known)))
    refuse_no_name(names, f"{source}: classes")
    unknown = sorted(set(known) - set(names))
    if unknown:
        raise DataError(source, expected=f"classes {', '.join(names)}", got=unknown[0])
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            got = f"{other!r} in {known.count(other)} rows and {name!r} in {known.count(name)}"
            mend = "write one class alike everywhere"
            raise DataError(source, expected="classes that differ in more than case", got=got, mend=mend)
    place = {name: k for k, name in enumerate(names)}
    return np.array([place.get(text, -1) for text in labels.text_N], np.int64), tuple(class_names) or names


def _encode_codes(labels: Labels, class_names: tuple[str, ...], source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    code_N = np.array([-1 if gone else int(text) for text, gone in zip(labels.text_N, labels.missing_N, strict=True)])
    code_N = code_N.astype(np.int64)
    if code_N.min(initial=-1) < -1:
        raise DataError(source, expected="labels of 0 or more, or -1 for none", got=int(code_N.min()))
    if class_names:
        if code_N.max(initial=-1) >= len(class_names):
            expected = f"labels up to {len(class_names) - 1} ({', '.join(class_names)})"
            raise DataError(source, expected=expected, got=int(code_N.max()))
        return code_N, class_names
    codes = np.unique(code_N[code_N >= 0])
    return np.where(code_N < 0, -1, np.searchsorted(codes, code_N)), tuple(str(code) for code in codes)


def check_labels(values: Any, source: str = "labels", *, missing: Iterable[Any] = ()) -> np.ndarray:
    """Return labels to train on, y_N in a plain dtype (names composed and without blanks around them).

    Raises InputError, with their number and first positions, where labels are missing, and for continuous numbers,
    labels of mixed kinds, or of a shape other than (N,) or (N, 1). The pair -1 and 1 is two classes.
    """
    if isinstance(values, pd.DataFrame):
        values = values.to_numpy()
    if not isinstance(values, pd.Series | pd.Index | np.ma.MaskedArray | list | tuple):
        values = np.asarray(values)
    if getattr(values, "ndim", 1) == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if getattr(values, "ndim", 1) != 1:
        mend = "give the class of each image (argmax of one-hot rows)"
        raise InputError(source, expected="one label per image, (N,)", got=f"shape {values.shape}", mend=mend)
    try:
        number_N = np.asarray(values, dtype=object)
        infinite = [v for v in number_N if isinstance(v, float | np.floating) and np.isinf(v)]
        if infinite:
            raise InputError(source, expected="finite labels", got=f"{infinite[0]} (inf)")
        labels = read_labels(values, source, missing)
    except DataError as error:
        kind = "Unknown label type: continuous; " if "continuous" in str(error) else ""
        raise InputError(f"{kind}{error}") from error
    at = np.flatnonzero(labels.missing_N)
    signs = set(map(tidy_text, number_N)) == {"-1", "1"}  # -1 as none would leave one class alone
    if len(at) and not signs:
        places = ", ".join(map(str, at[:5])) + (", ..." if len(at) > 5 else "")
        mend = "leave these images out"
        got = f"{len(at)} of {len(labels.text_N)} without one ({NO_LABEL}), at {places}"
        raise InputError(source, expected="a label for every image", got=got, mend=mend)
    kinds = {"text" if isinstance(v, str | bytes) else "number" for v in number_N}
    require(len(kinds) <= 1, source, expected="names or whole numbers", got="both", mend="turn all into text")
    if kinds == {"text"}:
        return np.array([tidy_text(value) for value in number_N], dtype=str)
    return np.array(number_N.tolist())
