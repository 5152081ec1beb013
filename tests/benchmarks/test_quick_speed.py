"""The quick speed comparison: entries take turns, ratios inside rounds, and what fails or is late is named."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.speed import quick


def test_entries_take_turns_and_ratios_are_of_one_round(monkeypatch):
    calls, clock = [], itertools.count()
    times = iter([1.0, 3.0, 10.0, 20.0, 2.0, 8.0])  # ratios 3, 2, 4
    monkeypatch.setattr(quick, "seconds_of", lambda call, device: (call(), next(times))[1])
    monkeypatch.setattr(quick.time, "perf_counter", lambda: float(next(clock)))
    entries = {"first": lambda: calls.append("a"), "second": lambda: calls.append("b")}
    first, second = quick.take_turns(entries, seconds=0.0)
    assert calls == ["a", "b"] * 4  # one round is not counted
    assert first["ratio"] == 1 and second["ratio"] == 3 and (second["ms"], second["rounds"]) == (8000.0, 3)


def test_what_fails_or_is_late_is_left_out_in_one_line():
    said = []

    def broken():
        raise RuntimeError("no\nsuch layer")

    parts = {"broken": broken, "good": lambda: {"a": lambda: None, "b": lambda: None}}
    assert [row["part"] for row in quick.run_parts(parts, 0.0, 1.0, said.append)] == ["good", "good"]
    assert said[0] == "broken: left out, RuntimeError: no such layer" and "b " in said[1]
    assert quick.run_parts(parts, 0.0, -1.0, said.append) == []
    assert said[-1] == "good: left out, -1 minutes are over"


@pytest.mark.parametrize("libraries", [(), ("escnn",)])
def test_every_part_has_a_name_and_the_tables_are_written(libraries, tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_KERNELS", "off")
    parts = quick.make_parts("off", libraries)
    assert sum("LeNet" in name for name in parts) == 4 and sum("cheap" in name for name in parts) == 3
    rows = [{"part": "p", **row} for row in quick.take_turns({"a": lambda: 1, "b": lambda: 2}, 0.0)]
    text = quick.write(rows, ["escnn: left out, not installed"], 2, "off", tmp_path)
    assert "| p | b |" in text and "left out" in text and (tmp_path / "quick.csv").read_text().startswith("part,entry")
