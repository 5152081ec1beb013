"""What an error costs: each network against every plain one, with its multiply-adds and its time per step.

Legend: R runs (seeds), S test sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pandas as pd

from equirgz.metrics.compare.crossed import CrossedTest, crossed_test
from equirgz.metrics.compare.paired import adjust_holm
from equirgz.report.rows.pairing import Column, Name, pair_errors
from equirgz.report.rows.parts import Part
from equirgz.report.rows.pooled_folds import show_folds
from equirgz.report.rows.predictions import find_predictions
from equirgz.report.rows.results import Results
from equirgz.report.rows.step_times import busy_step_ms
from equirgz.report.rows.table_axes import ALL_LABELS, show_labels, show_value, sort_label_counts, sort_values
from equirgz.report.tables.cells import LEVEL
from equirgz.report.tables.pivot import show_difference
from equirgz.report.tables.sheet import Sheet
from equirgz.report.tables.wording import MISSING, show_rule, show_scope, show_sources

PLAIN = "C1"  # the group of networks without symmetry
COSTS = {"multiply_adds": "cost/multiply_adds", "parameters": "cost/parameters"}
CSV_COLUMNS = ("n_labels", "augmentation", "reference", "difference", "half_width_95", "p", "p_holm",
               "multiply_adds_ratio", "step_ratio", "n_seeds", "n_sources")  # fmt: skip


@dataclass(frozen=True)
class Against:
    """The paired test of a network against a plain one, and p after Holm over the whole table."""

    test: CrossedTest
    p_holm: float = math.nan

    @property
    def less(self) -> bool:
        """Whether the network is told to err less."""
        return self.test.mean < 0 and self.p_holm < LEVEL


def measure_costs(results: Results, part: Part) -> pd.DataFrame:
    """Return a line per run: its naming columns, labels, augmentation, error (headline), nll, costs and step_ms.

    nll: NLL (nat). multiply_adds, parameters: of one image and of the network. step_ms: see :func:`busy_step_ms`.
    NaN where a number was not measured.
    """
    columns = ["run_key", *part.axes.names, "n_labels", "augmentation"]
    runs = part.headline[[*columns, "value"]].rename(columns={"value": "error"}).drop_duplicates("run_key")
    nll = part.of("nll/mean").drop_duplicates("run_key").set_index("run_key")["value"]
    runs = runs.assign(nll=runs["run_key"].map(nll).astype(float))
    rows = results.rows
    for name, metric in COSTS.items():
        cost = rows[rows["metric"] == metric].drop_duplicates("run_key").set_index("run_key")["value"]
        runs[name] = runs["run_key"].map(cost).astype(float)
    runs["step_ms"] = runs["run_key"].map(busy_step_ms(results)).astype(float)
    return runs.assign(n_labels=runs["n_labels"].fillna(ALL_LABELS))


def make_pareto(results: Results, part: Part) -> tuple[list[list[str]], Sheet] | None:
    """Return (lines of the csv, the printed table) of each network against every plain one; None without both.

    Plain are the networks of group C1. p: paired over seeds and test sources, after Holm over all pairs of the table.
    """
    names = [tuple(row) for row in part.axes.sort(part.headline).itertuples(index=False, name=None)]
    place = part.axes.names.index("group")
    plain = [name for name in names if name[place] == PLAIN]
    cells = find_predictions(results, part)
    columns = [(n, a) for n in sort_label_counts(p[1] for p in cells)
               for a in sort_values({p[2] for p in cells}, "augmentation")]  # fmt: skip
    found: dict[tuple[Name, Name, Column], Against] = {}
    for column in columns:
        for name in (n for n in names if n not in plain):
            for other in plain:
                pair = pair_errors(cells.get((name, *column)), cells.get((other, *column)))
                if pair is not None:
                    found[name, other, column] = Against(crossed_test(pair[1] - pair[2]))
    if not found:
        return None
    adjusted = adjust_holm([a.test.p_value for a in found.values()])
    found = {key: replace(a, p_holm=float(p)) for (key, a), p in zip(found.items(), adjusted, strict=True)}
    costs = measure_costs(results, part).groupby([*part.axes.names, "n_labels", "augmentation"], dropna=False)
    means = costs[["error", "nll", "multiply_adds", "parameters", "step_ms"]].mean()
    return _csv_lines(found, part, means), _make_sheet(found, names, plain, columns, part, means)


def _csv_lines(found: dict, part: Part, means: pd.DataFrame) -> list[list[str]]:
    lines = [[*part.axes.names, *CSV_COLUMNS]]
    for (name, other, column), against in found.items():
        t, mine, theirs = against.test, means.loc[(*name, *column)], means.loc[(*other, *column)]
        ratios = [mine[c] / theirs[c] for c in ("multiply_adds", "step_ms")]
        numbers = [t.mean, t.half_width, t.p_value, against.p_holm, *ratios]
        shown = ["" if math.isnan(x) else f"{x:.6g}" for x in numbers]
        where = [*map(str, name), show_labels(column[0]), column[1], _words(other)]
        lines.append([*where, *shown, str(t.n_runs), str(t.n_sources)])
    return lines


def _make_sheet(
    found: dict, names: list[Name], plain: list[Name], columns: list[Column], part: Part, means: pd.DataFrame
) -> Sheet:
    several = len(columns) > 1
    head = [*part.axes.names, *(["labels", "augmentation"] if several else [])]
    headline = part.task.headline
    header = [*head, f"{headline.short} ({headline.unit})", "NLL (nat)", "MACs (million)", "step (ms)",
              *(_words(other) for other in plain)]  # fmt: skip
    upper = [*[""] * (len(head) + 4), *["minus"] * len(plain)]
    lines, bold = [], set()
    for column in columns:
        for name in (n for n in names if (*n, *column) in means.index):
            cost = means.loc[(*name, *column)]
            cells = [found.get((name, other, column)) for other in plain]
            bold |= {(len(lines), len(head) + 4 + j) for j, a in enumerate(cells) if a is not None and a.less}
            numbers = [(cost["error"], 1), (cost["nll"], 3), (cost["multiply_adds"] / 1e6, 1), (cost["step_ms"], 1)]
            shown = [MISSING if math.isnan(x) else f"{x:.{digits}f}" for x, digits in numbers]
            where = [show_labels(column[0]), column[1]] if several else []
            lines.append([*map(show_value, name), *where, *shown, *map(_show, cells)])
    some, folds = next(iter(found.values())).test, show_folds(part.rows)
    caption = [
        f"What an error costs: networks, and the difference of their {headline.per_source} from every plain one",
        f"Data {part.data}, split {part.split} ({show_sources(some.n_sources, folds)}), read-out {part.readout}",
        "Networks of different folds share training sources, which the intervals do not count" if folds else "",
        f"Means over {some.n_runs} seed{'s' if some.n_runs > 1 else ''}; MACs: multiply-adds of one image; step: one "
        "update with its augmentation, on a CPU the time of the processor with all threads together",
        f"minus: in %, ± half-width of the {show_scope(a.test.n_runs for a in found.values())}; p of no difference in "
        f"brackets, after Holm over the table; bold where the row errs less (p < {LEVEL:g})",
        _verdict(found, plain, means),
        show_rule(part.rows["selection_rule"]),
    ]
    return Sheet("Error against cost", len(head), header, upper, lines, [s for s in caption if s], bold,
                 label=f"pareto-{part.split}-{part.readout}")  # fmt: skip


def _verdict(found: dict, plain: list[Name], means: pd.DataFrame) -> str:
    """Return which networks are told to err less than every plain one, and than every one of no longer step."""
    all_of, cheaper = [], []
    for name, column in dict.fromkeys((name, column) for name, _, column in found):
        pairs = {other: found.get((name, other, column)) for other in plain}
        step = means.loc[(*name, *column), "step_ms"]
        within = [a for other, a in pairs.items() if a and means.loc[(*other, *column), "step_ms"] <= step]
        words = _words(name)
        if len(pairs) == len(plain) and all(a and a.less for a in pairs.values()):
            all_of.append(words)
        elif within and all(a.less for a in within):
            cheaper.append(words)
    told = f"Told to err less than every plain network here, whatever it costs: {', '.join(all_of) or 'none'}"
    return f"{told}; than every plain one with a step no longer than its own: {', '.join(cheaper) or 'no other'}"


def _words(name: Name) -> str:
    return " ".join(map(show_value, name))


def _show(against: Against | None) -> str:
    return MISSING if against is None else show_difference(against.test, against.p_holm)
