"""The families of sources and the priors of their quantities: a table (priors.yaml), and draws from it.

A quantity has ONE kind of distribution; its numbers are those of the family, else of its class, else of all.
Legend: N sources, S the two arms, F families, A numbers of a distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.special import ndtri

from equirgz.errors import InputError, check_choice

CLASS_NAMES = ("FRI", "FRII", "bent", "hybrid", "compact", "none")
Overlay = Mapping[str, Mapping[str, Any]]


def _lognormal(u: np.ndarray, a: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.clip(a[0] * np.exp(a[1] * ndtri(u)), a[2], a[3])


def _normal(u: np.ndarray, a: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.clip(a[0] + a[1] * ndtri(u), a[2], a[3])


def _uniform(u: np.ndarray, a: tuple[np.ndarray, ...]) -> np.ndarray:
    return a[0] + (a[1] - a[0]) * u


def _loguniform(u: np.ndarray, a: tuple[np.ndarray, ...]) -> np.ndarray:
    return a[0] * (a[1] / a[0]) ** u


def _chance(u: np.ndarray, a: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.where(u < a[0], a[1] + (a[2] - a[1]) * u / np.maximum(a[0], 1e-12), 0.0)


#: kind -> (quantile function of u in (0, 1), names of its numbers)
KINDS = {
    "lognormal": (_lognormal, ("median", "sigma", "lowest", "highest")),
    "normal": (_normal, ("mean", "sigma", "lowest", "highest")),
    "uniform": (_uniform, ("low", "high")),
    "loguniform": (_loguniform, ("low", "high")),
    "chance": (_chance, ("p", "low", "high")),
}


@dataclass(frozen=True)
class Quantity:
    """One drawn quantity: its kind of distribution, one draw per ``source`` or ``side``, range and unit."""

    name: str
    kind: str
    per: str
    range: tuple[float, float]
    unit: str
    text: str

    def check(self, numbers: Any, where: str) -> tuple[float, ...]:
        """Return the numbers of a distribution; InputError where they are too few, unordered or unphysical."""
        names = KINDS[self.kind][1]
        what = f"simulator prior {where} {self.name}"
        expected = f"{self.kind} [{', '.join(names)}]"
        try:
            values = tuple(float(value) for value in numbers)
        except (TypeError, ValueError) as error:
            raise InputError(what, expected=expected, got=numbers) from error
        if len(values) != len(names) or not np.isfinite(values).all():
            raise InputError(what, expected=expected, got=numbers)
        spread = [value for key, value in zip(names, values, strict=True) if key in ("sigma", "p")]
        limits = [value for key, value in zip(names, values, strict=True) if key not in ("sigma", "p", "mean")]
        low, high = self.range
        if any(value < 0 for value in spread) or (self.kind == "chance" and values[0] > 1):
            raise InputError(what, expected=f"{expected} with sigma >= 0 and p in [0, 1]", got=list(values))
        if not all(low <= value <= high for value in limits) or values[-2] > values[-1]:
            raise InputError(what, expected=f"{expected} in order within {low:g} to {high:g} {self.unit}", got=numbers)
        if self.kind == "loguniform" and not values[0] > 0:
            raise InputError(what, expected=f"{expected} above 0", got=list(values))
        return values


@dataclass(frozen=True)
class Priors:
    """All families with the numbers of every quantity; see :func:`load_priors`.

    ``numbers[name]`` holds an array (A, F). ``sides_FS`` names the families of both arms (they differ in hybrids).
    """

    quantities: dict[str, Quantity]
    families: tuple[str, ...]
    class_F: np.ndarray
    share_F: np.ndarray
    sides_FS: np.ndarray
    numbers: dict[str, np.ndarray]
    companions: dict[str, Any]

    def draw(self, family_N: np.ndarray, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Return every quantity, (N, 1) for one of a source and (N, S) for one of a side, float64.

        A quantity of a source is one rank for both arms: it is (N, S) too where an arm's family differs (hybrids).
        """
        side_NS = self.sides_FS[family_N]
        values = {}
        for name, quantity in self.quantities.items():
            per_side = quantity.per == "side"
            u = generator.uniform(1e-9, 1 - 1e-9, (len(family_N), 2 if per_side else 1))
            whole = name in OF_THE_SOURCE
            where = family_N[:, None] if whole else side_NS
            a = tuple(row[where] for row in self.numbers[name])
            values[name] = KINDS[quantity.kind][0](u, a)
        return values


#: what the whole source has, from its own family even where its arms have others
OF_THE_SOURCE = frozenset(
    ("las", "flux", "faintest", "cos_inclination", "beta", "core", "arm_asymmetry", "jet_side", "lobe_side")
    + ("hot_side", "bend", "s_bend", "bend_place", "pair", "pair_length", "pair_angle", "pair_lean", "pair_axial")
    + ("off_centre", "companion")
)


@cache
def _table() -> dict[str, Any]:
    return yaml.safe_load((Path(__file__).parent / "priors.yaml").read_text())


def load_priors(overlay: Overlay | None = None) -> Priors:
    """Return the priors of priors.yaml, with ``overlay`` (class, family or ``all`` -> quantity -> numbers) over them.

    Raises InputError for unknown names and for numbers outside the physical range.
    """
    table = _table()
    quantities = {
        name: Quantity(name, q["kind"], q["per"], tuple(q["range"]), q["unit"], q["text"])
        for name, q in table["quantities"].items()
    }
    families = tuple(table["families"])
    blocks = {"all": dict(table["all"]), **{k: dict(v) for k, v in table["classes"].items()}}
    own = {name: {k: v for k, v in block.items() if k in quantities} for name, block in table["families"].items()}
    for name, changes in (overlay or {}).items():
        check_choice("simulator prior", name, ("all", *CLASS_NAMES, *families))
        target = own[name] if name in own else blocks[name]
        if not isinstance(changes, Mapping):
            raise InputError(f"simulator prior {name}", expected="a mapping of quantities to numbers", got=changes)
        for quantity in changes:
            check_choice(f"simulator prior {name}", quantity, quantities)
        target.update(changes)
    class_of = {name: block["class"] for name, block in table["families"].items()}
    filler = blocks["compact"]  # what a family without light needs to be drawn at all
    numbers = {}
    for name, quantity in quantities.items():
        rows = []
        for family in families:
            chain = (own[family], blocks[class_of[family]], blocks["all"], filler)
            found = next(block[name] for block in chain if name in block)
            rows.append(quantity.check(found, family))
        numbers[name] = np.array(rows).T
    sides = [table["families"][name].get("sides", [name, name]) for name in families]
    return Priors(
        quantities,
        families,
        np.array([CLASS_NAMES.index(class_of[name]) for name in families]),
        np.array([float(table["families"][name]["share"]) for name in families]),
        np.array([[families.index(side) for side in pair] for pair in sides]),
        numbers,
        table["companions"],
    )
