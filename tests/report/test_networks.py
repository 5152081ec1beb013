"""Figures and printed tables that compare a few networks, from arrays and rows."""

import csv

import numpy as np
import pytest

from equirgz.errors import ResultsError
from equirgz.report.figures.networks import plot_risk_coverage
from equirgz.report.figures.style import figure_style
from equirgz.report.tables.pivot import make_pivot, show_interval, show_number, show_p, write_sheet

NAMES = ("plain", "D8", "gated")


@pytest.fixture(scope="module")
def answers():
    generator = np.random.default_rng(0)
    found = {}
    for test, n in (("confident", 40), ("uncertain", 12)):
        p = generator.uniform(0.02, 0.98, (2, n))
        found[test] = ({name: np.stack([p, 1 - p], -1) for name in NAMES}, generator.integers(0, 2, n))
    return found


def test_risk_has_a_panel_per_test_set(answers):
    with figure_style():
        risk = plot_risk_coverage(answers)
    assert len(risk.axes) == 2
    line = risk.axes[0].lines[0]
    p_RNK, target_N = answers["confident"][0]["plain"], answers["confident"][1]
    assert line.get_ydata()[-1] == pytest.approx(100 * (p_RNK.argmax(2) != target_N).mean())
    assert line.get_xdata()[0] == pytest.approx(100 * 5 / 40)


ROWS = [
    {"network": "plain", "metric": "a", "value": 0.1234, "low": 0.1, "high": 0.2, "n": 9},
    {"network": "plain", "metric": "b", "value": -1.0, "low": None, "high": None, "n": 9},
    {"network": "D8", "metric": "a", "value": None, "low": None, "high": None, "n": 9},
]


def test_pivot_puts_networks_in_lines_and_metrics_in_columns(tmp_path):
    sheet = make_pivot(ROWS, ["network"], {"a": ("A", 2), "b": ("B", 1), "c": ("C", 1)}, ["Title", "More"], label="x")
    assert sheet.header == ["network", "A", "B"]
    assert sheet.lines == [["plain", "0.12 [0.10, 0.20]", "−1.0"], ["D8", "–", "–"]]
    paths = write_sheet(tmp_path / "x", sheet, ROWS)
    assert [path.suffix for path in paths] == [".csv", ".md", ".tex"]
    with open(paths[0]) as file:
        lines = list(csv.DictReader(file))
    assert lines[0]["value"] == "0.1234" and lines[2]["value"] == ""


def test_pivot_refuses_two_values_in_one_place_and_rows_of_other_metrics():
    with pytest.raises(ResultsError, match="got two"):
        make_pivot([ROWS[0], ROWS[0]], ["network"], {"a": ("A", 2)}, ["T"], label="x")
    with pytest.raises(ResultsError, match="got none"):
        make_pivot(ROWS, ["network"], {"z": ("Z", 2)}, ["T"], label="x")


def test_numbers_as_words():
    assert show_number(-0.0004) == "0.000" and show_number(float("nan")) == "–" and show_number(None) == "–"
    assert show_p(0.0004) == "<0.001" and show_p(0.04) == "0.04" and show_p(float("nan")) == "–"
    assert show_interval({"value": 1.0}, 1) == "1.0"
