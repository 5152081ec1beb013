"""A fixed grid of eight runs: its tables follow from its rows byte for byte, and its rows from the code."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from equirgz.report import write_tables
from tests.without_torch import run_without_torch

HERE = Path(__file__).parent
FROZEN = HERE / "frozen"
sys.path.insert(0, str(HERE))
KEYS = ["run_key", "readout", "split", "metric", "angle_deg"]
YOUNGER = {"calibration/ece_smooth", "calibration/ece_smooth_perfect"}  # metrics that the frozen rows do not have


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_tables_follow_from_the_frozen_rows_byte_for_byte(tmp_path):
    shutil.copytree(FROZEN, tmp_path / "results")
    shutil.rmtree(tmp_path / "results" / "tables")
    write_tables(tmp_path / "results")
    assert files_below(tmp_path / "results" / "tables") == files_below(FROZEN / "tables")


def test_tables_need_no_torch(tmp_path):
    """The command makes the frozen tables where torch cannot be imported."""
    shutil.copytree(FROZEN, tmp_path / "results")
    shutil.rmtree(tmp_path / "results" / "tables")
    code = """
sys.argv[1:1] = ["bench", "tables"]
from equirgz.cli import main
main()
"""
    done = run_without_torch(code, tmp_path / "results", cwd=HERE.parents[1])
    assert done.returncode == 0, done.stderr
    assert files_below(tmp_path / "results" / "tables") == files_below(FROZEN / "tables")


def test_runs_computed_anew_give_the_frozen_rows(tmp_path):
    """All runs again: what is counted is equal, what is learnt agrees, on another machine too."""
    from make import compute

    compute(tmp_path)
    frozen = pd.read_csv(FROZEN / "rows.csv").set_index(KEYS).sort_index()
    rows = pd.read_csv(tmp_path / "rows.csv").set_index(KEYS).sort_index()
    assert rows.index.get_level_values("run_key").nunique() == 8
    known = rows.index.isin(frozen.index)
    assert set(rows.index[~known].get_level_values("metric")) == YOUNGER
    rows = rows[known]
    frozen = frozen.loc[rows.index]
    same = ["cell_key", "data_checksum", "selection_rule", "n_labels", "seed", "n", "unit"]
    pd.testing.assert_frame_equal(rows[same], frozen[same])
    metric = rows.index.get_level_values("metric")
    for name, tolerance in (("cost/", 0.0), ("nll/mean", 0.05), ("calibration/brier", 0.05), ("error/rate", 5.0)):
        chosen = metric.str.startswith(name)
        assert chosen.any()
        difference = (rows.value[chosen] - frozen.value[chosen]).abs().max()
        assert difference <= tolerance, f"{name}: {difference}; if meant, run `python tests/golden/make.py`"


@pytest.mark.parametrize("metric", ["error/rate", "nll/mean"])
def test_frozen_rows_follow_from_the_frozen_predictions(metric):
    from equirgz.metrics import compute_metrics

    predictions = pd.read_csv(FROZEN / "predictions.csv.gz")
    rows = pd.read_csv(FROZEN / "rows.csv")
    rows = rows[(rows.metric == metric) & rows.angle_deg.isna()].set_index(["run_key", "readout"]).value
    for key, part in predictions.groupby(["run_key", "readout"]):
        (found,) = compute_metrics(part[["p0", "p1"]].to_numpy(), part.target.to_numpy(), [metric])
        assert found["value"] == pytest.approx(rows[key], rel=1e-5)
