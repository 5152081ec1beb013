"""The panel of masks of a grid's last run, drawn from a few updates."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import masks


@pytest.mark.parametrize("grid, n_parts", [("spirals", 2), ("radio_masks", 3)])
def test_the_panel_of_a_tiny_run_is_drawn(grid, n_parts, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(masks, "save_figure", lambda figure, stem: drawn.setdefault(stem, figure) and [])
    masks.main(["--grid", f"benchmarks/{grid}.yaml", "--profile", "smoke", "-o", str(tmp_path / "panel")])
    (figure,) = drawn.values()
    n_panels = len([axes for axes in figure.axes if axes.images])
    assert n_panels > 0 and n_panels % (1 + n_parts * 3) == 0  # a column per source


def test_sources_with_all_parts_come_first():
    truth = np.zeros((5, 2, 3, 3))
    truth[[1, 3]] = 1
    truth[4, 0] = 1
    assert masks.choose_sources(truth).tolist() == [1, 3, 0, 2, 4]
