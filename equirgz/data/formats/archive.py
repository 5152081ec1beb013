"""Published archives read in memory: nothing is unpacked to disk and no pickle can run code."""

from __future__ import annotations

import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

try:
    from numpy._core import multiarray, numeric
except ImportError:  # numpy 1
    from numpy.core import multiarray, numeric

from equirgz.errors import DataError
from equirgz.paths import as_path

MAX_MEMBER_BYTES = 4 << 30
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, which pickle uses to write bytes in protocol 2."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"_codecs.encode with {encoding!r}")
    return text.encode("latin1")


def _allowed_globals() -> dict[tuple[str, str], Any]:
    allowed: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _latin1_bytes,
    }
    for core in ("numpy.core", "numpy._core"):
        allowed[f"{core}.multiarray", "_reconstruct"] = multiarray._reconstruct
        allowed[f"{core}.multiarray", "scalar"] = multiarray.scalar
        allowed[f"{core}.numeric", "_frombuffer"] = numeric._frombuffer
    return allowed


class _ArrayUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="latin1")
        self._allowed = _allowed_globals()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name}") from None


def load_pickle(content: bytes, source: str) -> Any:
    """Unpickle plain containers and numpy arrays; anything else is refused before it can act.

    Raises DataError that names ``source`` and the forbidden reference, or says that it is damaged.
    """
    try:
        return _ArrayUnpickler(io.BytesIO(content)).load()
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{source}: expected a pickle of numpy arrays only, got {error}; "
            "the file is hostile or damaged, do not use it; fetch the published one"
        ) from error
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise DataError(
            f"{source}: expected a whole pickle of numpy arrays, got a damaged one "
            f"({type(error).__name__}); fetch it again"
        ) from error


def _check_member_name(archive: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or (parts and parts[0].endswith(":")):
        raise DataError(
            f"{archive}: expected members inside the archive's own folder, got {name!r}; "
            "the archive is hostile, do not use it"
        )


def iterate_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield ``(name, content)`` of the regular files of a tar (any compression) or zip archive.

    Links, devices and names that climb out of the archive's folder are refused as DataError, and so
    are truncated or damaged archives and members larger than 4 GiB.
    """
    path = as_path(path)
    try:
        if zipfile.is_zipfile(path):
            yield from _iterate_zip(path)
        else:
            yield from _iterate_tar(path)
    except _DAMAGE as error:
        raise DataError(
            f"{path}: expected a whole tar or zip archive, got a truncated or damaged one "
            f"({' '.join(str(error).split()) or type(error).__name__}); delete it and fetch it again"
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _check_size(path: Path, name: str, size: int) -> None:
    if size > MAX_MEMBER_BYTES:
        raise DataError(f"{path}: member {name!r}: expected at most {MAX_MEMBER_BYTES} bytes, got {size}")


def _iterate_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            _check_member_name(path, member.name)
            if member.isdir():
                continue
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                raise DataError(
                    f"{path}: expected plain files, got the link or device {member.name!r}; "
                    "the archive is hostile, do not use it"
                )
            _check_size(path, member.name, member.size)
            yield member.name, file.read()


def _iterate_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _check_member_name(path, member.filename)
            if member.is_dir():
                continue
            _check_size(path, member.filename, member.file_size)
            yield member.filename, archive.read(member)
