"""How good the features of an encoder are on real sources that it has never seen, and how equivariant it is.

Legend: N labelled sources, M test sources, F features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from equirgz.backbones import load_encoder
from equirgz.config import DataConfig, RunConfig, SplitConfig
from equirgz.data import ImageSet, load_data, split_data
from equirgz.data.root import data_root
from equirgz.evaluate import embed, equivariance_error
from equirgz.evaluate.probe import linear_probe
from equirgz.metrics import compute_metrics
from equirgz.metrics.interval import student_interval

LABEL_COUNTS, LABEL_SETS = (50, 145, 729), 10
N_SIMULATED = 4000
NUMBERS = ("error/rate", "nll/mean", "calibration/ece")


def measure_encoder(
    path: Path, config: RunConfig, data_dir: Path | None, label_counts: tuple[int, ...] = LABEL_COUNTS
) -> list[dict[str, Any]]:
    """Return rows (set, labels, metric, value, half_width, n): a logistic probe, its penalty chosen among the labels.

    Label sets are those of split seeds 0 to 9; the interval is Student's over them (none where all are labelled).
    With 0 labels the probe is fitted on simulated sources of the encoder's survey, and answers for real ones.
    """
    encoder = load_encoder(path).float()
    fields = config.data.model_dump(exclude={"name", "params"})
    data_config = DataConfig(**fields | {"name": "mirabest_confident"})
    data = load_data(data_config, data_root(data_dir))
    test, rows = data.tests["test"], []
    h_test_MF, h_train_NF = (embed(encoder, images.x_NCHW) for images in (test, data.train))
    rows += answers_of_simulation(
        encoder, config, {"104 test": (h_test_MF, test), "729 training": (h_train_NF, data.train)}
    )
    for n_labels in label_counts:
        found: dict[str, list[float]] = {name: [] for name in NUMBERS}
        for seed in range(LABEL_SETS if n_labels < len(data.train) else 1):
            split = split_data(data, data_config, SplitConfig(n_labels=n_labels, split_seed=seed))[1]
            chosen_N = split.train_index
            p_MK = linear_probe(
                h_train_NF[chosen_N], data.train.label_N[chosen_N], h_test_MF, inverse_penalty="cv", n_classes=2
            )
            for row in compute_metrics(p_MK, test.label_N, list(NUMBERS)):
                found[row["metric"]].append(row["value"])
        for name, values in found.items():
            half = student_interval(np.array(values)).half_width if len(values) > 1 else None
            rows.append(
                {
                    "set": "mirabest_confident, 104 test sources",
                    "labels": n_labels,
                    "metric": name,
                    "value": float(np.mean(values)),
                    "half_width": half,
                    "n": len(values),
                }
            )
    import torch

    turned = equivariance_error(encoder, torch.from_numpy(test.x_NCHW[:64]), (90.0, 45.0), reflect=(False,))
    rows += [
        {
            "set": f"turned by {row['angle_deg']:g} degrees",
            "labels": 0,
            "metric": f"equivariance/{row['what']}",
            "value": row["relative_l2"],
            "half_width": None,
            "n": 64,
        }
        for row in turned
        if row["what"] == "features"
    ]
    return rows


def answers_of_simulation(
    encoder: Any, config: RunConfig, real: dict[str, tuple[np.ndarray, ImageSet]]
) -> list[dict[str, Any]]:
    """Return the rows of a probe that has seen simulated sources alone, for real sources (features, images) by name."""
    params = config.data.params | {"n_train": N_SIMULATED, "n_test": 0, "seed": 1}
    made = load_data(config.data.model_copy(update={"params": params}), None).train
    h_NF, rows = embed(encoder, made.x_NCHW), []
    for name, (h_MF, images) in real.items():
        p_MK = linear_probe(h_NF, made.label_N, h_MF, inverse_penalty="cv", n_classes=2)
        rows += [
            {
                "set": f"mirabest_confident, {name} sources",
                "labels": 0,
                "metric": row["metric"],
                "value": row["value"],
                "half_width": None,
                "n": 1,
            }
            for row in compute_metrics(p_MK, images.label_N, list(NUMBERS))
        ]
    return rows
