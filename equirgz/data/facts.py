"""What is known about a published set: file, md5, address, licence, citation, faults.

Each set's facts stand beside its loader (``equirgz/data/sets``), which publishes them here. Addresses are those
published by the authors; a set without one is loaded from an archive that the user puts into the data root.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field

from equirgz.data.datasets import DATASETS
from equirgz.errors import check_choice

FIRST_TERMS = (
    "FIRST pixels: copyright 1994, University of California; publication and reproduction for scholarly, "
    "educational and private non-commercial use"
)
NVSS_TERMS = (
    "NVSS pixels: copyright 1994, Associated Universities; publication and reproduction for scholarly, "
    "educational and private non-commercial use"
)
MANCHESTER = "http://www.jb.man.ac.uk/research"
GZ_DECALS = "Walmsley et al. 2022, MNRAS 509, 3966"


@dataclass(frozen=True)
class SetInfo:
    """A published archive and what its dataset card says.

    Parameters
    ----------
    filename : in the data root; empty where there is no one file.
    md5, sha256 : of the file, as published or as found; None: not checked.
    url, licence : None: not known, and ``notes`` say why.
    datasets : registered names that are made of it.
    faults : what is wrong with a source id (or a phrase).
    """

    name: str
    title: str
    filename: str
    md5: str | None
    url: str | None
    licence: str | None
    citation: str
    datasets: tuple[str, ...] = ()
    faults: dict[str, str] = field(default_factory=dict)
    notes: str = ""
    sha256: str | None = None


class PublishedSets(MutableMapping[str, SetInfo]):
    """The facts by name, in the order of the names; asking for any imports the modules of all datasets first."""

    def __init__(self) -> None:
        self._infos: dict[str, SetInfo] = {}

    def _all(self) -> dict[str, SetInfo]:
        DATASETS.names()
        return self._infos

    def __getitem__(self, name: str) -> SetInfo:
        return self._infos[name] if name in self._infos else self._all()[name]

    def __setitem__(self, name: str, info: SetInfo) -> None:
        self._infos[name] = info

    def __delitem__(self, name: str) -> None:
        del self._infos[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __len__(self) -> int:
        return len(self._all())


SETS = PublishedSets()


def publish(info: SetInfo) -> SetInfo:
    """Enter the facts of a set among :data:`SETS`, and return them."""
    SETS[info.name] = info
    return info


def get_set(name: str) -> SetInfo:
    """Return the entry called ``name``; raise InputError with the nearest valid name."""
    return SETS[check_choice("published set", name, SETS)]
