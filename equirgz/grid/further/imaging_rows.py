"""How well a learnt prior images sources from visibilities, and whether its samples cover them.

Legend: N sources, S samples, H W pixels, M visibilities, L levels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from equirgz.errors import InputError
from equirgz.grid.further.answers import Answers, Rows, make_row
from equirgz.imaging.gaussian_prior import GaussianFilter
from equirgz.imaging.gridded import GriddedMeasurement
from equirgz.imaging.network_prior import NetworkPrior
from equirgz.imaging.posterior_score import PosteriorScore, Score
from equirgz.imaging.samplers import draw_samples
from equirgz.imaging.simulated import (
    fit_gaussian,
    make_cleaned,
    make_dirty,
    make_measurement,
    observe_all,
    sample_gaussian,
)
from equirgz.metrics.images import peak_signal_to_noise, structural_similarity
from equirgz.metrics.uncertainty.coverage import compute_coverage, compute_tarp
from equirgz.seeding import derive_seed
from equirgz.tasks.denoising import Denoising

NOISE = 1.0  # per dirty beam, in units of the rms of the set's images
N_SAMPLES, N_LEVELS, SOLVER_STEPS = 16, 20, 0
N_CLOSED = 64  # samples of closed forms, which cost nothing
NARROW = 0.4  # of the right distance from the mean: the control that must fail
CURVE = np.linspace(0.1, 0.9, 9)


def imaging_rows(answers: Answers) -> Rows:
    """Return the rows of every test set, each observed by a VLA-like array with noise of one rms per dirty beam.

    ``imaging/psnr`` and ``ssim`` of the posterior's mean, the mean over sources, and ``psnr_sem``, its standard error;
    ``chi2`` of single samples per measured number, 1 where right; ``coverage_68`` and ``coverage_90`` per pixel;
    ``tarp``, the largest distance of the expected coverage from the diagonal, ``tarp_band``, what it stays below in
    95 % of right posteriors, and ``tarp_curve/LEVEL``. Beside the network, with its name behind the metric's, the
    ``dirty`` image, ``clean`` (its components' chi2), a ``gaussian`` prior of the labelled training images in closed
    form, and ``gaussian_narrow``, its samples too near to their mean, which TARP must refuse. All see the same data,
    in units of the rms of the set's images; pixels of another set count as those of the training images.
    """
    run = answers.run
    scale = run.labelled.pixel_scale_arcsec
    if not np.isfinite(scale):
        raise InputError("evaluation.further: imaging", expected="images with a pixel scale", got=run.labelled.name)
    prior = NetworkPrior(run.objective.head.score(run.backbone, run.objective.classifier), scale)
    closed = fit_gaussian(in_own_units(run.labelled.x_NCHW))
    rows = []
    for split in ("test", *answers.others):
        truth_NHW = in_own_units(answers.sets[split].x_NCHW)
        model = make_measurement(truth_NHW.shape[-1], scale, NOISE)
        model.check_scale(prior.pixel_scale_arcsec)
        y_NM = observe_all(model, truth_NHW)
        seed = derive_seed(run.config.seed, "imaging", split)
        samples = {"": sample_posteriors(prior, run.task, model, y_NM, seed)}
        samples["gaussian"] = sample_gaussian(closed, model, y_NM, N_CLOSED)
        samples["gaussian_narrow"] = sample_gaussian(closed, model, y_NM, N_CLOSED, NARROW)
        found = {name: measure_samples(model, y_NM, drawn, truth_NHW) for name, drawn in samples.items()}
        found["dirty"] = _measure_image(make_dirty(model, y_NM), truth_NHW)
        cleaned_NHW, chi2_N = make_cleaned(model, y_NM, 3 * NOISE)
        found["clean"] = _measure_image(cleaned_NHW, truth_NHW) | {"chi2": (chi2_N / model.n_numbers).mean()}
        rows += [_row(split, metric, name, v, len(y_NM)) for name, of in found.items() for metric, v in of.items()]
    return rows


def sample_posteriors(
    score: Score,
    task: Denoising,
    model: GriddedMeasurement,
    y_NM: Tensor,
    seed: int,
    *,
    n_samples: int | None = None,
    n_levels: int | None = None,
    solver_steps: int = SOLVER_STEPS,
    stand_in: GaussianFilter | None = None,
) -> Tensor:
    """Return samples (N, S, H, W) under a prior's score: Heun's rule from the highest level learnt to twice the lowest.

    Each source has a seed of its own. ``n_samples`` and ``n_levels`` are those of the rows where none are given, the
    other two as of :class:`~equirgz.imaging.posterior_score.PosteriorScore`.
    """
    level_L = torch.from_numpy(np.geomspace(task.high, 2 * task.low, (n_levels or N_LEVELS) + 1))
    return torch.stack([
        draw_samples(
            PosteriorScore(score, model, y_M, solver_steps=solver_steps, stand_in=stand_in), level_L,
            n_samples or N_SAMPLES, model.n_pixels, sampler="deterministic", seed=derive_seed(seed, "samples", source),
        )
        for source, y_M in enumerate(y_NM)
    ])  # fmt: skip


def in_own_units(x_NCHW: np.ndarray) -> Tensor:
    """Return the images (N, H, W) of one channel over the rms of them all."""
    x_NHW = torch.as_tensor(np.array(x_NCHW[:, 0], np.float32))
    return x_NHW / x_NHW.square().mean().sqrt()


def _measure_image(image_NHW: np.ndarray, truth_NHW: Tensor) -> dict[str, float]:
    truth_N1HW = truth_NHW[:, None].numpy()
    psnr_N = peak_signal_to_noise(image_NHW[:, None], truth_N1HW)
    ssim_N = structural_similarity(image_NHW[:, None], truth_N1HW)
    return {"psnr": psnr_N.mean(), "psnr_sem": psnr_N.std() / np.sqrt(len(psnr_N)), "ssim": ssim_N.mean()}


def measure_samples(
    model: GriddedMeasurement, y_NM: Tensor, sample_NSHW: Tensor, truth_NHW: Tensor
) -> dict[str, float]:
    """Return the numbers of samples (N, S, H, W): of their means, chi2 and coverage; see :func:`imaging_rows`."""
    chi2_N = [float(model.chi2(s_SHW, y_M).mean()) for s_SHW, y_M in zip(sample_NSHW, y_NM, strict=True)]
    sample_SND, truth_ND = sample_NSHW.transpose(0, 1).flatten(2).numpy(), truth_NHW.flatten(1).numpy()
    varies_D = truth_ND.std(0) > 0  # corners are outside of the mask
    sample_SND, truth_ND = sample_SND[:, :, varies_D], truth_ND[:, varies_D]
    tarp = compute_tarp(sample_SND, truth_ND)
    at_68, at_90 = compute_coverage(sample_SND, truth_ND, [0.68, 0.9])
    curve = dict(zip(tarp.level_L.round(4), tarp.coverage_L, strict=True))
    return {
        **_measure_image(sample_NSHW.mean(1).numpy(), truth_NHW),
        "chi2": np.mean(chi2_N) / model.n_numbers,
        "coverage_68": at_68,
        "coverage_90": at_90,
        "tarp": tarp.deviation,
        "tarp_band": tarp.band,
        **{f"tarp_curve/{level:.1f}": curve[round(float(level), 4)] for level in CURVE},
    }


def _row(split: str, metric: str, name: str, value: float, n: int) -> dict:
    direction = {"psnr": "higher", "ssim": "higher", "tarp": "lower"}.get(metric, "none")
    unit = "dB" if metric.startswith("psnr") else "1"
    return make_row(split, f"imaging/{metric}" + f"/{name}" * bool(name), value, n, unit, direction)
