"""How far two data sets are apart in feature space, and how much of that is noise at this n.

A distance between samples is never 0, not even between two halves of one set. `measure_shift` shuffles
the sources between the sets to see what chance alone gives at the actual sizes, and redraws
them to give the distance an interval. Legend: N, M sources, F features, D draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from equirgz.errors import require
from equirgz.metrics.distance.frechet import check_features, frechet_distance
from equirgz.metrics.distance.mmd import median_width, squared_mmd
from equirgz.metrics.distance.sinkhorn import sinkhorn_divergence
from equirgz.metrics.distance.two_sample import classifier_two_sample_test
from equirgz.seeding import derive_seed

Distance = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Shift:
    """A distance and what it means at these sizes.

    noise_mean, noise_high: mean and 95 % quantile of the distance when sources are dealt to the two sets at
    random. excess: value - noise_mean. p_value: share of deals (with this one) at least as far apart.
    low, high: 95 % range of the distance from redrawing the sources, moved so that its mean is the value (redrawn
    sets hold copies and lie further apart): how far this number would wander with other sources.
    """

    value: float
    low: float
    high: float
    noise_mean: float
    noise_high: float
    p_value: float
    n_first: int
    n_second: int

    @property
    def excess(self) -> float:
        return self.value - self.noise_mean


def measure_shift(
    distance: Distance, first_NF: np.ndarray, second_MF: np.ndarray, *, n_draws: int = 200, seed: int = 0
) -> Shift:
    """Return ``distance(first, second)`` with its noise and interval at the actual N and M.

    NaN: refused. Raises: InputError for unusable features or n_draws < 20.
    """
    a_NF, b_MF = check_features(first_NF, second_MF)
    require(n_draws >= 20, "n_draws", expected=">= 20", got=n_draws)
    generator = np.random.default_rng(derive_seed(seed, "shift"))
    value, n = float(distance(a_NF, b_MF)), len(a_NF)
    pooled = np.concatenate([a_NF, b_MF])
    noise_D, redrawn_D = np.empty(n_draws), np.empty(n_draws)
    for d in range(n_draws):
        order = generator.permutation(len(pooled))
        noise_D[d] = distance(pooled[order[:n]], pooled[order[n:]])
        redrawn = (x[generator.integers(0, len(x), len(x))] for x in (a_NF, b_MF))
        redrawn_D[d] = distance(*redrawn)
    low, high = value + np.quantile(redrawn_D, [0.025, 0.975]) - redrawn_D.mean()
    p_value = (1 + int((noise_D >= value).sum())) / (1 + n_draws)
    return Shift(
        value,
        float(low),
        float(high),
        float(noise_D.mean()),
        float(np.quantile(noise_D, 0.95)),
        p_value,
        n,
        len(b_MF),
    )


def compute_shift(
    first_NF: np.ndarray, second_MF: np.ndarray, *, n_draws: int = 200, max_sources: int = 500, seed: int = 0
) -> list[dict[str, Any]]:
    """Return rows of the shift table: Frechet, MMD^2, Sinkhorn, each with noise and p, and a two-sample classifier.

    Features are divided by the pooled standard deviation (constant ones dropped) so that distances are in
    units of spread; the Sinkhorn blur is a tenth of the median distance. Sets larger than
    ``max_sources`` are thinned at random (seeded), and ``n`` says what was used.
    Each row: metric, value, low, high, noise_mean, noise_high, p_value, unit, direction, n, n_second.
    """
    a_NF, b_MF = check_features(first_NF, second_MF)
    generator = np.random.default_rng(derive_seed(seed, "thin"))
    a_NF, b_MF = (x[np.sort(generator.permutation(len(x))[:max_sources])] for x in (a_NF, b_MF))
    pooled = np.concatenate([a_NF, b_MF])
    spread_F = pooled.std(axis=0)
    used = spread_F > 1e-12 * float(np.abs(pooled).max())
    require(used.any(), "features", expected="a feature that varies", got="none")
    a_NF, b_MF = ((x[:, used] - pooled[:, used].mean(axis=0)) / spread_F[used] for x in (a_NF, b_MF))
    width = median_width(a_NF, b_MF)
    distances: dict[str, Distance] = {
        "shift/frechet": frechet_distance,
        "shift/mmd_squared": lambda x, y: squared_mmd(x, y, width),
        "shift/sinkhorn": lambda x, y: sinkhorn_divergence(x, y, width / 10, tolerance=1e-4),
    }
    rows = []
    for name, distance in distances.items():
        draws = n_draws if name != "shift/sinkhorn" else max(20, n_draws // 5)  # slower by far
        found = measure_shift(distance, a_NF, b_MF, n_draws=draws, seed=seed)
        rows.append(
            {
                "metric": name,
                **{k: v for k, v in vars(found).items() if not k.startswith("n_")},
                "unit": "1",
                "direction": "lower",
                "n": found.n_first,
                "n_second": found.n_second,
            }
        )
    told = classifier_two_sample_test(a_NF, b_MF, seed=seed)
    rows.append(
        {
            "metric": "shift/classifier_auroc",
            "value": told.auroc.value,
            "low": told.auroc.low,
            "high": told.auroc.high,
            "noise_mean": 0.5,
            "noise_high": None,
            "p_value": told.p_value,
            "unit": "1",
            "direction": "lower",
            "n": len(a_NF),
            "n_second": len(b_MF),
        }
    )
    return rows
