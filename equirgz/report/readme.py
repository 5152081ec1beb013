"""Generated blocks of Markdown files: numbers in a README come from committed tables, never from a hand.

A block stands between two comments; what is between them is replaced::

    <!-- table: results/mirabest_quick -->            its main table (headline on the test split)
    <!-- table: results/mirabest_quick/tables/nll_mean_test_network.md -->
    <!-- figure: results/mirabest_quick/figures/error_vs_labels.png -->
    <!-- index: results -->                           a line per results folder
    <!-- end -->

and in a line of prose, one cell of a table (Markdown or CSV) by the beginning of its row and the head of its column::

    <!-- value: results/NAME/tables/error_rate_test_network.md: steerable_cnn D4 | 666 labels -->6.7 ± 0.5<!-- end -->

Paths are relative to the Markdown file. A value never stands first in its line: a comment there ends the paragraph.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from equirgz.errors import ResultsError, check_choice
from equirgz.paths import as_path
from equirgz.records import read_json, write_bytes_atomic
from equirgz.report.decimals import check_decimals
from equirgz.report.rows.results import find_rows, load_results
from equirgz.tasks.stored import restore_task

_BLOCK = re.compile(r"(<!-- (\w+): (\S+) -->\n|<!-- (value): ([^\n]+?) -->).*?(<!-- end -->)", re.DOTALL)
_OPENING = re.compile(r"<!-- (table|figure|index|value): ")
_MADE = {"_build", "generated"}


def find_readmes(root: Path | str = ".") -> list[Path]:
    """Return README.md, results/README.md and the pages in docs/ that hold a generated block."""
    root = as_path(root)
    pages = [page for page in root.glob("docs/**/*.md") if not _MADE & set(page.relative_to(root).parts)]
    marked = [page for page in sorted(pages) if _OPENING.search(page.read_text(encoding="utf-8"))]
    return [root / "README.md", root / "results" / "README.md", *marked]


def fill_readme(path: Path | str, *, check: bool = False) -> bool:
    """Fill every generated block of the Markdown file ``path``; return True where its text changed.

    With ``check`` nothing is written; a text that would change is a ResultsError, and so is a decimal in a sentence
    that no block makes, where the page asks for that (:mod:`equirgz.report.decimals`).
    Raises: ResultsError for a block without its end, or one whose table or figure is not there;
    InputError for an unknown kind of block.
    """
    path = as_path(path)
    try:
        old = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ResultsError(str(path), expected="a Markdown file", got=error.strerror) from error
    new, n_blocks = _BLOCK.subn(lambda found: found[1] + _fill(path, *_kind_and_target(found)) + found[6], old)
    if n_blocks != len(_OPENING.findall(old)):
        raise ResultsError(str(path), expected="<!-- end --> after each generated block", got="an open block")
    if check:
        check_decimals(path, new)
    if new == old:
        return False
    if check:
        raise ResultsError(
            f"{path}",
            expected="blocks that equal the committed tables",
            got="other text",
            mend="fill them with `equirgz bench readme`",
        )
    write_bytes_atomic(path, new.encode())
    return True


def _kind_and_target(found: re.Match) -> tuple[str, str]:
    return found[2] or found[4], found[3] or found[5]


def _fill(path: Path, kind: str, target: str) -> str:
    makers = {"table": _table, "figure": _figure, "index": _index, "value": _value}
    return makers[check_choice(f"{path}: block", kind, makers)](path, target)


def _existing(path: Path, target: str) -> Path:
    found = path.parent / target
    if not found.exists():
        raise ResultsError(str(path), expected=target, got="none", mend="write the tables and figures first")
    return found


def find_table_files(path: Path, text: str) -> list[Path]:
    """Return the files that the tables and values in the ``text`` of the Markdown file ``path`` are copies of."""
    blocks = [_kind_and_target(found) for found in _BLOCK.finditer(text)]
    tables = [_table_file(path, target) for kind, target in blocks if kind == "table"]
    return tables + [_existing(path, target.partition(": ")[0]) for kind, target in blocks if kind == "value"]


def _table_file(path: Path, target: str) -> Path:
    file = _existing(path, target)
    return _existing(path, f"{target}/tables/{main_table(file)}.md") if file.is_dir() else file


def main_table(folder: Path) -> str:
    """Return the name of the table that stands for a results folder: the task's headline on the test split.

    Of the network's own answers; where no run has them (encoders without labels), of the first read-out by name. Of a
    grid of several data sets, whose tables are one for each, that of the first by name.
    """
    plan = read_json(folder / "grid.json") if (folder / "grid.json").exists() else {}
    metric = restore_task(plan.get("task")).headline.metric
    readout, data = "network", ""
    if find_rows(folder).exists():
        rows = load_results(folder)
        found = sorted(set(rows.loc[(rows["metric"] == metric) & (rows["split"] == "test"), "readout"]))
        readout = readout if readout in found or not found else found[0]
        sets = sorted(set(rows["data"].dropna()))
        data = f"_{sets[0]}" if len(sets) > 1 else ""
    return re.sub(r"[^\w.+-]+", "_", f"{metric}_test_{readout}{data}")


def _table(path: Path, target: str) -> str:
    return _table_file(path, target).read_text(encoding="utf-8")


def _value(path: Path, target: str) -> str:
    file, _, place = target.partition(": ")
    return read_cell(_existing(path, file), place)


def read_cell(file: Path, place: str) -> str:
    """Return the text of one cell of a Markdown or CSV table; ``place`` is ``ROW | COLUMN``.

    ROW is the beginning of a row, its cells joined by spaces (``steerable_cnn D4``), in the first table of the file
    that has COLUMN as the head of a column. Bold marks are left out; numbers of a CSV have three digits.
    Raises: ResultsError where there is no such row, or more than one; InputError for an unknown column.
    """
    row, _, column = (part.strip() for part in place.rpartition(" | "))
    tables = _read_tables(file)
    heads = list(dict.fromkeys(head for table in tables for head in table[0]))
    check_choice(f"{file.name}: column", column, heads)
    head, *rows = next(table for table in tables if column in table[0])
    found = [cells for cells in rows if f"{' '.join(filter(None, cells))} ".startswith(f"{row} ")]
    if len(found) != 1:
        raise ResultsError(f"{file}: row", expected=f"one that begins with {row!r}", got=len(found))
    return found[0][head.index(column)]


def _read_tables(file: Path) -> list[list[list[str]]]:
    """Return the cells of each table of a file: its head, then its rows."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".csv":
        return [[[_short(cell) for cell in line] for line in csv.reader(text.splitlines())]]
    blocks = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    tables = [[_cells(line) for line in block.splitlines()] for block in blocks]
    return [[head, *rows] for head, _, *rows in tables]


def _short(cell: str) -> str:
    """Return a number with a fraction to three digits, and any other text as it is."""
    return f"{float(cell):.3g}" if re.fullmatch(r"-?\d+\.\d+", cell) else cell


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("**", "") for cell in line.strip().strip("|").split(" | ")]


def _figure(path: Path, target: str) -> str:
    file = _existing(path, target)
    return f"![{file.stem.replace('_', ' ')}]({target})\n"


def _index(path: Path, target: str) -> str:
    """Return a line per results folder below ``target``: question, runs, and where tables and figures lie."""
    lines = [
        "| results | question | runs | updates | plateau | version | tables | figures |",
        "| :-- | :-- | --: | --: | :-- | :-- | :-- | :-- |",
    ]
    root = _existing(path, target)
    for plan_file in sorted(root.glob("*/grid.json")):
        plan, folder = read_json(plan_file), plan_file.parent
        where = folder.relative_to(path.parent).as_posix()
        planned = {run["run_key"] for run in plan.get("runs", ())}
        measured = set(load_results(folder)["run_key"]) if find_rows(folder).exists() else set()
        cells = [
            f"[{plan.get('name', folder.name)}]({where})",
            plan.get("question", ""),
            f"{len(measured & planned)}/{len(planned)}",  # ensembles have rows, but are no runs
            _updates(plan),
            _plateau(plan),
            plan.get("version", ""),
            _links(folder, where, "tables", ".md"),
            _links(folder, where, "figures", ".png"),
        ]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def _updates(plan: dict) -> str:
    """Return how many updates the trainings of a grid have, the fewest and the most where they differ."""
    steps = sorted({config["train"]["steps"] for config in plan.get("configs", {}).values()})
    return " to ".join(str(n) for n in dict.fromkeys([*steps[:1], *steps[-1:]]))


def _plateau(plan: dict) -> str:
    """Return what shows that held-out error no longer falls with more updates: a folder, or this grid's own axis."""
    if "steps" in plan.get("axes", {}):
        return "axis of this grid"
    shown = (plan.get("document", {}).get("report") or {}).get("plateau")
    return f"[{shown}]({shown})" if shown else "not shown"


def _links(folder: Path, where: str, part: str, suffix: str) -> str:
    """Return links to the shortest name of each kind of file (its first word)."""
    names = sorted((file.stem for file in (folder / part).glob(f"*{suffix}")), key=lambda name: (len(name), name))
    first = {name.split("_")[0]: name for name in reversed(names)}
    return ", ".join(f"[{kind}]({where}/{part}/{name}{suffix})" for kind, name in sorted(first.items())) or "none"
