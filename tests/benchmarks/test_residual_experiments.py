"""The benchmark of residuals: its smallest run has every row, Gaussians hold what they claim, the report draws both."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import residual
from equirgz.grid.plan.grid import load_grid
from equirgz.grid.run.cell import run_cell
from equirgz.paths import as_path
from equirgz.residual import beside_control
from equirgz.residual.beside_control import HOWS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A results folder of the grid's smallest run."""
    patch = pytest.MonkeyPatch()
    patch.setattr(beside_control, "EPOCHS", 1)
    config = load_grid(as_path("benchmarks/residual.yaml"), [], "smoke").runs[0]
    rows = pd.DataFrame(run_cell(config, None, None)["rows"])
    patch.undo()
    out = tmp_path_factory.mktemp("residual")
    rows.assign(case="radio D4").to_csv(out / "rows.csv", index=False)
    return out


def test_every_way_is_read_off_features_and_off_pixels(folder):
    rows = pd.read_csv(folder / "rows.csv")
    rows = rows[rows["metric"].str.startswith("residual/")]
    assert set(rows["readout"]) == {"features", "pixels"} and set(rows["split"]) == {"test"}
    for readout, of in rows.groupby("readout"):
        metrics = set(of["metric"])
        assert len(metrics) == len(of)
        for column in ("class", "log_size", "log_flux", "bending"):
            kind = "accuracy" if column == "class" else "r2"
            assert {f"residual/{kind}_{p}/{column}/{how}" for p in ("linear", "nonlinear") for how in HOWS} <= metrics
            assert f"residual/chance/{column}" in metrics
        assert of["value"].notna().all(), readout


def test_the_hidden_distance_is_that_from_ones_own_centre():
    point_N2, class_N, distance_N = residual.draw_gaussians(120, 0)
    angle_N = 2 * np.pi * class_N / 3
    off_N2 = point_N2 - 2 * np.stack([np.cos(angle_N), np.sin(angle_N)], 1)
    assert np.hypot(*off_N2.T) == pytest.approx(distance_N)


def test_rows_of_grid_and_gaussians_make_the_report(folder, monkeypatch, capsys):
    monkeypatch.setattr(beside_control, "EPOCHS", 1)
    monkeypatch.setattr(residual, "N_GAUSSIANS", 60)
    residual.main([str(folder), "--gaussians"])
    text = capsys.readouterr().out
    for line in ("gaussians | distance | radius r2", "radio D4 | class | accuracy linear", "radio pixels | bending"):
        assert line in text
    assert (folder / "figures" / "residual.png").exists()
    residual.main([str(folder)])
    assert capsys.readouterr().out == text
