"""Every committed .tex table compiles as it is under a stock LaTeX with booktabs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from latex import find_latex

from equirgz.report.tables.sheet import Sheet, sheet_to_latex

ROOT = Path(__file__).parents[2]
DOCUMENT = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n%s\n\\end{document}\n"


@pytest.fixture(scope="module")
def latex():
    try:
        return find_latex(ROOT / ".latex")
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no LaTeX: install it, or let apt-get download Debian's ({error})")


def test_committed_tables_compile(latex, tmp_path):
    tables = sorted(ROOT.glob("tests/golden/frozen/tables/**/*.tex"))
    assert {"error_rate_test_network.tex", "comparison_test_network.tex"} <= {table.name for table in tables}
    document = tmp_path / "paper.tex"
    document.write_text(DOCUMENT % "\n".join(f"\\input{{{table}}}\\clearpage" for table in tables))
    done = latex.compile(document)
    assert done.returncode == 0, done.stdout[-2000:]
    assert f"Output written on paper.pdf ({len(tables)} pages" in " ".join(done.stdout.split())
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")


def test_wide_tables_shrink_to_the_page_where_graphicx_is_loaded(latex, tmp_path):
    wide = Sheet(
        "t", 2, ["group", "data", *(f"column number {i}" for i in range(20))], [""] * 22,
        [["C1", "same", *["1.234"] * 20], ["D4", "same", "word " * 30, *["5.678"] * 19]], ["Caption"],
        footer=[["best", "", *["D4"] * 20]], label="wide",
    )  # fmt: skip
    text = sheet_to_latex(wide)
    assert "\\caption{Caption.}" in text, "short, and the notes apart"
    assert "On every line: data same. Best: column number 0: D4;" in text
    document = tmp_path / "paper.tex"
    for package, fits in (("", False), ("\\usepackage{graphicx}\n", True)):
        document.write_text(DOCUMENT.replace("\\begin", package + "\\begin", 1) % text)
        done = latex.compile(document)
        assert done.returncode == 0, done.stdout[-2000:]
        assert ("Overfull \\hbox" not in done.stdout) == fits


def test_names_with_every_special_character_compile(latex, tmp_path):
    words = r"a_b % & # $ { } ~ ^ \ ± ° ² – − <"
    sheet = Sheet("t", 1, ["name", words], ["", "50 labels"], [[words, words]], [words], {(0, 1)}, [["f", words]], "x")
    document = tmp_path / "paper.tex"
    document.write_text(DOCUMENT % sheet_to_latex(sheet))
    done = latex.compile(document, "-draftmode")  # a dollar in text is of a font that the smallest LaTeX lacks
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_broken_table_does_not_compile(latex, tmp_path):
    document = tmp_path / "paper.tex"
    document.write_text(DOCUMENT % "\\begin{tabular}{l} a_b \\end{tabular}")
    done = latex.compile(document)
    assert done.returncode != 0 and "Missing $ inserted" in done.stdout
