"""Which sampler of posteriors is right? Gaussian skies, whose posterior is known, and a learnt prior.

    python -m benchmarks.sampling [--gaussian] [-o results/imaging/sampling]

samples posteriors as the grid of benchmarks/imaging.yaml does, in each of ``WAYS``, and writes a table. Gaussian skies
have the mean and covariance of the training images of the grid's last run (--profile cpu: D4, 1000 images) and are
their own prior; ``exact`` are samples of the closed form. The learnt prior is that run, trained anew; its sources are
simulated with another seed than those of the grid, so that nothing is chosen on those. ``--gaussian`` leaves the learnt
prior out. About 4 minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.imaging import GRID
from equirgz.data import load_data
from equirgz.grid.further.imaging_rows import NOISE, in_own_units, measure_samples, sample_posteriors
from equirgz.grid.plan.grid import load_grid
from equirgz.grid.run.prepare import PreparedRun, prepare_run
from equirgz.grid.run.training import train_objective
from equirgz.imaging.gaussian_prior import GaussianFilter, GaussianPrior
from equirgz.imaging.gridded import GriddedMeasurement
from equirgz.imaging.network_prior import NetworkPrior
from equirgz.imaging.posterior_score import Score
from equirgz.imaging.simulated import fit_gaussian, make_measurement, observe_all, sample_gaussian
from equirgz.provenance import code_version
from equirgz.report.tables.sheet import Sheet, write_printed

WAYS = {  # noise levels, solver steps, and whether a Gaussian stands in for one variance
    "one variance": (20, 0, False),
    "one variance, 50 levels": (50, 0, False),
    "Gaussian stands in": (20, 0, True),
    "Gaussian stands in, 40 levels": (40, 0, True),
    "Gaussian stands in, 2 solver steps": (20, 2, True),
}
HELD_OUT_SEED, N_HELD_OUT = 7, 60  # images whose rms is the unit
GAUSSIAN, LEARNT = (20, 16), (12, 10)  # sources, and samples of each
SHOWN = {"psnr": "PSNR [dB]", "chi2": "chi2", "coverage_68": "cover 68 %", "coverage_90": "cover 90 %",
         "tarp": "TARP deviation", "tarp_band": "band"}  # fmt: skip


def measure_ways(
    name: str,
    score: Score,
    truth_NHW: Tensor,
    n_samples: int,
    run: PreparedRun,
    model: GriddedMeasurement,
    prior: GaussianPrior,
) -> list[list[str]]:
    """Return a line per way: the prior, the way, sources and numbers."""
    y_NM, filtered, lines = observe_all(model, truth_NHW, 5), GaussianFilter(prior, model), []
    for way, (n_levels, solver_steps, stands_in) in {
        **({"exact": (0, 0, False)} if score is prior else {}),
        **WAYS,
    }.items():
        if way == "exact":
            drawn_NSHW = sample_gaussian(prior, model, y_NM, 64)
        else:
            stand_in = filtered if stands_in else None
            drawn_NSHW = sample_posteriors(score, run.task, model, y_NM, 0, n_samples=n_samples, n_levels=n_levels,
                                           solver_steps=solver_steps, stand_in=stand_in)  # fmt: skip
        found = measure_samples(model, y_NM, drawn_NSHW, truth_NHW)
        lines.append([name, way, str(len(truth_NHW)), *(f"{found[metric]:.3g}" for metric in SHOWN)])
        print(" | ".join(lines[-1]), flush=True)
    return lines


def train_prior(run: PreparedRun) -> tuple[NetworkPrior, Tensor]:
    """Return the prior of a run, trained, and held-out sources (N, H, W)."""
    held = {"params": {"n_train": 1, "n_test": N_HELD_OUT, "seed": HELD_OUT_SEED}}
    images = load_data(run.config.data.model_copy(update=held)).tests["test"]
    objective, _ = train_objective(run)
    network = objective.head.score(run.backbone, objective.classifier)
    return NetworkPrior(network, run.labelled.pixel_scale_arcsec), in_own_units(images.x_NCHW)[: LEARNT[0]]


def main(arguments: list[str] | None = None) -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussian", action="store_true", help="Gaussian skies alone")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/imaging/sampling"))
    given = parser.parse_args(arguments)
    run = prepare_run(load_grid(GRID, (), given.profile).runs[-1])
    prior = fit_gaussian(in_own_units(run.labelled.x_NCHW))
    model = make_measurement(run.config.data.image_size, run.labelled.pixel_scale_arcsec, NOISE)
    skies_NHW = prior.draw(GAUSSIAN[0], torch.Generator().manual_seed(3))
    lines = measure_ways("Gaussian skies", prior, skies_NHW, GAUSSIAN[1], run, model, prior)
    if not given.gaussian:
        learnt, held_NHW = train_prior(run)
        lines += measure_ways("score, D4", learnt, held_NHW, LEARNT[1], run, model, prior)
    header = ["prior", "sampler", "sources", *SHOWN.values()]
    caption = [
        "Samplers of posteriors: of Gaussian skies under their own prior, of held-out sources under a learnt score",
        "Solver steps: of conjugate gradients; chi2 of single samples per number; TARP passes below its band (95 %)",
        f"equirgz {code_version()}",
    ]
    sheet = Sheet("Samplers of posteriors", 3, header, [""] * len(header), lines, caption, label="sampling")
    write_printed(given.output, [header, *lines], sheet)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
