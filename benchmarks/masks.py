"""A panel of masks: image, votes of volunteers, prediction and uncertainty of one network of a grid of masks.

    python -m benchmarks.masks [--grid benchmarks/spirals.yaml] [--profile cpu] [-o FILE] [--set KEY=VALUE ...]

trains the last run of the grid (of ``spirals``: D4, most galaxies, its last seed) anew and draws its first test sources
that show all parts, and others. Votes are those of the set ``test_votes``; where there is none, as in
benchmarks/radio_masks.yaml, the true masks stand in their place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from equirgz.evaluate.predict import evaluating, predict
from equirgz.grid.plan.grid import load_grid
from equirgz.grid.run.prepare import PreparedRun, prepare_run
from equirgz.grid.run.training import train_objective
from equirgz.objectives.base import Objective
from equirgz.report.figures.style import figure_style, save_figure
from equirgz.report.panels.mask_panel import plot_masks

GRID = Path(__file__).parent / "spirals.yaml"
N_BOTH, N_ANY = 4, 4


def choose_sources(truth_NKHW: np.ndarray) -> np.ndarray:
    """Return indices: the first sources that have all parts, then the first others, which may have none."""
    all_N = truth_NKHW.any((2, 3)).all(1)
    return np.concatenate([np.flatnonzero(all_N)[:N_BOTH], np.flatnonzero(~all_N)[:N_ANY]])


def draw_panel(run: PreparedRun, objective: Objective, stem: Path) -> list[Path]:
    """Write the panel of a trained run as .png and .svg; return the paths."""
    test = run.eval_sets["test"]
    votes = run.eval_sets.get("test_votes", test)
    chosen = choose_sources(test.map_NKHW)
    x_NCHW = torch.as_tensor(test.x_NCHW[chosen])
    with evaluating(objective):
        spread_NKHW = objective.head.spread(objective.logits(x_NCHW)).numpy()
    shown = (votes.map_NKHW[chosen], predict(objective, x_NCHW), spread_NKHW, run.task.parts, test.map_NKHW[chosen])
    with figure_style():
        return save_figure(plot_masks(test.image_NHW[chosen], *shown), stem)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--grid", type=Path, default=GRID)
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/spirals/figures/masks"))
    parser.add_argument("--set", nargs="*", default=[], dest="overrides", metavar="KEY=VALUE")
    given = parser.parse_args(arguments)
    run = prepare_run(load_grid(given.grid, given.overrides, given.profile).runs[-1])
    objective, _ = train_objective(run)
    for path in draw_panel(run, objective, given.output):
        print(path)


if __name__ == "__main__":
    main()
