"""The speed of the simulators: ratios are taken inside each round, and the table says what was measured."""

from itertools import count

import pandas as pd
import pytest

from benchmarks.speed.simulator import main, measure


def test_ratios_by_a_clock_of_one_second_a_look():
    ticks = count()
    lines = measure(2, clock=lambda: float(next(ticks)))
    assert [line[0] for line in lines] == ["synthetic_fr, 150 px", "stream_sources, 81 px", "stream_sources, 150 px"]
    assert all(line[1:] == pytest.approx((64, 1, 1, 1)) for line in lines)


def test_the_command_writes_the_table(tmp_path, capsys):
    main(["--rounds", "1", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "simulator.csv")
    assert (table["images_per_second_and_core"] > 0).all() and table["ratio"][0] == 1
    assert (tmp_path / "simulator.md").read_text() in capsys.readouterr().out
