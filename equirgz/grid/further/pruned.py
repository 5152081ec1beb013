"""A variational network as its weights go to zero. Legend: N sources, K classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from equirgz.evaluate import predict
from equirgz.grid.further.answers import Answers, Rows, make_row
from equirgz.metrics import compute_metrics
from equirgz.objectives.bayesian.posterior import WeightPosterior
from equirgz.objectives.bayesian.pruning import compute_fisher, compute_pruning_curve, compute_signal_to_noise
from equirgz.seeding import derive_seed
from equirgz.tasks.classification import CLASSES

ERROR = CLASSES.headline.metric
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
SHOWN = (0.5, 0.9)
SLACK_NAT = 0.02


def pruning_rows(answers: Answers) -> Rows:
    """Return the error (%) and NLL (nat) on ``test`` with half and nine tenths of the weights at zero, and the largest
    share up to which the NLL stays within 0.02 nat of that of all weights.

    Which weights go first: those of the lowest signal to noise |mean| / std, of the lowest Fisher information on the
    labelled sources, or any (random).
    """
    run = answers.run
    images, seed = run.eval_sets["test"], derive_seed(run.config.seed, "prune")
    known_N = images.label_N >= 0
    noise = compute_signal_to_noise(run.objective)
    generator = torch.Generator().manual_seed(seed)
    scores = {
        "signal_to_noise": noise,
        "fisher": compute_fisher(
            run.objective, torch.as_tensor(run.labelled.x_NCHW), torch.as_tensor(run.labelled.label_N)
        ),
        "random": {name: torch.rand(score.shape, generator=generator) for name, score in noise.items()},
    }

    def measure(pruned: WeightPosterior) -> dict[str, float]:
        n_samples = pruned.n_predictive_samples
        p_NK = predict(pruned, images.x_NCHW[known_N], run.batch_size, n_samples=n_samples, seed=seed)
        found = compute_metrics(p_NK, images.label_N[known_N], [ERROR, "nll/mean"])
        return {row["metric"]: row["value"] for row in found}

    n, rows = int(known_N.sum()), []
    for order, score in scores.items():
        curve = compute_pruning_curve(run.objective, score, SHARES, measure)
        rows.append(make_row("test", f"pruning/free_share_{order}", free_share(curve), n, direction="higher"))
        for line in curve:
            if line["share"] in SHOWN:
                place = f"{order}_at_{100 * line['share']:.0f}"
                rows.append(make_row("test", f"pruning/error_{place}", line[ERROR], n, "%", "lower"))
                rows.append(make_row("test", f"pruning/nll_{place}", line["nll/mean"], n, "nat", "lower"))
    return rows


def free_share(curve: list[dict[str, Any]]) -> float:
    """Return the largest share before the NLL first leaves that of the first line by more than the slack."""
    nll = np.array([line["nll/mean"] for line in curve])
    left = np.flatnonzero(nll > nll[0] + SLACK_NAT)
    return float(curve[left[0] - 1 if len(left) else -1]["share"])
