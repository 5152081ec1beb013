"""Tables against rows: the numbers, what is missing, what is marked, what is refused."""

import json
import random

import pandas as pd
import pytest
from fake_results import SMALL, cells_of, make_results
from scipy import stats

from equirgz.errors import ResultsError
from equirgz.report import format_table, load_results, write_tables
from equirgz.report.rows.results import open_results
from equirgz.report.rows.table_axes import ALL_LABELS
from equirgz.report.tables.all_tables import find_table
from equirgz.report.tables.formats import make_sheet
from equirgz.report.tables.sheet import escape_latex, sheet_to_latex, sheet_to_markdown
from tests.without_torch import run_without_torch


def test_cells_are_mean_and_student_interval_over_seeds(folder):
    rows = load_results(folder)
    cells = cells_of(folder)
    assert len(cells) == 16
    for (group, n_labels, augmentation), cell in cells.items():
        chosen = rows[
            (rows["metric"] == "error/rate")
            & (rows["group"] == group)
            & (rows["n_labels"] == int(n_labels))
            & (rows["augmentation"] == augmentation)
        ]["value"]
        if cell["status"] != "done":
            assert chosen.empty
            continue
        assert float(cell["mean"]) == pytest.approx(chosen.mean())
        low, high = stats.t.interval(0.95, 2, loc=chosen.mean(), scale=stats.sem(chosen))
        assert float(cell["half_width_95"]) == pytest.approx((high - low) / 2, rel=1e-6)
        assert (cell["n_seeds"], cell["n_sources"]) == ("3", "104")


def test_missing_and_failed_cells_are_shown(folder):
    cells = cells_of(folder)
    assert cells["D8", "50", "none"]["status"] == "missing"
    assert cells["C4", "729", "none"]["status"] == "failed"
    assert cells["D8", "50", "none"]["n_planned"] == "3"
    text = format_table(folder)
    assert "failed" in text and "–: not run" in text
    lines = {line.split()[0]: line for line in text.splitlines() if line[:2] in ("C4", "D8")}
    assert "–" in lines["D8"] and "failed" in lines["C4"]


def test_cells_of_fewer_seeds_say_so(folder):
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    drop = (
        (rows["group"] == "D4") & (rows["n_labels"] == "50") & (rows["augmentation"] == "none") & (rows["seed"] == "2")
    )
    rows[~drop].to_csv(folder / "rows.csv", index=False)
    assert "(n=2/3)" in format_table(folder)


def test_ece_cells_show_what_a_perfect_model_would(folder):
    text = format_table(folder, "calibration/ece")
    perfect = (
        load_results(folder)
        .query("metric == 'calibration/ece_perfect' and group == 'C1' and n_labels == 50 and augmentation == 'none'")[
            "value"
        ]
        .mean()
    )
    assert f"[{perfect:.3f}]" in text and "perfectly calibrated model would show" in text
    assert "[" not in "".join(line for line in format_table(folder).splitlines() if line.startswith("C1"))


def test_costs_and_reported_columns(tmp_path):
    reported = [
        {"value": "4.2 ± 0.5", "source": "arXiv 2102.08252", "group": "D4", "n_labels": 50},
        {"value": "9", "metric": "calibration/ece"},
    ]
    folder = make_results(tmp_path / "r", report={"reported": reported}, **SMALL)
    text = format_table(folder)
    line = next(line for line in text.splitlines() if line.startswith("D4"))
    assert "4.2 ± 0.5 (50 labels, arXiv 2102.08252)" in line and "25.8k" in line and "27.2M" in line
    assert "4.2" not in next(line for line in text.splitlines() if line.startswith("C1"))
    steps = find_table(open_results(folder)).costs["step (ms)"]  # 20 s and more by seed, of 500 steps
    seconds = pd.read_csv(folder / "timings.csv").value
    assert "step (ms)" in text and steps == pytest.approx([2 * seconds.mean()] * len(steps))
    assert "arXiv" not in format_table(folder, "nll/mean") and "reported" not in format_table(folder, "nll/mean")


def test_other_axes_name_rows(tmp_path):
    folder = make_results(tmp_path / "r", extra={"width": (0.5, 2)}, **SMALL)
    table = find_table(open_results(folder))
    assert list(table.labels.columns) == ["backbone", "group", "width"] and len(table.labels) == 4
    assert "width" in sheet_to_markdown(make_sheet(table)).splitlines()[0]


def test_axes_that_do_not_vary_name_nothing(tmp_path):
    folder = make_results(tmp_path / "r", extra={"width": (2,)}, **SMALL)
    assert list(find_table(open_results(folder)).labels.columns) == ["backbone", "group"]


def test_all_labels_and_natural_order(tmp_path):
    folder = make_results(tmp_path / "r", **{**SMALL, "groups": ("D8", "C16", "C2", "C10"), "labels": (100, 9)})
    table = find_table(open_results(folder))
    assert table.labels["group"].tolist() == ["C2", "C10", "C16", "D8"]
    assert [n for n, _ in table.columns] == [9, 100]
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    rows["n_labels"] = rows["n_labels"].replace("100", "")
    rows.to_csv(folder / "rows.csv", index=False)
    (folder / "grid.json").unlink()
    assert [n for n, _ in find_table(open_results(folder)).columns] == [9, ALL_LABELS]
    assert "all labels" in format_table(folder)


def test_undefined_values_are_named_and_not_averaged_away(folder):
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    place = rows.index[(rows["metric"] == "nll/mean") & (rows["group"] == "C1")][0]
    rows.loc[place, "value"] = ""
    rows.to_csv(folder / "rows.csv", index=False)
    assert "n/d" in format_table(folder, "nll/mean") and "infinite or not defined" in format_table(folder, "nll/mean")


@pytest.mark.parametrize(
    "column, other, words", [("version", "0.2", "one version"), ("data_checksum", "zzz", "one data set")]
)
def test_versions_and_data_are_never_mixed(folder, column, other, words):
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    rows.loc[rows["seed"] == "1", column] = other
    rows.to_csv(folder / "rows.csv", index=False)
    with pytest.raises(ResultsError, match=words):
        write_tables(folder)
    assert not (folder / "tables").exists()


def test_two_values_of_one_run_are_refused(folder):
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    pd.concat([rows, rows[rows["metric"] == "error/rate"]]).to_csv(folder / "rows.csv", index=False)
    with pytest.raises(ResultsError, match="one value per run"):
        write_tables(folder)


def test_tables_separate_data_angles_and_details(tmp_path):
    folder = make_results(tmp_path / "r", **{**SMALL, "data": ("mirabest_confident", "synthetic_fr")})
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    layer = rows[rows["metric"] == "equivariance/relative_l2"].assign(layer="2")
    pd.concat([rows.assign(layer=""), layer]).to_csv(folder / "rows.csv", index=False)
    names = {path.stem for path in write_tables(folder)}
    assert {
        "error_rate_test_network_synthetic_fr",
        "equivariance_relative_l2_test_network_synthetic_fr",
        "equivariance_relative_l2_test_network_synthetic_fr_layer_2",
    } <= names
    assert "rotation_error_test_network_synthetic_fr" in names, "24 angles become their mean"
    means = pd.read_csv(folder / "tables" / "rotation_error_test_network_synthetic_fr.csv")
    raw = load_results(folder).query("metric == 'rotation/error' and data == 'synthetic_fr' and group == 'C1'")
    assert means.query("group == 'C1'")["mean"].iloc[0] == pytest.approx(raw["value"].mean())


def test_a_few_angles_name_rows_and_have_no_rival_angles(folder):
    table = find_table(open_results(folder), metric="equivariance/relative_l2")
    assert list(table.labels.columns) == ["backbone", "group", "angle_deg"]
    assert table.labels["angle_deg"].tolist() == [15, 30, 45, 90] * 4 and not table.best
    row = table.labels.query("group == 'D8' and angle_deg == 90").index[0]
    statuses = dict(zip(table.columns, (table.cells[row, j].status for j in range(4)), strict=True))
    assert statuses[50.0, "none"] == "missing" and statuses[729.0, "none"] == "done"
    assert "25.1k" in sheet_to_markdown(make_sheet(table)).splitlines()[2], "costs know nothing of angles"


def test_planned_runs_are_placed_by_what_finished_runs_say(folder):
    """n_labels None stands for the 729 that finished runs had; a label of another axis for its group."""
    plan = json.loads((folder / "grid.json").read_text())
    for run in plan["runs"]:
        labels = run["labels"]
        labels["n_labels"] = None if labels["n_labels"] == 729 else labels["n_labels"]
        labels["model"] = f"model {labels.pop('group')}"
    (folder / "grid.json").write_text(json.dumps(plan))
    cells = cells_of(folder)
    assert len(cells) == 16 and cells["C4", "729", "none"]["status"] == "failed"
    assert cells["D8", "50", "none"]["n_planned"] == "3"


def test_headlines_lie_before_the_rest(folder):
    places = {path.stem: path.parent.name for path in write_tables(folder)}
    assert places["error_rate_test_network"] == "tables" and places["calibration_mce_test_network"] == "more"


def test_bytes_depend_on_rows_alone_and_not_on_their_order(folder, tmp_path):
    first = {path.name: path.read_bytes() for path in write_tables(folder)}
    lines = (folder / "rows.csv").read_text().splitlines()
    body = lines[1:]
    random.Random(0).shuffle(body)
    (folder / "rows.csv").write_text("\n".join([lines[0], *body, ""]))
    assert {path.name: path.read_bytes() for path in write_tables(folder)} == first


def test_latex_is_balanced_and_escaped(folder):
    text = sheet_to_latex(make_sheet(find_table(open_results(folder))))
    assert text.count("{") == text.count("}") and "rotation\\_flips" in text and "±" not in text
    rows = [line for line in text.splitlines() if line.startswith(("C1", "D4"))]
    assert "On every line: backbone steerable" in text and rows
    assert {line.count("&") for line in rows} == {len(text.split("begin{tabular}{")[1].split("}")[0]) - 1}
    assert escape_latex("50 % of a_b & $c") == r"50 \% of a\_b \& \$c"


def test_captions_say_how_and_with_what(folder):
    text = sheet_to_markdown(make_sheet(find_table(open_results(folder))))
    for words in ("n = 104 sources", "over 3 seeds", "Holm", "the last step", "equirgz 0.1", "data abc"):
        assert words in text, words


def test_unreadable_results(tmp_path):
    with pytest.raises(ResultsError, match="a results folder"):
        write_tables(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultsError, match="bench run"):
        write_tables(tmp_path / "empty")
    for text, words in (("", "readable"), ("a,b\n1,2\n", "run_key"), ("\x00\x01", "run_key|readable")):
        (tmp_path / "rows.csv").write_text(text)
        with pytest.raises(ResultsError, match=words):
            load_results(tmp_path / "rows.csv")


def test_bad_numbers_and_headers_only(folder):
    text = (folder / "rows.csv").read_text()
    (folder / "rows.csv").write_text(text.splitlines()[0] + "\n")
    with pytest.raises(ResultsError, match="at least one row"):
        load_results(folder)
    (folder / "rows.csv").write_text(text.replace(",104,", ",many,"))
    with pytest.raises(ResultsError, match="column 'n'"):
        load_results(folder)


def test_unknown_metric_is_refused_with_the_nearest(folder):
    with pytest.raises(ResultsError, match="did you mean 'error/rate'"):
        format_table(folder, "error/rat")


def test_run_keys_stay_text(folder):
    path = folder / "rows.csv"
    first = load_results(folder)["run_key"].iloc[0]
    path.write_text(path.read_text().replace(first, "0012e5"))
    assert "0012e5" in set(load_results(folder)["run_key"])


def test_frames_are_accepted(folder):
    text = format_table(load_results(folder))
    assert "C1" in text and "not run" in text, "a hole in the grid shows without a plan too"


def test_plan_without_labels_of_a_column(folder):
    plan = json.loads((folder / "grid.json").read_text())
    for run in plan["runs"]:
        run["labels"].pop("data", None)
    (folder / "grid.json").write_text(json.dumps(plan))
    assert cells_of(folder)["D8", "50", "none"]["n_planned"] == "3"


def test_no_torch_is_needed(folder):
    code = (
        "from equirgz.report import format_table, write_figures, write_tables\n"
        f"write_tables({str(folder)!r}); print(format_table({str(folder)!r}))\n"
        "import equirgz.report.figures.write_figures, equirgz.report.readme, equirgz.metrics\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = run_without_torch(code, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "C1" in done.stdout
