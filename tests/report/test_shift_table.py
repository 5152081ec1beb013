"""The shift table."""

import csv

import numpy as np
import pytest

from equirgz.errors import ResultsError
from equirgz.metrics.distance.feature_shift import compute_shift
from equirgz.report.tables.shift_table import make_shift_sheet, write_shift_table


@pytest.fixture(scope="module")
def pairs():
    generator = np.random.default_rng(0)
    x = generator.normal(0, 1, (80, 3))
    return {
        "FIRST, NVSS": compute_shift(x[:40], x[40:] + 2, n_draws=200),
        "two halves": compute_shift(x[:40], x[40:], n_draws=200),
    }


def test_real_distances_are_bold_and_noise_is_not(pairs):
    sheet = make_shift_sheet(pairs)
    assert {line for line, _ in sheet.bold} == {0} and (0, 2) in sheet.bold
    assert sheet.header == ["data", "n", "Frechet", "MMD²", "Sinkhorn", "classifier AUROC"]
    assert sheet.lines[1][1] == "40, 40" and "[0.5]" in sheet.lines[1][5]


def test_files(pairs, tmp_path):
    paths = write_shift_table(pairs, tmp_path / "tables" / "shift")
    assert [path.name for path in paths] == ["shift.csv", "shift.md", "shift.tex"]
    with open(paths[0]) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and float(rows[0]["value"]) == pytest.approx(pairs["FIRST, NVSS"][0]["value"])
    assert rows[3]["noise_high"] == ""


def test_refusals(pairs):
    with pytest.raises(ResultsError, match="got none"):
        make_shift_sheet({})
    with pytest.raises(ResultsError, match="noise_mean"):
        make_shift_sheet({"a": [{k: v for k, v in pairs["two halves"][0].items() if k != "noise_mean"}]})
