"""Errors that tell a user what was expected, what was found and how to mend it.

Every error that a user can cause is an :class:`EquirgzError`; the command line prints it as one
line and exits with status 2. Anything else that is raised is a defect of equirgz.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EquirgzError(Exception):
    """Base of all errors caused by input, data or the machine, never by a defect.

    >>> print(EquirgzError("n_bins", expected=">= 1", got=0, mend="use 15"))
    n_bins: expected >= 1, got 0; use 15
    """

    def __init__(
        self, what: object = "", *, expected: object = None, got: object = None, mend: str | None = None
    ) -> None:
        super().__init__(what if expected is None else explain(what, expected=expected, got=got, mend=mend))


class InputError(EquirgzError, ValueError):
    """An argument, option or configuration value that cannot be used."""


class DataError(EquirgzError):
    """A file, archive or image that is missing, damaged or hostile."""


class ImageError(InputError, DataError):
    """Images that cannot be used, handed over as an argument or read from a file."""


class ImagesChangedWarning(UserWarning):
    """Images were brought to what a network takes, and are not what the caller gave."""


class ResultsError(EquirgzError):
    """A results folder that cannot be read, written or mixed with others."""


class NumericalError(EquirgzError, ArithmeticError):
    """Training or evaluation met a number that it cannot go on with (NaN, collapse)."""


def explain(what: object, *, expected: object, got: object, mend: str | None = None) -> str:
    """Return the one-line message ``what: expected ..., got ...; mend``."""
    line = f"{what}: expected {expected}, got {got}"
    return f"{line}; {mend}" if mend else line


def require(
    holds: bool,
    what: object,
    *,
    expected: object,
    got: object,
    mend: str | None = None,
    error: type[EquirgzError] = InputError,
) -> None:
    """Raise ``error`` unless ``holds``; for facts that cost nothing to name, since they are named either way.

    >>> require(3 >= 1, "n_bins", expected=">= 1", got=3)
    """
    if not holds:
        raise error(what, expected=expected, got=got, mend=mend)


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return a did-you-mean phrase for ``name`` followed by all valid ``choices``.

    >>> suggest("resnet8", ["lenet", "resnet18"])
    "did you mean 'resnet18'? Valid: lenet, resnet18"
    """
    valid = sorted(map(str, choices))
    near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.4)
    head = f"did you mean {near[0]!r}? " if near else ""
    return f"{head}Valid: {', '.join(valid)}"


def check_choice(what: str, name: str, choices: Iterable[str]) -> str:
    """Return ``name`` when it is one of ``choices``, else raise :class:`InputError`."""
    valid = list(choices)
    if name not in valid:
        raise InputError(f"{what}: unknown {name!r}; {suggest(name, valid)}")
    return name
