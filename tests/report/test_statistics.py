"""Comparison, interval and scaling tables from stored predictions."""

import csv

import numpy as np
import pandas as pd
import pytest
from fake_results import N_DRAWS, SMALL, make_results

from equirgz.errors import InputError
from equirgz.metrics.calibration.ece import expected_calibration_error
from equirgz.metrics.compare.bootstrap import bootstrap_interval
from equirgz.metrics.compare.crossed import crossed_test
from equirgz.report import load_results, write_tables
from equirgz.report.rows.pairing import check_reference, find_baseline, find_references
from equirgz.report.rows.parts import make_parts
from equirgz.report.rows.predictions import find_predictions
from equirgz.report.rows.results import open_results
from equirgz.report.tables.comparison import make_comparison
from equirgz.report.tables.intervals import make_intervals
from equirgz.report.tables.power_laws import fit_part, make_scaling_table
from equirgz.report.tables.sheet import Sheet, sheet_to_latex, sheet_to_text


@pytest.fixture
def results(made):
    return open_results(made)


@pytest.fixture
def part(results):
    return make_parts(results.rows)[0]


def cell_of(results, group, n_labels=729, augmentation="rotation_flips"):
    part = make_parts(results.rows)[0]
    return find_predictions(results, part)[("steerable_lenet", group), n_labels, augmentation]


def test_pooled_predictions_give_the_errors_of_the_rows(results, part):
    rows = part.of("error/rate").query("group == 'D4' and n_labels == 50 and augmentation == 'none'")
    cell = cell_of(results, "D4", 50, "none")
    assert cell.probability_RSK.shape == (3, 104, 2) and [seed for seed, _ in cell.pairs] == [0, 1, 2]
    assert cell.loss_RS.mean(1) == pytest.approx(rows.sort_values("seed")["value"].to_numpy())


def test_differences_are_those_of_the_crossed_test(results, part):
    lines, sheet = make_comparison(results, part)
    found = {}
    for line in lines[1:]:
        row = dict(zip(lines[0], line, strict=True))
        found[row["group"], row["n_labels"], row["augmentation"]] = row
    one, other = cell_of(results, "D8"), cell_of(results, "C1")
    expected = crossed_test(one.loss_RS - other.loss_RS)
    row = found["D8", "729", "rotation_flips"]
    assert float(row["difference"]) == pytest.approx(expected.mean, rel=1e-5)
    assert float(row["p"]) == pytest.approx(expected.p_value, rel=1e-4) and float(row["p_holm"]) >= float(row["p"])
    assert row["reference"] == "steerable_lenet C1" and (row["n_seeds"], row["n_sources"]) == ("3", "104")
    assert float(row["disagreement"]) == pytest.approx(100 * (one.loss_RS != other.loss_RS).mean(), rel=1e-5)
    assert ("D8", "50", "none") not in found, "a missing cell has no difference"
    assert [line[1] for line in sheet.lines] == ["C4", "D4", "D8"]
    assert "80 % power" in " ".join(sheet.caption)


def test_the_mean_of_all_columns_is_taken_source_by_source(results, part):
    lines, sheet = make_comparison(results, part)
    signed = [
        cell_of(results, "D4", n, a).loss_RS - cell_of(results, "C1", n, a).loss_RS
        for n in (50, 729)
        for a in ("none", "rotation_flips")
    ]
    expected = crossed_test(np.mean(signed, axis=0))
    line = next(line for line in lines if line[1] == "D4" and line[3] == "mean of all")
    assert [float(x) for x in line[5:8]] == pytest.approx(
        [expected.mean, expected.half_width, expected.p_value], rel=1e-4
    )
    assert sheet.header[-1] == "mean of all" and sheet.upper[-1] == ""


def test_a_clear_difference_is_bold(tmp_path):
    folder = make_results(tmp_path / "r", **{**SMALL, "n_sources": 300})
    frame = pd.read_csv(folder / "predictions.csv.gz", dtype=str)
    rows = pd.read_csv(folder / "rows.csv", dtype=str)
    plain = set(rows.loc[rows["group"] == "C1", "run_key"])
    flip = frame["run_key"].isin(plain) & (frame["source_id"].str[1:].astype(int) % 3 == 0)
    frame.loc[flip, ["p0", "p1"]] = frame.loc[flip, ["p1", "p0"]].to_numpy()
    frame.to_csv(folder / "predictions.csv.gz", index=False)
    results = open_results(folder)
    _, sheet = make_comparison(results, make_parts(results.rows)[0])
    assert sheet.bold == {(0, 3)} and sheet.lines[0][3].startswith("−")


def test_references():
    names = [("lenet", "C1"), ("steerable", "C1"), ("steerable", "D4"), ("other", "C4")]
    base = ("lenet", "C1")
    assert find_references(("steerable", "D4"), names, base) == [("steerable", "C1")]
    assert find_references(("steerable", "C1"), names, base) == [("lenet", "C1")]
    assert find_references(("other", "C4"), names, base) == [("lenet", "C1")], "no twin: the baseline row"
    assert find_references(("lenet", "C1"), names, base) == []
    assert find_references(("a", "D4"), [("a", "C4"), ("a", "D4")], ("a", "C4")) == [("a", "C4")]


def test_a_steerable_network_meets_its_plain_kin():
    names = [("lenet", "C1"), ("resnet18", "C1"), ("steerable_resnet18", "D4"), ("steerable_attention", "D4"),
             ("cnn", "C1"), ("cnn", "D4")]  # fmt: skip
    assert find_references(names[2], names, names[0]) == [names[1]]
    assert find_references(names[3], names, names[0]) == [names[0]]


def test_a_row_meets_a_reference_on_each_axis():
    methods = [("supervised", "supervised"), ("supervised", "byol"), ("sidda", "sidda")]
    names = [("cnn", group, *method) for group in ("C1", "D4") for method in methods]
    base = ("cnn", "C1", "supervised", "supervised")
    found = find_references(("cnn", "D4", "sidda", "sidda"), names, base)
    assert found == [("cnn", "C1", "sidda", "sidda"), ("cnn", "D4", "supervised", "supervised")]
    found = find_references(("cnn", "C1", "supervised", "byol"), names, base)
    assert found == [("cnn", "C1", "supervised", "supervised")]
    assert find_references(("cnn", "D4", "supervised", "supervised"), names, base) == [base]


def test_the_baseline_is_planned_first_or_named(tmp_path):
    folder = make_results(tmp_path / "r", **SMALL)
    results = open_results(folder)
    part = make_parts(results.rows)[0]
    rows, axes = part.of("error/rate"), part.axes
    assert find_baseline(results, rows, axes) == ("steerable_lenet", "C1")
    results.plan["document"] = {"report": {"reference": {"group": "D4"}}}
    assert find_baseline(results, rows, axes) == ("steerable_lenet", "D4")
    for wrong in ("D4", {"group": ["C1", "D4"]}):
        with pytest.raises(InputError, match="report.reference"):
            check_reference({"reference": wrong})


def test_intervals_are_those_of_the_bootstrap(results, part):
    lines, sheet = make_intervals(results, part)
    cell = cell_of(results, "C1")
    arrays = cell.probability_RSK.swapaxes(0, 1), cell.target_S

    def mean(p_SRK, y_S):
        return np.mean([expected_calibration_error(p, y_S) for p in p_SRK.swapaxes(0, 1)])

    expected = bootstrap_interval(mean, *arrays, n_draws=N_DRAWS, method="basic")
    row = next(line for line in lines if line[1] == "C1" and line[3:5] == ["rotation_flips", "calibration/ece"])
    assert [float(x) for x in row[5:8]] == pytest.approx(
        [expected.value, max(0, expected.low), expected.high], rel=1e-4
    )
    assert len(sheet.lines) == 7, "four groups, two augmentations, one failed cell"


def test_power_laws_are_fitted_or_refused_with_a_reason(tmp_path):
    folder = make_results(tmp_path / "r", **{**SMALL, "labels": (50, 145, 400, 729), "n_sources": 300})
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    error = rows["metric"] == "error/rate"
    noise = np.random.default_rng(0).normal(0, 0.05, len(rows))
    law = 80 * rows["n_labels"].astype(float) ** -0.5 * np.exp(noise)
    flat = pd.Series(10 * np.exp(noise))
    rows["value"] = rows["value"].mask(error & (rows["group"] == "D4"), law.astype(str))
    rows["value"] = rows["value"].mask(error & (rows["group"] == "C1"), flat.astype(str))
    rows.to_csv(folder / "rows.csv", index=False)
    part = make_parts(load_results(folder))[0]
    fits = {name[1]: fit for (name, _), fit in fit_part(part).items()}
    assert fits["D4"].exponent == pytest.approx(0.5, abs=0.06) and "falls with size" in fits["C1"]
    lines, sheet = make_scaling_table(part)
    assert lines[0][-1] == "refused" and "falls with size" in lines[1][-1] and lines[2][-1] == ""
    assert "tables" in str(next(p for p in write_tables(folder) if p.name.startswith("scaling_")))


def test_no_power_law_below_four_counts(part):
    assert make_scaling_table(part) is None


def test_tables_without_predictions(folder):
    (folder / "predictions.csv.gz").unlink()
    names = {path.name for path in write_tables(folder)}
    assert "error_rate_test_network.md" in names and not any(n.startswith(("comparison", "intervals")) for n in names)


def test_files_and_what_is_left_from_before(folder):
    (folder / "tables" / "more").mkdir(parents=True)
    stale = [folder / "tables" / "error_gone_test_network.md", folder / "tables" / "more" / "error_old.csv"]
    foreign = folder / "tables" / "shift_first_nvss.md"
    for path in (*stale, foreign):
        path.touch()
    names = {path.name for path in write_tables(folder)}
    assert {
        "comparison_test_network.csv",
        "comparison_test_network.tex",
        "intervals_test_network.md",
    } <= names
    assert not any(path.exists() for path in stale) and foreign.exists()
    with open(folder / "tables" / "comparison_test_network.csv") as file:
        assert len(list(csv.DictReader(file))) == 10 + 3, "and the mean of each row"


def test_sheets_of_any_content():
    sheet = Sheet(
        "T", 1, ["a", "b", "c"], ["", "x", "x"], [["r_1", "1", "2"], ["s", "3", "4"]], ["T", "note"], {(1, 2)}
    )
    latex, text = sheet_to_latex(sheet), sheet_to_text(sheet)
    assert "\\multicolumn{2}{c}{x}" in latex and "r\\_1 & 1 & 2" in latex and "\\textbf{4}" in latex
    assert text.splitlines()[0] == "T" and "*4" in text and "note." in text
