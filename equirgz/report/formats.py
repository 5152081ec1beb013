"""A table as csv (tidy, every number), Markdown, LaTeX (no package needed) and plain text."""

from __future__ import annotations

import csv
import io
import math
import re

from equirgz.report.axes import show_labels, show_value
from equirgz.report.cells import Table
from equirgz.report.wording import best_text, caption, cell_text, column_title, cost_text, title

BEST_ROW = "best: distinct from"
CSV_COLUMNS = (
    "n_labels",
    "augmentation",
    "status",
    "mean",
    "half_width_95",
    "n_seeds",
    "n_planned",
    "unit",
    "n_sources",
    "perfect",
    "is_best",
    "is_marked",
    "p_against_best_holm",
)
_LATEX = {
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "–": "--",
    "<": "$<$",
    ">": "$>$",
}


def to_csv(table: Table) -> str:
    """Return the tidy form: one line per cell with full digits, NaN as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    costs = [re.sub(r"\W+", "_", name).strip("_") for name in table.costs]
    writer.writerow([*table.labels.columns, *CSV_COLUMNS, *costs])
    for i, label in table.labels.iterrows():
        for j, (n_labels, augmentation) in enumerate(table.columns):
            cell, best = table.cells[i, j], table.best.get(j)
            is_best = best is not None and best.row == i
            numbers = (cell.perfect, int(is_best), int(is_best and best.marked), cell.p_best)
            writer.writerow(
                [
                    *label,
                    show_labels(n_labels),
                    augmentation,
                    cell.status,
                    _digits(cell.mean),
                    _digits(cell.half_width),
                    cell.n_seeds,
                    cell.n_planned,
                    table.unit,
                    table.facts["n"],
                    *map(_digits, numbers),
                    *(_digits(values[i]) for values in table.costs.values()),
                ]
            )
    return text.getvalue()


def _digits(value: float) -> str:
    return "" if isinstance(value, float) and math.isnan(value) else f"{value:.8g}"


def layout(table: Table) -> tuple[list[str], list[list[str]], set[tuple[int, int]]]:
    """Return (header, lines of words, bold places), the same for every printed format."""
    names, n_columns = list(table.labels.columns), len(table.columns)
    header = [*names, *(column_title(table, j) for j in range(n_columns))]
    header += ["reported"] * bool(table.reported) + list(table.costs)
    lines, bold = [], set()
    for i, label in table.labels.iterrows():
        cells = [cell_text(table, i, j) for j in range(n_columns)]
        bold |= {(i, len(names) + j) for j, cell in enumerate(cells) if cell.bold}
        lines.append(
            [
                *map(show_value, label),
                *(cell.words for cell in cells),
                *table.reported[i : i + 1],
                *(cost_text(values[i]) for values in table.costs.values()),
            ]
        )
    if table.best:
        rest = len(header) - len(names) - n_columns
        best = [best_text(table, j) for j in range(n_columns)]
        lines.append([BEST_ROW, *[""] * (len(names) - 1), *best, *[""] * rest])
    return header, lines, bold


def to_markdown(table: Table) -> str:
    """Return a Markdown table with its caption as the paragraph below."""
    header, lines, bold = layout(table)
    n_names = len(table.labels.columns)
    rule = [":--" if j < n_names else "--:" for j in range(len(header))]
    text = [_md_line(header), _md_line(rule)]
    for i, line in enumerate(lines):
        text.append(_md_line([f"**{w}**" if (i, j) in bold else w for j, w in enumerate(line)]))
    return "\n".join([*text, "", ". ".join(caption(table)).replace("|", "\\|") + ".", ""])


def _md_line(words: list[str]) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"


def to_latex(table: Table) -> str:
    """Return a table* environment that compiles with no package; headers in two lines, 50 labels over none."""
    header, lines, bold = layout(table)
    n_names, n_columns = len(table.labels.columns), len(table.columns)
    name = re.sub(r"\W+", "-", f"{table.key.metric}-{table.key.split}-{table.key.readout}")
    rest = header[n_names + n_columns :]
    upper, lower, j = [], [], 0
    while j < n_columns:
        span = sum(show_labels(n) == show_labels(table.columns[j][0]) for n, _ in table.columns)
        upper.append(rf"\multicolumn{{{span}}}{{c}}{{{show_labels(table.columns[j][0])} labels}}")
        lower += [escape_latex(a) for _, a in table.columns[j : j + span]]
        j += span
    body = [
        " & ".join(
            rf"\textbf{{{escape_latex(w)}}}" if (i, j) in bold else escape_latex(w)
            for j, w in enumerate(line)
        )
        for i, line in enumerate(lines)
    ]
    if table.best:
        body[-1] = r"\hline" + "\n" + body[-1]
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering",
            rf"\caption{{{escape_latex('. '.join(caption(table)))}.}}",
            rf"\label{{tab:{name}}}",
            rf"\begin{{tabular}}{{{'l' * n_names}{'r' * (n_columns + len(rest))}}}",
            r"\hline",
            " & ".join([*[""] * n_names, *upper, *[""] * len(rest)]) + r" \\",
            " & ".join(map(str, [*map(escape_latex, header[:n_names]), *lower, *map(escape_latex, rest)]))
            + r" \\",
            r"\hline",
            *(line + r" \\" for line in body),
            r"\hline",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def escape_latex(words: str) -> str:
    """Return ``words`` with every character that LaTeX would read as a command made plain."""
    return "".join(_LATEX.get(character, character) for character in words)


def to_text(table: Table) -> str:
    """Return the table for a terminal: aligned columns, * on the marked best, the caption below.

    Naming columns that are the same in every row move to the title, and label counts to a line above.
    """
    header, lines, bold = layout(table)
    lines = [[f"*{w}" if (i, j) in bold else w for j, w in enumerate(line)] for i, line in enumerate(lines)]
    names = list(table.labels.columns)
    same = [j for j, c in enumerate(names) if table.labels[c].nunique(dropna=False) == 1]
    shown = (
        [j for j in range(len(header)) if j not in same]
        if len(same) < len(names)
        else list(range(len(header)))
    )
    upper = ["" for _ in header]
    for j, (n_labels, augmentation) in enumerate(table.columns):
        upper[len(names) + j], header[len(names) + j] = f"{show_labels(n_labels)} labels", augmentation
    if table.best:
        lines[-1][shown[0]] = lines[-1][0]
    grid = [[line[j] for j in shown] for line in (upper, header, *lines)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    left = sum(j < len(names) for j in shown)
    text = [
        "  ".join(
            w.ljust(k) if j < left else w.rjust(k) for j, (w, k) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in grid
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    head = f"{title(table)}{f' ({table.unit})' if table.unit != '1' else ''}"
    constant = ", ".join(
        show_value(table.labels.iloc[0, j]) for j in same if j in range(len(names)) and j not in shown
    )
    body = text[2:] if not table.best else [*text[2:-1], rule, text[-1]]
    notes = [f"  {sentence.replace('bold where', '* where')}." for sentence in caption(table)[1:]]
    return "\n".join(
        [head + (f": {constant}" if constant else ""), rule, *text[:2], rule, *body, rule, *notes, ""]
    )
