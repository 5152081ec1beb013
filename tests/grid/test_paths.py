"""Grids run in folders of any name, local engine too, and alter nothing beside their results folder."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.errors import InputError
from equirgz.grid.engine import scratch
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.engine.scratch import Scratch, is_plain
from equirgz.grid.engine.workers import shell_word
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.runner import run_grid

pytestmark = pytest.mark.rounding

ODD = " '\"$&;#%(){}[]*?!~`\\|<>=:,@^é星-"
NAMES = st.text(st.sampled_from(ODD + "ab"), min_size=1, max_size=12).filter(lambda name: name not in (".", ".."))
WORST = "My 'own' \"$HOME\" & (x); #1 100% {b} [c] *~ `d` \\e é"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_a_word_of_a_command_is_itself_after_quoting_and_formatting(word):
    assert shlex.split(shell_word(word).format().format()) == [word]
    assert shlex.split(shell_word(word, formats=1).format(block_id=3)) == [word]


@given(NAMES)
def test_plain_paths_are_one_word_of_a_shell(name):
    if is_plain(name):
        assert shlex.quote(name) == name and not set(name) & set("~$%#=:,@")
    assert not is_plain(f"/tmp/{name} {name}") and is_plain("/tmp/a-b_c.d+0")


@settings(max_examples=8, deadline=None)
@given(name=NAMES)
def test_results_of_a_folder_of_any_name(name):
    """In the process, by relative and absolute path: what is computed lands there and nowhere else."""
    document = {"name": "tiny", "base": {"data": {"name": "synthetic_fr"}}, "axes": {"seed": [0, 1]}}
    with tempfile.TemporaryDirectory() as base:
        out = Path(base) / name
        summary = run_grid(make_grid(document), out, engine=make_engine_config("inline"), cell="fake_cells:instant")
        assert summary.complete and os.listdir(base) == [name]
        assert pd.read_csv(collect(out)).seed.nunique() == 2


def test_local_workers_in_a_folder_that_a_shell_would_not_take_whole(document, tmp_path, monkeypatch):
    """Also the temporary folder of the system has such a name; what lies beside is as it was."""
    here, temporary = tmp_path / WORST, tmp_path / "tmp dir"
    here.mkdir()
    temporary.mkdir()
    notes = {word: here.parent / word for word in ("My", "My 'own'")}
    for note in notes.values():
        note.write_text("my notes")
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(scratch, "PLACES", (str(tmp_path),))  # plain: pytest's
    if not is_plain(tmp_path):
        monkeypatch.setattr(scratch, "PLACES", ("/tmp",))
    summary = run_grid(make_grid(document), Path("out"), engine=make_engine_config(jobs=2), cell="fake_cells:instant")
    assert summary.complete
    assert os.listdir(here) == ["out"] and not (here / "out" / "engine").exists()
    assert {note.read_text() for note in notes.values()} == {"my notes"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([here.name, "tmp dir", *notes])


def test_workers_that_do_not_start_end_in_one_line_and_their_logs_are_kept(document, tmp_path, monkeypatch):
    broken = "echo this worker is broken >&2; sleep 600 # "
    monkeypatch.setattr("parsl.executors.high_throughput.executor.DEFAULT_LAUNCH_CMD", broken)
    engine = make_engine_config(connect_timeout_s=1.0)
    with pytest.raises(InputError, match=r"no worker process started within 1 s \(this worker is broken\); see ") as e:
        run_grid(make_grid(document), tmp_path / "out", engine=engine, cell="fake_cells:instant")
    assert "\n" not in str(e.value) and "--engine inline" in str(e.value)
    (kept,) = (tmp_path / "out" / "engine").iterdir()
    assert str(kept) in str(e.value) and list(kept.rglob("*.err"))
    assert not list((tmp_path / "out").glob("cells/*"))


def test_scratch_is_removed_and_refused_where_no_folder_is_plain(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a b"))
    held = Scratch()
    assert is_plain(held.path) and held.path.is_dir()
    (held.path / "log").write_text("why")
    held.close(keep_in=tmp_path / "kept")
    assert not held.path.exists() and [p.name for p in (tmp_path / "kept").iterdir()] == ["log"]
    monkeypatch.setattr(scratch, "PLACES", (str(tmp_path / "c d"),))
    with pytest.raises(InputError, match="set TMPDIR to such a folder, or use --engine inline"):
        Scratch()


def test_what_a_killed_harness_left_is_removed_and_what_a_living_one_holds_is_not(monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        monkeypatch.setattr(tempfile, "tempdir", place)
        living, dead = Scratch(), Scratch()
        dead._lock.close()  # as its end does
        monkeypatch.setattr(scratch, "STALE_S", -1.0)
        new = Scratch()
        assert living.path.exists() and not dead.path.exists()
        for held in (living, new):
            held.close()
        assert os.listdir(place) == []
