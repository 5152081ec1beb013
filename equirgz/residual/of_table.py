"""An embedding table without what is known of its sources, and what probes read off both. Legend: N sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equirgz.errors import InputError, check_choice, require
from equirgz.seeding import derive_seed

if TYPE_CHECKING:
    from equirgz.evaluate.embedding_table import EmbeddingTable
    from equirgz.residual.flow import ResidualFlow
    from equirgz.residual.readings import Reading

PART = "residual_part"  # column that says who the flow was fitted on
FITTED, HELD_OUT = "fitted", "held_out"


@dataclass(frozen=True)
class Residual:
    """The residual ``table`` (extras: ``residual_part``), the flow, and readings by column: (before, after).

    ``known`` are the columns of the condition, ``hidden`` all others that can be probed; probes see held-out sources
    alone. ``round_trip`` is of these too.
    """

    table: EmbeddingTable
    flow: ResidualFlow
    known: dict[str, tuple[Reading, Reading]]
    hidden: dict[str, tuple[Reading, Reading]]
    round_trip: float


def find_residual(
    table: EmbeddingTable, conditions: Sequence[str] = ("class",), *, work_dir: Path | None = None, **options: Any
) -> Residual:
    """Return the :class:`Residual` of an embedding under ``conditions``: ``class`` (the label) or columns of extras.

    The flow is fitted on the sources whose extra ``split`` is train, where that names others too, else on a random
    half; the others are held out, and probed out of fold. ``options`` are those of
    :class:`~equirgz.residual.flow.ResidualFlow`.

    Raises InputError for conditions that the table lacks, that are constant, unknown for a source, of fewer than ten
    fitted sources per class or of a class that was not fitted, and for latents of zero variance.
    """
    from equirgz.objectives.generative.condition import learn_condition
    from equirgz.residual.flow import ResidualFlow

    require(PART not in table.extras, "embedding table", expected=f"no column {PART}", got="a residual; rename it")
    columns = read_columns(table)
    require(len(set(conditions)) == len(conditions) > 0, "condition", expected="columns, each once", got=conditions)
    for name in conditions:
        check_choice("condition", name, columns)
    told = {name: columns[name] for name in conditions}
    if "class" in told and (told["class"] < 0).any():
        n = int((told["class"] < 0).sum())
        mend = "leave the unlabelled out, or name another column"
        raise InputError("condition class", expected="a label for every source", got=f"none for {n}", mend=mend)
    flow = ResidualFlow(**options)
    fitted_N = choose_fitted(table, derive_seed(flow.random_state, "fitted"))
    learn_condition(_take(told, fitted_N)).encode(told)  # before any training
    flow.fit(table.feature_NF[fitted_N], _take(told, fitted_N), work_dir=work_dir)
    residual_NP = flow.transform(table.feature_NF, told)
    extras = table.extras.assign(**{PART: np.where(fitted_N, FITTED, HELD_OUT)})
    made = replace(table, feature_NF=residual_NP, extras=extras)
    both = table.feature_NF[~fitted_N], residual_NP[~fitted_N]
    rest = {name: value_N for name, value_N in columns.items() if name not in told}
    return Residual(
        made, flow, *(_probe(both, _take(part, ~fitted_N)) for part in (told, rest)),
        flow.round_trip(table.feature_NF[~fitted_N], _take(told, ~fitted_N)),
    )  # fmt: skip


def read_columns(table: EmbeddingTable) -> dict[str, np.ndarray]:
    """Return ``class``, the labels, and the extras but ``split``, which says nothing of a source."""
    extras = {str(name): table.extras[name].to_numpy() for name in table.extras.columns if name != "split"}
    return {"class": table.label_N} | extras


def choose_fitted(table: EmbeddingTable, seed: int) -> np.ndarray:
    """Return which sources (N,) a flow is fitted on: ``split`` train where there are others, else a random half."""
    n = len(table)
    require(n >= 40, "embedding table", expected="at least 40 sources, half of them to fit on", got=n)
    if "split" in table.extras:
        train_N = table.extras["split"].to_numpy().astype(str) == "train"
        if 10 <= train_N.sum() <= n - 10:
            return train_N
    chosen_N = np.zeros(n, bool)
    chosen_N[np.random.default_rng(seed).permutation(n)[: n // 2]] = True
    return chosen_N


def _take(columns: dict[str, np.ndarray], index: np.ndarray) -> dict[str, np.ndarray]:
    return {name: value_N[index] for name, value_N in columns.items()}


def _probe(both: tuple[np.ndarray, np.ndarray], columns: dict[str, np.ndarray]) -> dict[str, tuple[Reading, Reading]]:
    from equirgz.residual.readings import read_off

    found = {}
    for name, value_N in columns.items():
        texts = value_N.dtype.kind not in "biuf"
        if texts and len(set(value_N.astype(str).tolist())) > len(value_N) // 10:
            continue  # names of single sources
        try:
            found[name] = read_off(both[0], value_N), read_off(both[1], value_N)
        except InputError:  # constant, or known of too few
            continue
    return found
