"""Sampled posteriors against the closed form of Gaussian priors, and schedules against their own definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz.errors import InputError, NumericalError
from equirgz.imaging.antennas import Coverage
from equirgz.imaging.gaussian_prior import GaussianFilter, GaussianPrior
from equirgz.imaging.gridded import ARCSEC, GriddedMeasurement
from equirgz.imaging.non_uniform import NonUniformMeasurement
from equirgz.imaging.posterior_score import PosteriorScore
from equirgz.imaging.samplers import draw_samples
from equirgz.metrics.uncertainty.coverage import compute_coverage, compute_tarp
from equirgz.objectives.generative.noise_schedules import make_schedule

N, SCALE = 6, 1.0


def make_prior(correlation_px: float = 1.2) -> GaussianPrior:
    """Return smooth images about 0.5 of variance 1."""
    place_N2 = np.indices((N, N)).reshape(2, -1).T
    square_NN = ((place_N2[:, None] - place_N2[None]) ** 2).sum(-1)
    covariance_NN = np.exp(-square_NN / (2 * correlation_px**2)) + 0.1 * np.eye(N * N)
    return GaussianPrior(torch.full((N, N), 0.5), torch.as_tensor(covariance_NN, dtype=torch.float32))


def make_model(kind: str, noise: float = 1.0):
    rng, reach = np.random.default_rng(2), 0.41 / (SCALE * ARCSEC)
    coverage = Coverage(*rng.uniform(-reach, reach, (2, 12)), np.full(12, noise**-2))
    return (
        GriddedMeasurement.from_coverage(coverage, N, SCALE)
        if kind == "gridded"
        else NonUniformMeasurement(coverage, N, SCALE)
    )


def misfit(sample_SHW: torch.Tensor, mean_HW: torch.Tensor, covariance_NN: torch.Tensor) -> tuple[float, float]:
    """Return the relative error of the mean, and the mean ratio of variances along the posterior's own axes less 1."""
    value_N, vector_NN = torch.linalg.eigh(covariance_NN)
    off_SN = (sample_SHW.double() - mean_HW).flatten(1)
    error = float(off_SN.mean(0).norm() / mean_HW.norm())
    return error, float(((off_SN @ vector_NN).var(0) / value_N).mean()) - 1


@pytest.mark.parametrize(
    "kind, sampler, schedule, steps",
    [("gridded", "predictor_corrector", "vp", 250), ("non_uniform", "deterministic", "ve", 50)],
)
def test_samples_of_a_gaussian_posterior_have_its_mean_and_variance(kind, sampler, schedule, steps):
    prior, model = make_prior(), make_model(kind)
    generator = torch.Generator().manual_seed(4)
    y_M = model.observe(prior.draw(1, generator), generator)[0]
    mean_HW, covariance_NN = prior.posterior(model, y_M)
    score = PosteriorScore(prior, model, y_M, solver_steps=5)
    levels = make_schedule(schedule).levels(steps, 0.02)
    found = draw_samples(score, levels, 1000, N, sampler=sampler, correctors=0, batch_size=1000)
    error, excess = misfit(found, mean_HW, covariance_NN)
    assert error < 0.05 and abs(excess) < 0.05
    assert misfit(prior.draw(1500, generator), mean_HW, covariance_NN)[1] > 0.3, "the prior itself is not it"


def test_the_convolved_likelihood_walks_to_the_same_posterior_where_the_prior_is_white():
    prior = GaussianPrior(torch.full((N, N), 0.5), torch.eye(N * N))
    model = make_model("gridded", noise=6.0)
    generator = torch.Generator().manual_seed(4)
    y_M = model.observe(prior.draw(1, generator), generator)[0]
    score = PosteriorScore(prior, model, y_M, "convolved")
    found = draw_samples(score, make_schedule("ve").levels(250, 0.05), 1500, N, correctors=8, batch_size=1500)
    error, excess = misfit(found, *prior.posterior(model, y_M))
    assert error < 0.1 and abs(excess) < 0.05


@pytest.mark.parametrize("kind", ["gridded", "non_uniform"])
def test_a_gaussian_that_stands_in_needs_no_solver_where_one_variance_runs_away(kind):
    """Forty levels, no conjugate gradients, and pixels that go together: variances from 0.1 to 26."""
    prior, model = make_prior(4.0), make_model(kind)
    generator = torch.Generator().manual_seed(4)
    y_M = model.observe(prior.draw(1, generator), generator)[0]
    posterior, levels = prior.posterior(model, y_M), torch.logspace(1.5, -2, 41, dtype=torch.float64)
    found = []
    for stand_in in (GaussianFilter(prior, model), None):
        score = PosteriorScore(prior, model, y_M, solver_steps=0, stand_in=stand_in)
        sample = draw_samples(score, levels, 1000, N, sampler="deterministic", batch_size=1000)
        found.append(misfit(sample, *posterior))
    assert found[0][0] < 0.05 and abs(found[0][1]) < 0.05
    assert found[1][0] > 0.1, "white images of variance 1 do not do"


@pytest.mark.parametrize("kind", ["gridded", "non_uniform"])
def test_convolved_scores_are_those_of_the_stated_gaussian(kind):
    """By hand: the gradient of -1/2 |y - A x|^2 under s^2 A A^T + 1 / W, with A as a matrix of real rows."""
    prior, model = make_prior(), make_model(kind)
    unit = torch.eye(N * N).reshape(-1, N, N)
    rows = torch.view_as_real(model.forward(unit)).permute(1, 2, 0).reshape(-1, N * N).double()
    measured = rows.abs().sum(1) > 1e-4
    noise = (1 / model.weight_M).repeat_interleave(2).double()
    rows, noise = rows[measured], noise[measured]
    x, level = torch.randn(N, N), 0.7
    y_M = model.forward(torch.randn(1, N, N))[0]
    y = torch.view_as_real(y_M).reshape(-1)[measured].double()
    covariance = level**2 * rows @ rows.T + torch.diag(noise)
    expected = (rows.T @ torch.linalg.solve(covariance, y - rows @ x.double().flatten())).numpy()
    pull = PosteriorScore(prior, model, y_M, "convolved")(x[None], level) - prior(x[None], level)
    assert pull.double().flatten().numpy() == pytest.approx(expected, abs=2e-3 * np.abs(expected).max())


def simulate(shrink: float = 1.0, n: int = 100, n_samples: int = 60):
    """Return posterior samples and truths, from the closed form, the spread about the mean times ``shrink``."""
    prior, model = make_prior(), make_model("gridded")
    generator = torch.Generator().manual_seed(0)
    truth_NHW = prior.draw(n, generator)
    y_NM = model.observe(truth_NHW, generator)
    samples = []
    for y_M in y_NM:
        mean_HW, covariance_NN = prior.posterior(model, y_M)
        z = torch.randn(n_samples, N * N, generator=generator, dtype=torch.float64)
        samples.append(mean_HW.flatten() + shrink * z @ torch.linalg.cholesky(covariance_NN).T)
    return torch.stack(samples, 1).numpy(), truth_NHW.flatten(1).double().numpy()


def test_tarp_passes_right_posteriors_and_fails_overconfident_ones():
    right, narrow = (compute_tarp(*simulate(shrink), seed=1) for shrink in (1.0, 0.4))
    assert right.passes and right.n == 100 and right.band == pytest.approx(0.134, abs=0.002)
    assert not narrow.passes and narrow.deviation > 1.2 * narrow.band


def test_coverage_of_pixels_is_the_level_where_posteriors_are_right():
    level = np.array([0.5, 0.9])
    assert compute_coverage(*simulate(), level) == pytest.approx(level, abs=0.03)
    assert (compute_coverage(*simulate(0.4), level) < level - 0.2).all()


def test_coverage_refuses_what_it_cannot_count():
    sample, truth = simulate(n=5, n_samples=12)
    for s, t, words in (
        (sample[:5], truth, "at least 10 samples"),
        (sample, truth[:, :3], r"samples \(S, N, D\)"),
        (sample * np.nan, truth, "NaN"),
    ):
        with pytest.raises(InputError, match=words):
            compute_tarp(s, t)
    with pytest.raises(InputError, match="levels"):
        compute_coverage(sample, truth, [1.0])


@pytest.mark.parametrize("name", ["ve", "vp"])
def test_schedules_rise_and_know_the_time_of_a_level(name):
    schedule, t = make_schedule(name), torch.linspace(0.05, 1, 20, dtype=torch.float64)
    level = schedule.level(t)
    assert (level.diff() > 0).all() and torch.allclose(schedule.time_of(level), t, atol=1e-6)
    if name == "vp":
        assert torch.allclose(schedule.mean(t) ** 2 + schedule.sigma(t) ** 2, torch.ones_like(t))
    levels = schedule.levels(10, 0.01)
    assert len(levels) == 11 and float(levels[-1]) == pytest.approx(0.01) and (levels.diff() < 0).all()
    with pytest.raises(InputError, match="lowest level"):
        schedule.levels(10, 1e9)
    with pytest.raises(InputError, match="0 < low < high"):
        make_schedule(name, low=3.0, high=1.0)


def test_the_same_seed_gives_the_same_samples_whatever_follows():
    prior, levels = make_prior(), make_schedule("ve").levels(5, 0.1)
    few, more = (draw_samples(prior, levels, n, N, seed=3, batch_size=4) for n in (4, 10))
    assert torch.allclose(few, more[:4]) and not torch.allclose(few, draw_samples(prior, levels, 4, N, seed=4))


def test_bad_samplings_are_refused():
    prior, model, levels = make_prior(), make_model("gridded"), make_schedule("ve").levels(5, 0.1)
    y_M = model.forward(torch.zeros(1, N, N))[0]
    for arguments, words in (
        ({"y_M": y_M[:2]}, "complex numbers"),
        ({"y_M": y_M * float("nan")}, "NaN"),
        ({"likelihood": "exact"}, "unknown 'exact'"),
        ({"prior_variance": 0.0}, "prior_variance"),
        ({"solver_steps": -1}, "solver_steps"),
    ):
        with pytest.raises(InputError, match=words):
            PosteriorScore(**{"prior": prior, "model": model, "y_M": y_M, **arguments})
    for arguments, words in (
        ({"level_L": levels.flip(0)}, "that fall"),
        ({"sampler": "euler"}, "unknown 'euler'"),
        ({"snr": 0.0}, "snr"),
        ({"n_samples": 0}, "n_samples"),
    ):
        with pytest.raises(InputError, match=words):
            draw_samples(**{"score": prior, "level_L": levels, "n_samples": 2, "image_size": N, **arguments})
    with pytest.raises(NumericalError, match="NaN or infinity"):
        draw_samples(lambda x, level: x * float("inf"), levels, 2, N)
    with pytest.raises(InputError, match="symmetric"):
        GaussianPrior(torch.zeros(2, 2), torch.triu(torch.ones(4, 4)))
    with pytest.raises(InputError, match="positive eigenvalues"):
        GaussianPrior(torch.zeros(2, 2), -torch.eye(4))
