"""An embedding table on disk: one feature vector per source, with its id, label and extras.

Both kinds keep float32 exactly. ``.npz`` holds ``feature_NF``, ``source_id``, ``label`` and the extras
by name, and no pickle; ``.csv`` has the columns ``source_id``, ``label``, the extras, and ``f0`` ...
``fF-1``. Legend: N sources, F features.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from equirgz.errors import DataError, InputError
from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic

RESERVED = {"feature_NF", "source_id", "label", "file"}  # names of what is saved beside the extras


@dataclass(frozen=True)
class EmbeddingTable:
    """Features of N sources.

    ``source_id_N`` str, each once; ``label_N`` int64, -1 where unknown (default: all); ``extras``
    one row per source (redshift, las_arcsec, ...). Raises InputError when lengths disagree, ids
    repeat, features are not finite, or extras have the name of another part.
    """

    feature_NF: np.ndarray
    source_id_N: np.ndarray
    label_N: np.ndarray | None = None
    extras: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __repr__(self) -> str:
        n, features = self.feature_NF.shape
        return f"EmbeddingTable({n} sources x {features} features, extras: {', '.join(self.extras.columns) or 'none'})"

    def __post_init__(self) -> None:
        feature_NF = np.asarray(self.feature_NF, np.float32)
        if feature_NF.ndim != 2:
            raise InputError("embedding table", expected="features (N, F)", got=feature_NF.shape)
        n = len(feature_NF)
        source_id_N = np.asarray(self.source_id_N, str)
        label_N = np.full(n, -1) if self.label_N is None else np.asarray(self.label_N, np.int64)
        extras = self.extras.reset_index(drop=True) if len(self.extras.columns) else pd.DataFrame(index=range(n))
        for what, length in (("source ids", len(source_id_N)), ("labels", len(label_N)), ("extras", len(extras))):
            if length != n:
                raise InputError(f"embedding table: {what}", expected=f"{n}, one per source", got=length)
        if len(np.unique(source_id_N)) != n:
            twice = pd.Series(source_id_N)[pd.Series(source_id_N).duplicated()].iloc[0]
            raise InputError("embedding table: source ids", expected="each once", got=f"{twice!r} twice")
        reserved = sorted(RESERVED & set(map(str, extras.columns)))
        if reserved:
            raise InputError(f"embedding table: expected extras of other names than {reserved[0]!r}; rename the column")
        bad_N = ~np.isfinite(feature_NF).all(1)
        if bad_N.any():
            got = f"NaN or infinity in {bad_N.sum()}, first {str(source_id_N[bad_N][0])!r}"
            raise InputError("embedding table", expected="finite features", got=got)
        for name, value in (
            ("feature_NF", feature_NF), ("source_id_N", source_id_N), ("label_N", label_N), ("extras", extras)
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.feature_NF)

    def index_of(self, source_id: str) -> int:
        """Return the row of a source; raise InputError naming the nearest ids where it is missing."""
        found = np.flatnonzero(self.source_id_N == str(source_id))
        if len(found) == 0:
            import difflib

            near = difflib.get_close_matches(str(source_id), self.source_id_N.tolist(), n=3, cutoff=0.3)
            mend = f"near: {', '.join(near)}" if near else f"the table has {len(self)} sources"
            raise InputError(f"source {source_id!r} is not in the embedding table; {mend}")
        return int(found[0])

    def save(self, path: Path | str) -> Path:
        """Write ``.npz`` or ``.csv`` (by the suffix) by atomic rename; return the path."""
        path = as_path(path)
        if path.suffix.lower() == ".npz":
            stream = io.BytesIO()
            columns = {str(c): _plain(self.extras[c].to_numpy()) for c in self.extras.columns}
            np.savez_compressed(
                stream, feature_NF=self.feature_NF, source_id=self.source_id_N, label=self.label_N, **columns
            )
            write_bytes_atomic(path, stream.getvalue())
        elif path.suffix.lower() == ".csv":
            features = pd.DataFrame(self.feature_NF, columns=[f"f{i}" for i in range(self.feature_NF.shape[1])])
            head = pd.DataFrame({"source_id": self.source_id_N, "label": self.label_N})
            text = pd.concat([head, self.extras, features], axis=1).to_csv(index=False, float_format="%.9g")
            write_bytes_atomic(path, text.encode())
        else:
            raise InputError("embedding table", expected="a path ending in .npz or .csv", got=path.name)
        return path

    @classmethod
    def load(cls, path: Path | str) -> EmbeddingTable:
        """Read what :meth:`save` wrote; a missing or damaged file, or one with pickles, is a DataError."""
        path = as_path(path)
        try:
            if path.suffix.lower() == ".npz":
                with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                    arrays = {key: file[key] for key in file.files}
                feature_NF, source_id_N = arrays.pop("feature_NF"), arrays.pop("source_id")
                return cls(feature_NF, source_id_N, arrays.pop("label", None), pd.DataFrame(arrays))
            table = pd.read_csv(path, dtype={"source_id": str}, keep_default_na=False, na_values=[""])
            features = _feature_columns(list(table.columns))
            if "source_id" not in table or not features:
                raise ValueError("no columns source_id and f0 ...")
            label_N = table.get("label")
            extras = table.drop(columns=["source_id", "label", *features], errors="ignore")
            return cls(table[features].to_numpy(), table["source_id"].to_numpy(), label_N, extras)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}") from error
        except InputError:
            raise
        except (ValueError, KeyError, BadZipFile, EOFError, UnicodeDecodeError) as error:
            text = " ".join(str(error).split())
            raise DataError(f"{path} is no embedding table ({text}); write one with 'equirgz embed'") from error


def _feature_columns(columns: list[str]) -> list[str]:
    """Return the last columns, f0 to f<F - 1>; a column such as f1400 before them is an extra (a flux density)."""
    n = int(columns[-1][1:]) + 1 if columns and columns[-1][:1] == "f" and columns[-1][1:].isdigit() else 0
    names = [f"f{i}" for i in range(n)]
    return names if columns[-n:] == names else []


def _plain(values: np.ndarray) -> np.ndarray:
    return values.astype(str) if values.dtype == object else values
