"""Tables and figures that a grid has only where its YAML asks for them, on the golden rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import N_DRAWS
from scipy.stats import binomtest

from equirgz.errors import InputError
from equirgz.grid.plan.grid import make_grid
from equirgz.metrics.calibration.smooth import smooth_calibration_error
from equirgz.metrics.compare.source_tests import required_sources
from equirgz.records import read_json, write_json_atomic
from equirgz.report import format_table, write_tables
from equirgz.report.figures.selective import plot_selective
from equirgz.report.figures.style import figure_style
from equirgz.report.figures.write_figures import make_figures
from equirgz.report.rows.parts import make_parts
from equirgz.report.rows.results import open_results
from equirgz.report.tables.extras import EXTRAS, check_extras, make_extras

FROZEN = Path(__file__).parents[1] / "golden" / "frozen"


@pytest.fixture
def folder(tmp_path):
    """The golden results without their tables, asking for every extra."""
    folder = tmp_path / "golden"
    shutil.copytree(FROZEN, folder, ignore=shutil.ignore_patterns("tables"))
    ask(folder, list(EXTRAS))
    return folder


def ask(folder, extras):
    plan = read_json(folder / "grid.json")
    plan["document"]["report"] = {"extras": extras}
    write_json_atomic(folder / "grid.json", plan)


def network_part(results):
    return next(part for part in make_parts(results.rows) if part.readout == "network")


@pytest.fixture(scope="module")
def extras(tmp_path_factory):
    """Name -> (lines of the csv as mappings, the printed table) of the read-out "network"."""
    folder = tmp_path_factory.mktemp("golden") / "golden"
    shutil.copytree(FROZEN, folder, ignore=shutil.ignore_patterns("tables"))
    ask(folder, list(EXTRAS))
    results = open_results(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equirgz.report.tables.intervals.N_DRAWS", N_DRAWS)
        made = make_extras(results, network_part(results))
    return {
        name: ([dict(zip(lines[0], line, strict=True)) for line in lines[1:]], sheet)
        for name, (lines, sheet) in made.items()
    }


@pytest.fixture(scope="module")
def answers():
    """(group, augmentation) -> (probability_RSK, target_S), read from the file without the code under test."""
    rows = pd.read_csv(FROZEN / "predictions.csv.gz")
    rows = rows[(rows.readout == "network") & (rows.split == "test")]
    found = {}
    for place, block in rows.groupby(["group", "augmentation"]):
        runs = [run[["p0", "p1"]].to_numpy() for _, run in block.groupby("seed")]
        target_S = block[block.seed == block.seed.min()].target.to_numpy()
        p_RSK = np.stack(runs)
        found[place] = p_RSK / p_RSK.sum(2, keepdims=True), target_S
    return found


def test_extras_come_beside_the_golden_tables_and_go_when_no_longer_asked_for(folder):
    """Interval tables are drawn fewer times here, so that only their names are compared."""
    frozen = {path.relative_to(FROZEN): path.read_bytes() for path in (FROZEN / "tables").rglob("*.*")}
    write_tables(folder)
    written = {path.relative_to(folder): path.read_bytes() for path in (folder / "tables").rglob("*.*")}
    extra = {path.name for path in set(written) - set(frozen)}
    assert extra == {
        f"{name}_test_{readout}.{suffix}"
        for name in EXTRAS
        for readout in ("network", "linear_probe")
        for suffix in ("csv", "md", "tex")
    }
    assert set(frozen) <= set(written)
    assert not [path for path in frozen if written[path] != frozen[path] and "intervals" not in path.name]
    ask(folder, ["mcnemar"])
    write_tables(folder)
    left = {path.name.split("_test_")[0] for path in (folder / "tables").rglob("*.*")}
    assert "mcnemar" in left and not left & {"risk_coverage", "brier_parts"}


def test_mcnemar_counts_sources_of_the_mean_prediction(extras, answers):
    lines, sheet = extras["mcnemar"]
    assert [(line["group"], line["augmentation"]) for line in lines] == [
        ("D4", "none"),
        ("D4", "rotation_flips"),
    ]
    for line in lines:
        wrong = []
        for group in ("D4", "C1"):
            p_RSK, target_S = answers[group, line["augmentation"]]
            wrong.append(p_RSK.mean(0).argmax(1) != target_S)
        b, c = int((wrong[0] & ~wrong[1]).sum()), int((wrong[1] & ~wrong[0]).sum())
        assert (int(line["only_row_wrong"]), int(line["only_reference_wrong"])) == (b, c) and b + c > 0
        assert float(line["p"]) == pytest.approx(binomtest(b, b + c).pvalue, rel=1e-5)
        assert float(line["difference"]) == pytest.approx(100 * (b - c) / 40, abs=1e-4)
        assert (line["n_seeds"], line["n_sources"]) == ("2", "40")
    p = [float(line["p"]) for line in lines]
    adjusted = max(float(line["p_holm"]) for line in lines)
    assert adjusted == pytest.approx(max(min(1, 2 * min(p)), max(p)), rel=1e-5)
    counts = [f"{line['only_row_wrong']} : {line['only_reference_wrong']} (" for line in lines]
    assert [cell.startswith(count) for cell, count in zip(sheet.lines[0][3:], counts, strict=True)] == [
        True,
        True,
    ]
    assert sheet.full_header[2:] == ["against", "40 labels, none", "40 labels, rotation_flips"]


def test_needed_sources_are_those_of_mcnemar_at_the_measured_disagreement(extras):
    (lines, sheet), tests = extras["needed_sources"], extras["mcnemar"][0]
    for line, test, shown in zip(lines, tests, sheet.lines, strict=True):
        b, c = int(test["only_row_wrong"]), int(test["only_reference_wrong"])
        disagreement = 100 * (b + c) / 40
        assert float(line["disagreement (%)"]) == pytest.approx(disagreement, abs=0.05)
        assert int(line["for 5 %"]) == required_sources(5.0, max(5.0, disagreement))
        expected = required_sources(100 * abs(b - c) / 40, disagreement) if b != c else ""
        assert line["for the measured"] == str(expected) and shown[-1] == str(expected or "–")


def test_smooth_calibration_is_the_mean_over_seeds_beside_what_a_perfect_network_shows(extras, answers):
    found = {(line["group"], line["augmentation"], line["metric"]): line for line in extras["smooth_calibration"][0]}
    assert len(found) == 4 * 5
    for (group, augmentation), (p_RSK, target_S) in answers.items():
        line = found[group, augmentation, "calibration/ece_smooth"]
        value = np.mean([smooth_calibration_error(p_SK, target_S) for p_SK in p_RSK])
        assert float(line["value"]) == pytest.approx(value, rel=1e-5)
        assert 0 <= float(line["low_95"]) < float(line["high_95"])
        assert found[group, augmentation, "calibration/ece_smooth_perfect"]["low_95"] == ""


def test_an_extra_is_printed_without_having_been_asked_for(folder, monkeypatch):
    monkeypatch.setattr("equirgz.report.tables.intervals.N_DRAWS", N_DRAWS)
    asked = format_table(folder, "smooth_calibration")
    ask(folder, [])
    assert format_table(folder, "smooth_calibration") == asked and "smooth ECE" in asked


def test_brier_parts_are_those_of_brute_force(extras, answers):
    found = {(line["group"], line["augmentation"], line["metric"].rpartition("/")[2]): line
             for line in extras["brier_parts"][0]}  # fmt: skip
    assert len(found) == 4 * 4
    for (group, augmentation), (p_RSK, target_S) in answers.items():
        share = target_S.mean()
        uncertainty = found[group, augmentation, "brier_uncertainty"]
        assert float(uncertainty["value"]) == pytest.approx(2 * share * (1 - share), rel=1e-5)
        assert uncertainty["low_95"] == "", "the labels alone decide it"
        expected = np.mean([_reliability(p_SK[:, k], target_S == k) for p_SK in p_RSK for k in (0, 1)]) * 2
        reliability = found[group, augmentation, "brier_reliability"]
        assert float(reliability["value"]) == pytest.approx(expected, rel=1e-4)
        assert 0 <= float(reliability["low_95"]) <= float(reliability["high_95"])
        brier = np.mean(((p_RSK - np.eye(2)[target_S]) ** 2).sum(2))
        assert float(found[group, augmentation, "brier"]["value"]) == pytest.approx(brier, rel=1e-4)


def _reliability(p_S, o_S):
    bin_S = np.minimum((p_S * 10).astype(int), 9)
    return sum((bin_S == m).mean() * (p_S[bin_S == m].mean() - o_S[bin_S == m].mean()) ** 2 for m in set(bin_S))


def _risk(p_SK, target_S):
    """Error of the k surest sources, k = 1 ..., in the order of a stable sort."""
    order = np.argsort(-p_SK.max(1), kind="stable")
    return np.array([(p_SK.argmax(1) != target_S)[order[:k]].mean() for k in range(1, len(order) + 1)])


def test_risk_coverage_table_and_figure_show_the_error_of_the_surest(folder, extras, answers):
    found = {(line["group"], line["augmentation"], line["metric"]): float(line["value"])
             for line in extras["risk_coverage"][0]}  # fmt: skip
    for (group, augmentation), (p_RSK, target_S) in answers.items():
        risk_RS = np.array([_risk(p_SK, target_S) for p_SK in p_RSK])
        assert found[group, augmentation, "selective/aurc"] == pytest.approx(risk_RS.mean(), abs=1e-3)
        at_80 = 100 * risk_RS[:, 31].mean()
        assert found[group, augmentation, "selective/error_at_80"] == pytest.approx(at_80, abs=0.1)
    results = open_results(folder)
    with figure_style():
        panels = plot_selective(results, network_part(results)).axes
    assert [panel.get_title() for panel in panels] == [
        "40 labels, none (n = 40)",
        "40 labels, rotation_flips (n = 40)",
    ]
    for panel, augmentation in zip(panels, ("none", "rotation_flips"), strict=True):
        for line, group in zip(panel.lines, ("C1", "D4"), strict=True):
            p_RSK, target_S = answers[group, augmentation]
            assert line.get_label() == group
            assert line.get_ydata()[-1] == pytest.approx(100 * (p_RSK.argmax(2) != target_S).mean())


def test_the_figure_is_there_only_where_it_is_asked_for(folder):
    for extras, expected in ((list(EXTRAS), {"risk_coverage", "risk_coverage_linear_probe"}), ([], set())):
        ask(folder, extras)
        with figure_style():
            names = {name for name, _ in make_figures(open_results(folder))}
        assert {name for name in names if "risk" in name} == expected and "reliability" in names


def test_a_series_that_one_augmentation_lacks_has_no_line_there(folder):
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    rows = rows[~((rows.group == "D4") & (rows.augmentation == "none"))]
    rows.to_csv(folder / "rows.csv", index=False)
    results = open_results(folder)
    with figure_style():
        panels = plot_selective(results, network_part(results)).axes
    assert [[line.get_label() for line in panel.lines] for panel in panels] == [["C1"], ["C1", "D4"]]


def test_without_predictions_there_are_none(folder):
    (folder / "predictions.csv.gz").unlink()
    results = open_results(folder)
    made = make_extras(results, network_part(results))
    assert list(made) == list(EXTRAS) and not any(made.values())
    assert plot_selective(results, network_part(results)) is None


@pytest.mark.parametrize("extras", [["mcnemer"], "mcnemar", {"mcnemar": True}])
def test_extras_are_checked_when_a_grid_is_planned(extras):
    with pytest.raises(InputError, match=r"tiny.yaml: key 'report.extras'"):
        make_grid({"name": "tiny", "report": {"extras": extras}}, source="tiny.yaml")
    assert check_extras({"extras": ["mcnemar", "mcnemar"]}) == ("mcnemar",) and check_extras({}) == ()
