"""The packages that the installed equirgz asks for, and those that are there."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

from packaging.requirements import Requirement

from equirgz.errors import MissingPackageError

FOR_DEVELOPERS = ("test", "docs", "reference")


@dataclass(frozen=True)
class Needed:
    """One package that equirgz asks for; ``extra`` is "" for what every install has, ``installed`` None for absent."""

    name: str
    wanted: str
    installed: str | None
    extra: str = ""

    @property
    def fits(self) -> bool:
        """Whether it is there, in a version that was asked for."""
        return self.installed is not None and Requirement(f"x{self.wanted}").specifier.contains(
            self.installed, prereleases=True
        )

    def __str__(self) -> str:
        return f"{self.name} {self.installed or 'missing'}" + ("" if self.fits else f" (needs {self.wanted or 'any'})")


def list_needed(distribution: str = "equirgz") -> list[Needed] | None:
    """Return the packages of an installed distribution, those of its extras too; None where it is not installed.

    Extras for developers are left out, and so is what this platform does not need.
    """
    try:
        declared = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    extras = importlib.metadata.metadata(distribution).get_all("Provides-Extra") or []
    needed = []
    for requirement in map(Requirement, declared):
        wanted = {"name": requirement.name, "wanted": str(requirement.specifier)}
        for extra in ("", *extras):
            if extra in FOR_DEVELOPERS or not _applies(requirement, extra):
                continue
            needed.append(Needed(**wanted, installed=find_version(requirement.name), extra=extra))
            break
    return needed


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def find_version(name: str) -> str | None:
    """Return the version of an installed distribution, None where there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def explain_unfit(what: str) -> MissingPackageError | None:
    """Return the error that says which installed package is of a version that equirgz does not work with; None: none.

    For what fails in a way that such a package explains: a name that it does not have, or no longer.
    """
    unfit = next((p for p in list_needed() or () if not p.extra and p.installed is not None and not p.fits), None)
    if unfit is None:
        return None
    mend = "pip install --upgrade equirgz"
    return MissingPackageError(what, expected=f"{unfit.name} {unfit.wanted}", got=unfit.installed, mend=mend)
