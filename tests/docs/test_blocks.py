"""Every fenced block of Python and of bash in ``README.md`` and ``docs/`` runs, in order, in a folder for each page.

A block of YAML whose caption is the name of a file is that file. Commands of ``equirgz`` run in this process, with runs
of two updates: the sizes are the one thing that is not as the page says. A block that cannot run here says why in a
comment before it, ``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from equirgz.cli import app

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries that export networks

DOCS = Path(__file__).parents[2] / "docs"
MADE = {"_build", "generated"}
PAGES = [
    DOCS.parent / "README.md",
    *sorted(path for path in DOCS.rglob("*.md") if not MADE & set(path.relative_to(DOCS).parts)),
]
FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]*?) -->\n)?"
    r"^```(?P<language>\{code-block\} \w+|\{[\w-]+\}|\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
CAPTION = re.compile(r":caption: ([\w./-]+)\n\n")
LANGUAGES = {"python", "bash"}
#: how many blocks a page may leave out
NOT_RUN = {"README": 2, "start/install": 3, "howto/slurm": 1, "howto/your_images": 1, "howto/one_network": 1,
           "howto/spectra": 1}  # fmt: skip
#: the one page whose grid is drawn and gets its page; pictures cost more than all runs of the others
DRAWN = "start/ten_minutes"
SHORT = ("--set", "train.steps=2", "--engine", "inline", "--device", "cpu")


@dataclass(frozen=True)
class Block:
    """``language``: of the fence; ``reason``: why it is not run, None where it is."""

    language: str
    text: str
    reason: str | None


def read_blocks(page: Path) -> list[Block]:
    found = FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Block(block["language"], block["text"], block["reason"]) for block in found]


def name_of(page: Path) -> str:
    return page.relative_to(DOCS if page.is_relative_to(DOCS) else DOCS.parent).with_suffix("").as_posix()


def commands(text: str) -> list[list[str]]:
    """Return the words of each command of a block of bash, comments left out."""
    lines = text.replace("\\\n", " ").splitlines()
    return list(filter(None, (shlex.split(line, comments=True) for line in lines)))


def shorten(words: list[str]) -> list[str]:
    """Return the command with two updates per run and no processes of its own."""
    if words[:2] == ["bench", "run"]:
        return [*words, *SHORT[: 2 if "--dry-run" in words else None]]
    return [*words, *SHORT[:2]] if words[0] == "train" else words


@pytest.mark.parametrize(
    "page", [page for page in PAGES if LANGUAGES & {b.language for b in read_blocks(page)}], ids=name_of
)
def test_every_block_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("EQUIRGZ_DATA", str(tmp_path))
    if name_of(page) != DRAWN:
        monkeypatch.setattr("equirgz.report.figures.write_figures.write_figures", lambda results: [])
        monkeypatch.setattr("equirgz.report.page.write_page", lambda results: tmp_path / "index.html")
    names: dict[str, object] = {"__name__": "page"}
    for block in read_blocks(page):
        caption = CAPTION.match(block.text)
        if caption:
            Path(caption[1]).write_text(block.text[caption.end() :], encoding="utf-8")
        if block.reason is not None or block.language not in LANGUAGES:
            continue
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), names)
            continue
        for words in commands(block.text):
            assert words[0] == "equirgz", f"{name_of(page)}: {words[0]} cannot run here; say why with 'not run'"
            done = CliRunner().invoke(app, shorten(words[1:]))
            assert done.exit_code == 0, f"{' '.join(words)}\n{done.output}\n{done.exception!r}"


def test_blocks_that_are_not_run_are_counted_and_say_why():
    left_out = {name_of(page): [b for b in read_blocks(page) if b.reason is not None] for page in PAGES}
    assert {page: len(blocks) for page, blocks in left_out.items() if blocks} == NOT_RUN
    assert all(len(block.reason.split()) >= 4 for blocks in left_out.values() for block in blocks)


def test_every_fence_is_read():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(read_blocks(page)), page
        languages = {block.language for block in read_blocks(page)}
        assert not languages & {"", "sh", "shell", "console", "py"}, f"{page}: python or bash, or a directive"


def test_a_block_that_fails_would_be_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: it needs a cluster -->\n```bash\nsbatch x\n```\n\n```python\nraise ValueError\n```\n"
    )
    first, second = read_blocks(page)
    assert (first.reason, first.language) == ("it needs a cluster", "bash") and second.reason is None
    assert commands("a 'b c' # d\n\ne \\\n  f\n") == [["a", "b c"], ["e", "f"]]
