"""Which row of a column is best, and from which rows a paired test over the table tells it."""

import math

import numpy as np
import pytest
from fake_results import SMALL, cells_of, make_results, set_values
from scipy import stats

from equirgz.metrics.compare.crossed import crossed_test
from equirgz.report import format_table
from equirgz.report.rows.parts import make_parts
from equirgz.report.rows.predictions import RunPredictions, _cut_alike, find_predictions
from equirgz.report.rows.results import open_results
from equirgz.report.tables.all_tables import find_table, make_tables
from equirgz.report.tables.cells import TableCell, _find_best, _paired_p
from equirgz.report.tables.comparison import make_comparison
from equirgz.report.tables.formats import make_sheet
from equirgz.report.tables.sheet import sheet_to_markdown
from equirgz.tasks.classification import CLASSES


def test_best_is_marked_only_where_paired_seeds_tell(tmp_path):
    folder = make_results(tmp_path / "r", seeds=(0, 1, 2, 3, 4), **SMALL)
    spread = [0.0, 6.0, -5.0, 3.0, 1.0]
    close = {("C1", s): 10 + spread[s] for s in range(5)} | {("D4", s): 9 + spread[s] + 0.1 * s for s in range(5)}
    set_values(folder, close)  # nearly the same difference in every seed, hidden in a large common spread
    cells = cells_of(folder)
    expected = stats.ttest_rel([close["D4", s] for s in range(5)], [close["C1", s] for s in range(5)]).pvalue
    assert float(cells["C1", "50", "none"]["p_against_best_holm"]) == pytest.approx(expected)
    assert cells["D4", "50", "none"]["is_marked"] == "1"
    assert "*10.2 ±" in format_table(folder) and "D4 (from C1)" in format_table(folder)
    noise = [3.0, -4.0, 1.0, 5.0, -2.0]
    set_values(folder, {("C1", s): 10 + spread[s] for s in range(5)} | {("D4", s): 9 + noise[s] for s in range(5)})
    cells = cells_of(folder)
    assert cells["D4", "50", "none"]["is_best"] == "1" and cells["D4", "50", "none"]["is_marked"] == "0"
    assert "D4 (not told apart)" in format_table(folder) and "**" not in sheet_to_markdown(
        make_sheet(find_table(open_results(folder)))
    )


def test_errors_are_told_apart_for_other_test_sources_too(tmp_path):
    folder = make_results(tmp_path / "r", groups=("C1", "D4"), labels=(729,), augmentations=("none",))
    results = open_results(folder)
    pooled = find_predictions(results, make_parts(results.rows)[0])
    plain, steerable = (pooled[("steerable_lenet", group), 729.0, "none"] for group in ("C1", "D4"))
    p = crossed_test(steerable.loss_RS - plain.loss_RS).p_value
    cells = cells_of(folder)
    told = [float(c["p_against_best_holm"]) for c in cells.values() if c["p_against_best_holm"]]
    assert told == [pytest.approx(p)]
    assert "paired tests over seeds and test sources tell" in format_table(folder)
    (folder / "predictions.csv.gz").unlink()
    assert "paired tests over seeds tell" in format_table(folder)


def test_one_seed_is_not_tested_and_the_tables_of_differences_say_of_what_they_speak(tmp_path):
    """A table that says "not told apart" beside one that says p < 0.001 is read as a contradiction."""
    for seeds, words, scope in (
        ((0,), "not tested", "other test sources alone"),
        ((0, 1), "not told", "other seeds and"),
    ):
        folder = make_results(tmp_path / str(len(seeds)), groups=("C1", "D4"), labels=(729,), seeds=seeds)
        results = open_results(folder)
        table = sheet_to_markdown(make_sheet(find_table(results)))
        assert f"({words}" in table and ("Not tested: one seed on the same sources" in table) == (len(seeds) == 1)
        assert f"interval for {scope}" in sheet_to_markdown(make_comparison(results, make_parts(results.rows)[0])[1])


def test_runs_are_cut_to_the_sources_that_all_of_them_have_a_loss_of():
    """An empty mask of an empty truth has none, so that each network had sources of its own and one seed was left."""
    names = ("a", "b", "c", "d")

    def answer(known: str, asked: tuple[str, ...] = names) -> RunPredictions:
        return RunPredictions(list(known), {"sums": np.array([float(ord(source)) for source in known])}, asked)

    runs = {"one": answer("abc"), "two": answer("bcd"), "elsewhere": answer("xy", ("x", "y", "z"))}
    found = dict(_cut_alike(runs, CLASSES))
    assert found["one"].source_ids == found["two"].source_ids == ["b", "c"]
    assert found["one"].kept["sums"].tolist() == found["two"].kept["sums"].tolist() == [98.0, 99.0]
    assert found["elsewhere"] is runs["elsewhere"]


def test_differences_without_spread_mark_nothing(tmp_path):
    folder = make_results(tmp_path / "r", **SMALL)
    set_values(folder, {(g, s): 10.0 + (g == "C1") for g in ("C1", "D4") for s in range(3)})
    assert cells_of(folder)["D4", "50", "none"]["is_marked"] == "0"


def test_holm_counts_every_comparison_of_the_table(folder):
    one = find_table(open_results(folder))
    adjusted = [cell.p_best for cell in one.cells.values() if not math.isnan(cell.p_best)]
    assert len(adjusted) == sum(best.n_others for best in one.best.values()) == 10
    assert all(p <= 1 for p in adjusted)


def test_direction_decides_what_is_best(folder):
    tables = {t.key.metric: t for t in make_tables(open_results(folder))}
    assert tables["calibration/ece_perfect"].best == {}, "context has no best"
    error = tables["error/rate"]
    for j, best in error.best.items():
        means = [c.mean for (_, k), c in error.cells.items() if k == j and c.status == "done"]
        assert error.cells[best.row, j].mean == min(means)


def test_rows_that_are_all_alike_are_seldom_told_apart():
    """The best is chosen from the numbers that are tested; Holm over the others alone marked 13 % of such tables."""
    n_rows, n_seeds, marked = 12, 5, 0
    for draw in range(150):
        error = np.random.default_rng(draw).normal(10, 1, (n_rows, n_seeds))
        runs = {(i, 0): [{"seed": s, "split_seed": s, "value": error[i, s]} for s in range(n_seeds)]
                for i in range(n_rows)}  # fmt: skip
        cells = {(i, 0): TableCell("done", float(error[i].mean()), n_seeds=n_seeds) for i in range(n_rows)}
        best = _find_best(runs, _paired_p, cells, n_rows, 1, "lower")[0]
        assert best.row == error.mean(1).argmin() and math.isnan(cells[best.row, 0].p_best)
        marked += bool(best.beats)
    assert marked <= 0.08 * 150
