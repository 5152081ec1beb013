"""What it costs to begin: seconds of the child alone, and the table of them."""

from __future__ import annotations

from benchmarks import startup


def test_seconds_are_those_of_the_command_and_commands_begin(tmp_path):
    idle, busy = (startup.seconds_of(["-c", f"sum(range({n}))"]) for n in (1, 30_000_000))
    assert 0 < idle < busy
    calls = startup.commands(tmp_path)
    assert len(calls) == 4 and startup.seconds_of(calls["import equirgz"]) > 0


def test_the_table_names_what_was_measured(tmp_path):
    text = startup.write_table({"import equirgz": 0.0312, "equirgz --help": 0.21}, tmp_path)
    assert "| equirgz --help | 0.21 |" in text
    assert (tmp_path / "startup.csv").read_text().splitlines()[1] == "import equirgz,0.0312"
