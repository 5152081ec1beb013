"""The words and numbers of a table: titles, headers, cell texts, caption. Formats only lay them out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from equirgz.report.rows.table_axes import show_series
from equirgz.report.tables.cells import LEVEL, Table

TITLES = {  # of what is measured whatever the task
    "equivariance/relative_l2": "Equivariance error of the features",
    "rotation/error": "Error under rotation",
    "rotation/loss": "Loss under rotation",
    "rotation/confidence": "Confidence under rotation",
}
MISSING, UNDEFINED = "–", "n/d"
NOT_APART, NOT_TESTED = "not told apart", "not tested"


@dataclass(frozen=True)
class Text:
    """A cell as words; ``bold`` where it is the marked best of its column."""

    words: str
    bold: bool = False


def title(table: Table) -> str:
    """Return the metric in words, with its angle and details: "Error under rotation, 90 deg"."""
    key = table.key
    parts = [{**TITLES, **table.task.titles}.get(key.metric, key.metric)]
    parts += [f"{key.angle_deg:g} deg"] if not math.isnan(key.angle_deg) else []
    return ", ".join([*parts, *(f"{c} {v}" for c, v in key.details)])


def number_format(table: Table, mean: float) -> str:
    """Return the format of a cell: one decimal for %, three for others, powers of ten where those show nothing."""
    smallest, largest = table.sizes
    if 0 < largest < 0.005 or largest >= 1e5 or (largest > 1e3 * smallest and abs(mean) < 1e-3):
        return ".1e"
    return ".1f" if table.unit == "%" else ".3f"


def cell_text(table: Table, i: int, j: int) -> Text:
    """Return "4.8 ± 1.2", with the seeds that are there when not all are, and the perfect ECE in brackets."""
    cell = table.cells[i, j]
    style = number_format(table, cell.mean)
    if cell.status != "done":
        return Text({"missing": MISSING, "failed": "failed", "undefined": UNDEFINED}[cell.status])
    words = f"{cell.mean:{style}}"
    if not math.isnan(cell.half_width):
        words += f" ± {cell.half_width:{style}}"
    if not math.isnan(cell.perfect):
        words += f" [{cell.perfect:{style}}]"
    seeds = cell.seeds
    if seeds != table.common_seeds:
        words += f" (n={seeds})"
    best = table.best.get(j)
    return Text(words, bool(best and best.marked and best.row == i))


def row_name(table: Table, i: int) -> str:
    """Return a row in as few words as tell it from the others: "D4", "steerable_lenet D4", "... width=2"."""
    label = table.labels.iloc[i]
    varying = [c for c in table.labels if table.labels[c].nunique(dropna=False) > 1]
    return show_series(label, varying or ["group"])


def best_text(table: Table, j: int) -> str:
    """Return which row has the best mean of column ``j`` and which others a test tells from it: "D4 (from C1)".

    "D4 (not told apart)" where the tests tell it from none, "D4 (not tested)" where there was none to make.
    """
    best = table.best.get(j)
    if best is None:
        return MISSING
    others = "from all others" if len(best.beats) == best.n_others > 1 else ""
    others = others or f"from {', '.join(row_name(table, i) for i in best.beats)}"
    return f"{row_name(table, best.row)} ({others if best.beats else NOT_APART if best.tested else NOT_TESTED})"


def cost_text(value: float) -> str:
    """Return a cost with three digits: 842, 25.1k, 3.40M; a dash where it is not known."""
    if math.isnan(value):
        return MISSING
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit * 0.9995:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.3g}"


def short_caption(table: Table) -> str:
    """Return one sentence for above a printed table: what, on how many sources, over how many seeds."""
    key, facts = table.key, table.facts
    unit = "" if table.unit in ("1", "") else f" ({table.unit})"
    split = key.split.replace("_", " ")
    seeds = table.common_seeds
    over = "one seed" if seeds == "1" else f"mean and 95 % interval over {seeds} seeds"
    sources = show_sources(facts["n"], facts["folds"])
    return f"{title(table)}{unit} on the {split} split of {key.data} ({sources}), {over}"


def caption(table: Table, *, best: str = "Last row") -> list[str]:
    """Return the sentences of the caption: what, on which sources, how many seeds, how chosen, which versions.

    ``best``: where the best of each column is told.
    """
    key, facts = table.key, table.facts
    unit = "" if table.unit in ("1", "") else f" in {table.unit}"
    better = "" if table.direction == "none" else f"; {table.direction} is better"
    sentences = [
        f"{title(table)} ({key.metric}{unit}{better})",
        f"Data {key.data}, split {key.split} ({show_sources(facts['n'], facts['folds'])}), read-out {key.readout}",
    ]
    if table.common_seeds == "1":
        sentences.append("One seed: no interval")
    else:
        others = any(c.seeds != table.common_seeds for c in table.cells.values() if c.status == "done")
        sentences.append(
            f"Mean ± half-width of the 95 % Student t interval over {table.common_seeds} seeds"
            + " (n = seeds there are / planned, where fewer)" * others
        )
    if any(not math.isnan(cell.perfect) for cell in table.cells.values()):
        sentences.append(
            "In brackets the ECE that a perfectly calibrated model would show at this n and these confidences"
        )
    if table.best:
        sentences.append(
            f"{best}: the best mean of each column, and in brackets the rows that paired tests {facts['rivals']} "
            f"tell from it (p < {LEVEL:g} after Holm over all pairs of rows); bold where there is one"
        )
    if any(not best.tested for best in table.best.values()):
        sentences.append(
            f"{NOT_TESTED.capitalize()}: one seed on the same sources, or differences that are all equal, tell nothing "
            "of others"
        )
    if any(c.n_seeds > 1 and math.isnan(c.half_width) and c.mean for c in table.cells.values()):
        sentences.append("Without ±: all seeds have the same value")
    statuses = {cell.status for cell in table.cells.values()}
    notes = [
        (MISSING, "missing", "not run"),
        ("failed", "failed", "every run failed"),
        (UNDEFINED, "undefined", "infinite or not defined in a run"),
    ]
    sentences += [f"{sign}: {words}" for sign, status, words in notes if status in statuses]
    sentences.append(show_rule(facts["selection_rule"].split(", ")))
    sentences.append(f"equirgz {facts['version'] or '?'}, data {facts['data_checksum'] or '?'}")
    return sentences


def show_sources(n: object, folds: str) -> str:
    """Return "n = 104 sources"; with ``folds`` (their number, "" for none) how each source was tested."""
    return f"n = {n} sources" + (f", each tested once per seed by {folds}-fold cross-validation" if folds else "")


def show_scope(n_seeds: Iterable[int]) -> str:
    """Return what the intervals of differences over so many seeds are for: one seed tells nothing of others."""
    single = {n == 1 for n in n_seeds}
    if single == {True}:
        return "95 % interval for other test sources alone, since one seed tells nothing of others"
    alone = " (for other test sources alone where both share one seed)" if True in single else ""
    return f"95 % interval for other seeds and other test sources{alone}"


def show_rule(rules: Iterable[str]) -> str:
    """Return how the weights of the runs were chosen: "Weights of the last step"."""
    words = {"last_step": "the last step", "best_val": "the best validation step", "": "an unknown rule"}
    return f"Weights of {', '.join(words.get(rule, rule) for rule in sorted(set(rules)))}"
