"""One or several numbers per source, some circular, some missing. Legend: N sources, T quantities, O outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equirgz.errors import DataError, InputError, check_choice
from equirgz.metrics.check import UndefinedMetricError
from equirgz.metrics.regression import explained_variance, rank_correlation, scatter, wrap_residual
from equirgz.tasks.base import TASKS, Headline, Kept, Named, Row, Targets, Task, has_columns, make_row

UNITS = {"arcsec": "arcsec", "deg": "deg", "kpc": "kpc", "mjy": "mJy", "jy": "Jy"}  # last part of a column's name


@dataclass(frozen=True)
class Quantity:
    """A column of numbers. ``log``: learnt, and its residuals given, in dex. ``period``: of a circular one."""

    name: str
    unit: str = "1"
    log: bool = False
    period: float | None = None

    @property
    def n_outputs(self) -> int:
        """Two (cosine and sine of the phase) for a circular quantity, else one."""
        return 1 if self.period is None else 2

    @property
    def residual_unit(self) -> str:
        return "dex" if self.log else self.unit

    def encode(self, value_N: np.ndarray) -> np.ndarray:
        """Return what a network learns, (N, outputs): the value, its log10, or cosine and sine of its phase."""
        if self.period is not None:
            phase_N = 2 * np.pi * value_N / self.period
            return np.stack([np.cos(phase_N), np.sin(phase_N)], 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (np.log10(value_N) if self.log else value_N)[:, None]

    def decode(self, output_NO: np.ndarray) -> np.ndarray:
        """Return values_N in the units of the table from (N, outputs)."""
        if self.period is not None:
            return np.arctan2(output_NO[:, 1], output_NO[:, 0]) / (2 * np.pi) * self.period % self.period
        return 10.0 ** output_NO[:, 0] if self.log else output_NO[:, 0]

    def residual(self, predicted_N: np.ndarray, value_N: np.ndarray) -> np.ndarray:
        """Return predicted minus true, in :attr:`residual_unit`; circular ones the short way round."""
        if self.log:
            return np.log10(predicted_N) - np.log10(value_N)
        return wrap_residual(predicted_N - value_N, self.period)


@dataclass(frozen=True)
class Regression(Task):
    """Numbers of the set's table, each scored by bias, scatter, mean absolute error, R^2 and rank correlation.

    A target is value_NT in the units of the table, NaN where missing; an answer is the same shape. What a network
    learns is :meth:`encode`, standardised by the training set; :meth:`decode` goes back.
    """

    quantities: tuple[Quantity, ...]
    name = "regression"
    read_as = "numbers"
    kept = {"target": "t", "value": "v"}
    averaged = "value"

    @property
    def n_outputs(self) -> int:
        return sum(quantity.n_outputs for quantity in self.quantities)

    @property
    def headline(self) -> Headline:
        first = self.quantities[0]
        what, unit = f"absolute error of {first.name}", first.residual_unit
        words = (f"mean {what} ({unit})", what, unit)
        return Headline(f"regression/mae/{first.name}", "mae", f"Mean {what}", unit, "lower", *words)

    @property
    def shown(self) -> tuple[str, ...]:
        first = self.quantities[0]
        names = ("mae", "scatter", "bias", *(("r2",) if first.period is None else ()))
        others = (f"regression/mae/{quantity.name}" for quantity in self.quantities[1:])
        return (*(f"regression/{name}/{first.name}" for name in names), *others)

    @property
    def titles(self) -> dict[str, str]:
        words = {
            "mae": "Mean absolute error of {}", "rmse": "Root mean square error of {}",
            "bias": "Mean of predicted minus true {}", "scatter": "Scatter of predicted minus true {}",
            "r2": "Explained variance of {}", "spearman": "Rank correlation of predicted and true {}",
        }  # fmt: skip
        return {
            f"regression/{name}/{quantity.name}": text.format(quantity.name)
            for name, text in words.items()
            for quantity in self.quantities
        }

    def has_targets(self, images: Targets) -> bool:
        return has_columns(images, [quantity.name for quantity in self.quantities])

    def no_targets(self, n: int, size: int) -> np.ndarray:
        return np.full((n, len(self.quantities)), np.nan)

    def targets(self, images: Targets) -> np.ndarray:
        columns = []
        for quantity in self.quantities:
            if quantity.name not in images.table.columns:
                numeric = map(str, images.table.select_dtypes("number").columns)
                raise DataError(
                    f"{images.name}: task regression", expected=f"a column {quantity.name!r} of numbers",
                    got=f"the columns {', '.join(numeric) or 'of no numbers'}",
                )  # fmt: skip
            try:
                value_N = images.table[quantity.name].to_numpy(np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise DataError(f"{images.name}: {quantity.name}", expected="numbers", got=str(error)) from error
            self._check_values(f"{images.name}: {quantity.name}", quantity, value_N)
            columns.append(value_N)
        return np.stack(columns, 1)

    @staticmethod
    def _check_values(what: str, quantity: Quantity, value_N: np.ndarray) -> None:
        if np.isinf(value_N).any():
            raise DataError(what, expected="finite numbers, or NaN where missing", got="infinity")
        if quantity.log and (value_N <= 0).any():
            bad = float(value_N[value_N <= 0][0])
            raise DataError(what, expected="numbers above 0, as log asks", got=bad, mend="make them NaN, or leave log")

    def known(self, target_N: np.ndarray) -> np.ndarray:
        return np.isfinite(np.asarray(target_N, np.float64)).any(1)

    def check(self, target_N: np.ndarray) -> None:
        value_NT = np.asarray(target_N)
        if value_NT.ndim != 2 or value_NT.shape[1] != len(self.quantities):
            names = ", ".join(quantity.name for quantity in self.quantities)
            raise InputError(
                "targets", expected=f"numbers (N, {len(self.quantities)}): {names}",
                got=f"{value_NT.dtype} {value_NT.shape}", mend="class codes are the task classification",
            )  # fmt: skip
        for quantity, value_N in zip(self.quantities, value_NT.T, strict=True):
            self._check_values(quantity.name, quantity, value_N.astype(np.float64))
            known_N = value_N[np.isfinite(value_N.astype(np.float64))]
            if len(np.unique(known_N)) < 2:
                got = f"{len(known_N)} sources with {len(np.unique(known_N))} different ones"
                raise InputError(f"{quantity.name}: values to learn from", expected="at least two", got=got)

    def encode(self, value_NT: np.ndarray) -> np.ndarray:
        """Return output_NO that a network learns, NaN where the quantity is missing."""
        pairs = zip(self.quantities, np.asarray(value_NT, np.float64).T, strict=True)
        return np.concatenate([quantity.encode(value_N) for quantity, value_N in pairs], 1)

    def decode(self, output_NO: np.ndarray) -> np.ndarray:
        """Return value_NT in the units of the table."""
        ends = np.cumsum([quantity.n_outputs for quantity in self.quantities])
        parts = np.split(np.asarray(output_NO, np.float64), ends[:-1], axis=1)
        return np.stack([quantity.decode(part) for quantity, part in zip(self.quantities, parts, strict=True)], 1)

    @property
    def circular(self) -> tuple[str, ...]:
        return tuple(quantity.name for quantity in self.quantities if quantity.period is not None)

    def is_circular(self) -> list[bool]:
        """Return, for each output, whether it is the cosine or sine of a phase."""
        return [quantity.period is not None for quantity in self.quantities for _ in range(quantity.n_outputs)]

    def average(self, answer_MN: np.ndarray) -> np.ndarray:
        """Return the mean of what the networks learnt: of the numbers, their logarithms or their phases."""
        return self.decode(np.mean([self.encode(answer_N) for answer_N in answer_MN], 0))

    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        return {"target": np.asarray(target_N, np.float64), "value": np.asarray(answer_N, np.float64)}

    def score(self, kept: Kept) -> list[Row]:
        rows = []
        for quantity, value_N, predicted_N in zip(self.quantities, kept["target"].T, kept["value"].T, strict=True):
            known_N = np.isfinite(value_N)
            if known_N.any():
                rows += _score_quantity(quantity, predicted_N[known_N], value_N[known_N])
        return rows

    def loss_per_source(self, kept: Kept) -> np.ndarray:
        return np.abs(self.quantities[0].residual(kept["value"][:, 0], kept["target"][:, 0]))


def _score_quantity(quantity: Quantity, predicted_N: np.ndarray, value_N: np.ndarray) -> list[Row]:
    residual_N, unit, n = quantity.residual(predicted_N, value_N), quantity.residual_unit, len(value_N)
    learnt_N = np.log10(value_N) if quantity.log else value_N
    numbers: dict[str, tuple[str, str, Callable[[], float]]] = {
        "bias": (unit, "none", lambda: residual_N.mean()),
        "mae": (unit, "lower", lambda: np.abs(residual_N).mean()),
        "rmse": (unit, "lower", lambda: np.sqrt(np.square(residual_N).mean())),
        "scatter": (unit, "lower", lambda: scatter(residual_N)),
    }
    if quantity.period is None:
        numbers["r2"] = ("1", "higher", lambda: explained_variance(learnt_N, residual_N))
        numbers["spearman"] = ("1", "higher", lambda: rank_correlation(value_N, predicted_N))
    rows = []
    for name, (unit_of, direction, compute) in numbers.items():
        try:
            value = compute()
        except UndefinedMetricError:
            value = None
        rows.append(make_row(f"regression/{name}/{quantity.name}", value, unit_of, direction, n))
    return rows


@TASKS.register("regression")
def regression(
    images: Named | Targets,
    *,
    targets: Sequence[str],
    log: Sequence[str] = (),
    circular: Mapping[str, float] | None = None,
) -> Regression:
    """One or several numbers per source, columns of the set's table.

    Parameters
    ----------
    targets : columns of the table; the first one is the headline. NaN is a missing number.
    log : those that are learnt as log10, with residuals in dex; their numbers are above 0.
    circular : period of those that are circular, in their own units, such as {position_angle_deg: 180}.
    """
    names = list(dict.fromkeys(targets))
    if not names:
        raise InputError("task regression: targets", expected="at least one column", got="none")
    circular = dict(circular or {})
    for name in (*log, *circular):
        check_choice("task regression", name, names)
    both = sorted(set(log) & set(circular))
    if both:
        raise InputError("task regression", expected="log or circular", got=f"both for {both[0]!r}")
    for name, period in circular.items():
        if not period > 0:
            raise InputError(f"task regression: circular: {name}", expected="a period above 0", got=period)
    return Regression(
        tuple(Quantity(n, UNITS.get(n.rpartition("_")[2].lower(), "1"), n in log, circular.get(n)) for n in names)
    )
