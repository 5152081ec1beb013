"""Error against cost: the paired tests against plain networks, the costs, and the stairs of the figure."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import make_results
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.metrics.compare.crossed import crossed_test
from equirgz.metrics.compare.paired import adjust_holm
from equirgz.records import read_json, write_json_atomic
from equirgz.report.figures.over_cost import front, plot_learning, plot_pareto
from equirgz.report.figures.style import figure_style
from equirgz.report.rows.parts import make_parts
from equirgz.report.rows.results import open_results
from equirgz.report.rows.step_times import busy_step_ms
from equirgz.report.tables.pareto import make_pareto, measure_costs

SIZES = ("flops:1000000", "flops:9000000")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """C1 and D4 in two sizes, whose steps took 10 times longer on the wall than on the processor."""
    folder = make_results(
        tmp_path_factory.mktemp("pareto") / "made", groups=("C1", "D4"), labels=(50,), augmentations=("none",),
        extra={"match": SIZES}, missing=(), failed=(), n_sources=40, report={"extras": ["pareto"]},
    )  # fmt: skip
    plan = read_json(folder / "grid.json")
    plan["configs"] = {run["cell_key"]: {"train": {"steps": 20}} for run in plan["runs"]}
    write_json_atomic(folder / "grid.json", plan)
    timings = pd.read_csv(folder / "timings.csv")
    busy = timings.assign(metric="train/cpu_seconds", value=timings["value"] / 10)
    pd.concat([timings, busy]).to_csv(folder / "timings.csv", index=False)
    return folder


def part_of(folder):
    results = open_results(folder)
    return results, next(part for part in make_parts(results.rows) if part.readout == "network")


def wrong_of(folder):
    """(group, match) -> wrong_RS, read from the files without the code under test."""
    rows = pd.read_csv(folder / "rows.csv").drop_duplicates("run_key").set_index("run_key")
    answers = pd.read_csv(folder / "predictions.csv.gz")
    answers = answers[(answers["readout"] == "network") & (answers["split"] == "test")]
    found = {}
    for key, block in answers.groupby("run_key", sort=False):
        block = block.sort_values("source_id")
        run = rows.loc[key]
        wrong_S = 100.0 * (block[["p0", "p1"]].to_numpy().argmax(1) != block["target"].to_numpy())
        found.setdefault((run["group"], run["match"]), {})[run["seed"]] = wrong_S
    return {place: np.stack([of_seed[s] for s in sorted(of_seed)]) for place, of_seed in found.items()}


def test_each_network_meets_every_plain_one_by_paired_tests_after_holm(made):
    lines, sheet = make_pareto(*part_of(made))
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    wrong = wrong_of(made)
    tests = [crossed_test(wrong["D4", mine] - wrong["C1", other]) for mine in SIZES for other in SIZES]
    assert [(row["group"], row["match"], row["reference"]) for row in rows] == [
        ("D4", mine, f"steerable_lenet C1 {other}") for mine in SIZES for other in SIZES
    ]
    assert [float(row["difference"]) for row in rows] == pytest.approx([t.mean for t in tests], rel=1e-5)
    assert [float(row["p_holm"]) for row in rows] == pytest.approx(
        list(adjust_holm([t.p_value for t in tests])), rel=1e-5
    )
    told = [float(row["p_holm"]) < 0.05 and float(row["difference"]) < 0 for row in rows]
    first = len(sheet.header) - 2
    steerable = [i for i, line in enumerate(sheet.lines) if line[1] == "D4"]
    assert sheet.bold == {(steerable[k // 2], first + k % 2) for k, yes in enumerate(told) if yes}
    all_of = [f"steerable_lenet D4 {mine}" for k, mine in enumerate(SIZES) if all(told[2 * k : 2 * k + 2])]
    assert any(f"whatever it costs: {', '.join(all_of) or 'none'};" in sentence for sentence in sheet.caption)


def test_a_plain_network_that_errs_as_little_takes_the_claim_away(made, tmp_path):
    """The control: with the same answers everywhere nothing is bold, and the caption says none."""
    folder = tmp_path / "alike"
    shutil.copytree(made, folder)
    answers = pd.read_csv(folder / "predictions.csv.gz")
    answers[["p0", "p1"]] = np.where((answers["target"] == 0).to_numpy()[:, None], [0.9, 0.1], [0.1, 0.9])
    answers.to_csv(folder / "predictions.csv.gz", index=False)
    _, sheet = make_pareto(*part_of(folder))
    assert not sheet.bold
    assert any("whatever it costs: none; than every plain one" in sentence for sentence in sheet.caption)


def test_steps_are_timed_by_the_processor_on_a_cpu_and_by_the_wall_elsewhere(made, tmp_path):
    results, part = part_of(made)
    runs = measure_costs(results, part)
    assert sorted(set(runs["step_ms"])) == pytest.approx([100.0, 105.0, 110.0])
    folder = tmp_path / "gpu"
    shutil.copytree(made, folder)
    text = Path(folder / "timings.csv").read_text().replace(",cpu,", ",cuda,")
    (folder / "timings.csv").write_text(text)
    assert set(busy_step_ms(open_results(folder)).values()) == {1000.0, 1050.0, 1100.0}


def test_without_plain_or_without_steerable_networks_there_is_no_table(made, tmp_path):
    for group in ("C1", "D4"):
        folder = tmp_path / group
        shutil.copytree(made, folder)
        rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
        rows[rows["group"] == group].to_csv(folder / "rows.csv", index=False)
        assert make_pareto(*part_of(folder)) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_the_stairs_hold_just_the_points_that_no_other_beats(points):
    x, y = map(list, zip(*points, strict=True))
    best = {
        p for p in points if not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)
    }  # fmt: skip
    assert front(pd.Series(x), pd.Series(y)) == sorted(best)


def test_the_figure_shows_error_and_nll_against_both_costs(made):
    with figure_style():
        figure = plot_pareto(*part_of(made))
    assert [panel.get_xlabel() for panel in figure.axes[-2:]] == [
        "multiply-adds per image (million)",
        "training step (ms)",
    ]
    assert len(figure.axes) == 4 and figure.axes[0].get_ylabel() == "test error (%)"


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """C1 and D4 with three numbers of updates; a training of n updates took n / 10 s and its seed, on a processor."""
    folder = make_results(
        tmp_path_factory.mktemp("learning") / "longer", groups=("C1", "D4"), labels=(50,), augmentations=("none",),
        extra={"steps": ("40", "100", "400")}, missing=(), failed=(), n_sources=40,
    )  # fmt: skip
    plan = read_json(folder / "grid.json")
    steps = {run["run_key"]: run["labels"]["steps"] for run in plan["runs"]}
    plan["configs"] = {run["cell_key"]: {"train": {"steps": int(run["labels"]["steps"])}} for run in plan["runs"]}
    write_json_atomic(folder / "grid.json", plan)
    timings = pd.read_csv(folder / "timings.csv")
    seconds = timings["run_key"].map(steps).astype(float) / 10 + timings["value"] - 20
    timings.assign(value=seconds).to_csv(folder / "timings.csv", index=False)
    return folder


def test_error_is_drawn_against_updates_and_against_seconds_of_training(longer):
    with figure_style():
        updates, seconds = plot_learning(*part_of(longer)).axes
    rows = pd.read_csv(longer / "rows.csv")
    error = rows[(rows["metric"] == "error/rate") & (rows["readout"] == "network") & (rows["split"] == "test")]
    expected = error.groupby(["group", "steps"])["value"].mean()
    for panel, x in ((updates, [40, 100, 400]), (seconds, [5, 11, 41])):
        drawn = {bars.get_label(): bars.lines[0].get_xydata() for bars in panel.containers}
        assert sorted(drawn) == ["C1", "D4"]
        for group, line in drawn.items():
            np.testing.assert_allclose(line, np.c_[x, expected[group].loc[[40, 100, 400]]])


def test_two_numbers_of_updates_are_no_curve(longer, tmp_path):
    folder = tmp_path / "two"
    shutil.copytree(longer, folder)
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    rows[rows["steps"] != "100"].to_csv(folder / "rows.csv", index=False)
    assert plot_learning(*part_of(folder)) is None
