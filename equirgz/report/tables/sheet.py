"""A printed table, whatever it is about, as Markdown, LaTeX (booktabs) and plain text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic

_LATEX = {
    "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "±": r"$\pm$", "°": r"$^\circ$", "²": "$^2$",
    "–": "--", "−": "$-$", "<": "$<$", ">": "$>$",
}  # fmt: skip
LONG_WORDS = 40  # characters of a cell from which on its LaTeX column breaks lines
WIDE = 80  # letters of a table from which on it may be wider than a page
_SHRINK = (
    r"\ifdim\wd0>\textwidth\ifdefined\resizebox\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi\else\usebox0\fi"
)


@dataclass(frozen=True)
class Sheet:
    """Words of a table. The first ``n_names`` columns name its lines and are set to the left.

    header: a title per column; upper: a second title above it, "" for none (equal neighbours are one).
    bold: places (line, column). footer: last lines, set apart. caption: sentences without full stops.
    short: the caption above a printed LaTeX table; none: the first of ``caption``.
    """

    title: str
    n_names: int
    header: list[str]
    upper: list[str]
    lines: list[list[str]]
    caption: list[str]
    bold: set[tuple[int, int]] = field(default_factory=set)
    footer: list[list[str]] = field(default_factory=list)
    label: str = ""
    short: str = ""

    @property
    def full_header(self) -> list[str]:
        """Both titles in one: "50 labels, none"."""
        return [f"{upper}, {lower}" if upper else lower for upper, lower in zip(self.upper, self.header, strict=True)]


def print_table(lines: Iterable[Sequence[Any]], sheet: Sheet) -> dict[str, str]:
    """Return the files of a table by suffix: its tidy ``lines`` as csv, its words as md and tex."""
    return {"csv": lines_to_csv(lines), "md": sheet_to_markdown(sheet), "tex": sheet_to_latex(sheet)}


def write_printed(stem: Path | str, lines: Iterable[Sequence[Any]], sheet: Sheet) -> list[Path]:
    """Write the files of :func:`print_table` as ``stem``.csv, .md and .tex; return their paths."""
    stem, paths = as_path(stem), []
    for suffix, text in print_table(lines, sheet).items():
        paths.append(stem.with_name(f"{stem.name}.{suffix}"))
        write_bytes_atomic(paths[-1], text.encode())
    return paths


def lines_to_csv(lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def sheet_to_markdown(sheet: Sheet) -> str:
    """Return a Markdown table with its caption as the paragraph below."""
    rule = [":--" if j < sheet.n_names else "--:" for j in range(len(sheet.header))]
    text = [_md_line(sheet.full_header), _md_line(rule)]
    for i, line in enumerate(sheet.lines):
        text.append(_md_line([f"**{w}**" if (i, j) in sheet.bold else w for j, w in enumerate(line)]))
    text += map(_md_line, sheet.footer)
    return "\n".join([*text, "", ". ".join(sheet.caption).replace("|", "\\|") + ".", ""])


def _md_line(words: list[str]) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"


def sheet_to_latex(sheet: Sheet) -> str:
    """Return a table* environment to paste, in the style of booktabs: a short caption above, the notes below.

    Naming columns that say the same on every line and the footer move to the notes. A table that may be wider than
    the page shrinks to it where graphicx is loaded.
    """
    same = _constant_columns(sheet)
    shown = [j for j in range(len(sheet.header)) if j not in same]
    lines = [
        [rf"\textbf{{{escape_latex(w)}}}" if (i, j) in sheet.bold else escape_latex(w) for j, w in enumerate(line)]
        for i, line in enumerate(sheet.lines)
    ]
    columns = ["l" if j < sheet.n_names else "r" for j in shown]
    for k, j in enumerate(shown):
        if max((len(line[j]) for line in sheet.lines), default=0) > LONG_WORDS:
            columns[k] = r"p{40mm}"
    upper = [sheet.upper[j] for j in shown]
    body = [
        rf"\begin{{tabular}}{{{''.join(columns)}}}",
        r"\toprule",
        *(_spans(upper) if any(upper) else []),
        " & ".join(escape_latex(sheet.header[j]) for j in shown) + r" \\",
        r"\midrule",
        *(" & ".join(line[j] for j in shown) + r" \\" for line in lines),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if _width(sheet, shown) > WIDE:
        body = [rf"\sbox0{{{body[0]}", *body[1:-1], body[-1] + "}", _SHRINK]
    return "\n".join([
        r"% in the preamble: \usepackage{booktabs}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape_latex(sheet.short or sheet.caption[0])}.}}",
        rf"\label{{tab:{sheet.label}}}",
        *body,
        r"\par\smallskip",
        rf"\begin{{minipage}}{{\textwidth}}\footnotesize {escape_latex('. '.join(_latex_notes(sheet, same)))}.",
        r"\end{minipage}",
        r"\end{table*}",
        "",
    ])  # fmt: skip


def _width(sheet: Sheet, shown: list[int]) -> int:
    """Return about how many letters wide the table is; columns are two letters apart."""
    lines = [sheet.header, *sheet.lines]
    return sum(min(LONG_WORDS, max(len(line[j]) for line in lines)) + 2 for j in shown)


def _latex_notes(sheet: Sheet, same: list[int]) -> list[str]:
    """Return the sentences below the table: the caption's, and what the table itself does not show."""
    said = ", ".join(f"{sheet.header[j]} {sheet.lines[0][j]}" for j in same)
    notes = []
    for line in sheet.footer:
        words = zip(sheet.full_header[1:], line[1:], strict=True)
        told = "; ".join(f"{name}: {word}" for name, word in words if word)
        notes.append(f"{line[0][:1].upper()}{line[0][1:]}: {told}")
    sentences = sheet.caption if sheet.short else sheet.caption[1:]
    sentences = [sentence.replace("Last row:", "Best:") for sentence in sentences]
    return [*sentences, *([f"On every line: {said}"] if said else []), *notes]


def _constant_columns(sheet: Sheet) -> list[int]:
    """Return the naming columns that say the same on every line; none where all of them do."""
    same = [j for j in range(sheet.n_names) if len({line[j] for line in sheet.lines}) == 1]
    return same if len(same) < sheet.n_names else []


def _spans(upper: list[str]) -> list[str]:
    """Return the upper header, equal neighbours as one cell over their columns, and a rule below each such cell."""
    cells, rules, j = [], [], 0
    while j < len(upper):
        width = 1
        while upper[j] and j + width < len(upper) and upper[j + width] == upper[j]:
            width += 1
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(upper[j])}}}" if upper[j] else "")
        rules += [rf"\cmidrule(lr){{{j + 1}-{j + width}}}"] if upper[j] else []
        j += width
    return [" & ".join(cells) + r" \\", "".join(rules)]


def escape_latex(words: str) -> str:
    """Return ``words`` with every character that LaTeX would read as a command made plain."""
    return "".join(_LATEX.get(character, character) for character in words)


def sheet_to_text(sheet: Sheet) -> str:
    """Return the table for a terminal: aligned columns, * on bold places, the caption below.

    Naming columns that say the same on every line move to the title.
    """
    lines = [[f"*{w}" if (i, j) in sheet.bold else w for j, w in enumerate(line)] for i, line in enumerate(sheet.lines)]
    same = _constant_columns(sheet)
    shown = [j for j in range(len(sheet.header)) if j not in same]
    footer = [list(line) for line in sheet.footer]
    for line in footer:
        line[shown[0]] = line[0]
    grid = [[line[j] for j in shown] for line in (sheet.upper, sheet.header, *lines, *footer)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    n_left = sum(j < sheet.n_names for j in shown)
    text = []
    for line in grid:
        words = [w.ljust(k) if j < n_left else w.rjust(k) for j, (w, k) in enumerate(zip(line, widths, strict=True))]
        text.append("  ".join(words).rstrip())
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    constant = ", ".join(lines[0][j] for j in same)
    head = [
        sheet.title + (f": {constant}" if constant else ""),
        rule,
        *([text[0]] if any(sheet.upper) else []),
        text[1],
    ]
    end = len(text) - len(footer)
    notes = [f"  {sentence.replace('bold where', '* where')}." for sentence in sheet.caption[1:]]
    return "\n".join([*head, rule, *text[2:end], *([rule, *text[end:]] if footer else []), rule, *notes, ""])
