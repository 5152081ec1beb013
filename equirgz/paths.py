"""The one way in which a path that a user gives becomes a ``Path``: options, fields and arguments alike."""

from __future__ import annotations

import os
from pathlib import Path

from equirgz.errors import InputError, explain


def as_path(value: str | bytes | os.PathLike) -> Path:
    """Return ``value`` as a path with a leading ``~`` or ``~user`` expanded, as a shell does.

    As in a shell, a name such as ``~old`` that belongs to no user stays itself. Raises InputError for what is
    no path.
    """
    try:
        path = Path(os.fsdecode(value))
    except TypeError as error:
        kind = type(value).__name__
        raise InputError(explain("path", expected="a text or a pathlib.Path", got=f"{kind} {value!r:.60}")) from error
    try:
        return path.expanduser()
    except RuntimeError:  # no such user, or no home
        return path
