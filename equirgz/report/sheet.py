"""A printed table, whatever it is about, as Markdown, LaTeX (no package needed) and plain text."""

from __future__ import annotations

from dataclasses import dataclass, field

_LATEX = {
    "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "±": r"$\pm$", "°": r"$^\circ$", "²": "$^2$",
    "–": "--", "−": "$-$", "<": "$<$", ">": "$>$",
}  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """Words of a table. The first ``n_names`` columns name its lines and are set to the left.

    header: a title per column; upper: a second title above it, "" for none (equal neighbours are one).
    bold: places (line, column). footer: last lines, set apart. caption: sentences without full stops.
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

    @property
    def full_header(self) -> list[str]:
        """Both titles in one: "50 labels, none"."""
        return [
            f"{upper}, {lower}" if upper else lower
            for upper, lower in zip(self.upper, self.header, strict=True)
        ]


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
    """Return a table* environment that compiles with no package."""
    body = []
    for i, line in enumerate(sheet.lines):
        words = [escape_latex(w) for w in line]
        body.append(
            " & ".join(rf"\textbf{{{w}}}" if (i, j) in sheet.bold else w for j, w in enumerate(words))
        )
    foot = [" & ".join(map(escape_latex, line)) for line in sheet.footer]
    upper = [" & ".join(_spans(sheet.upper)) + r" \\"] if any(sheet.upper) else []
    columns = "l" * sheet.n_names + "r" * (len(sheet.header) - sheet.n_names)
    return "\n".join([
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape_latex('. '.join(sheet.caption))}.}}",
        rf"\label{{tab:{sheet.label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
        *upper,
        " & ".join(map(escape_latex, sheet.header)) + r" \\",
        r"\hline",
        *(line + r" \\" for line in body),
        *([r"\hline"] if foot else []),
        *(line + r" \\" for line in foot),
        r"\hline",
        r"\end{tabular}",
        r"\end{table*}",
        "",
    ])  # fmt: skip


def _spans(upper: list[str]) -> list[str]:
    """Return the upper header with equal neighbours as one cell over their columns."""
    cells, j = [], 0
    while j < len(upper):
        width = 1
        while upper[j] and j + width < len(upper) and upper[j + width] == upper[j]:
            width += 1
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(upper[j])}}}" if upper[j] else "")
        j += width
    return cells


def escape_latex(words: str) -> str:
    """Return ``words`` with every character that LaTeX would read as a command made plain."""
    return "".join(_LATEX.get(character, character) for character in words)


def sheet_to_text(sheet: Sheet) -> str:
    """Return the table for a terminal: aligned columns, * on bold places, the caption below.

    Naming columns that say the same on every line move to the title.
    """
    lines = [
        [f"*{w}" if (i, j) in sheet.bold else w for j, w in enumerate(line)]
        for i, line in enumerate(sheet.lines)
    ]
    same = [j for j in range(sheet.n_names) if len({line[j] for line in lines}) == 1]
    same = same if len(same) < sheet.n_names else []
    shown = [j for j in range(len(sheet.header)) if j not in same]
    footer = [list(line) for line in sheet.footer]
    for line in footer:
        line[shown[0]] = line[0]
    grid = [[line[j] for j in shown] for line in (sheet.upper, sheet.header, *lines, *footer)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    n_left = sum(j < sheet.n_names for j in shown)
    text = []
    for line in grid:
        words = [
            w.ljust(k) if j < n_left else w.rjust(k)
            for j, (w, k) in enumerate(zip(line, widths, strict=True))
        ]
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
