"""What the features carry: like sources near each other, sizes, clusters, and strangers. Legend: N sources."""

from __future__ import annotations

import numpy as np

from equirgz.data.sky.physical_size import physical_size_kpc
from equirgz.errors import InputError
from equirgz.evaluate.feature_space import cluster_sources, correlate_with_size
from equirgz.evaluate.similarity import retrieval_rows
from equirgz.grid.further.answers import Answers, Rows, make_row
from equirgz.metrics.uncertainty.out_of_distribution import energy_score
from equirgz.metrics.uncertainty.uncertainty_rows import compute_ood_metrics
from equirgz.retrieval.engine import search

KS = (1, 5, 10)
NEIGHBOUR = 5  # whose distance says how strange a source is


def neighbour_rows(answers: Answers) -> Rows:
    """Return, per labelled test set, the share of the nearest labelled training sources that are of the class of a
    source, beside what a random order would give."""
    gallery = {"gallery_MF": answers.feature_NF("train"), "gallery_label_M": answers.label_N("train")}
    ks = [k for k in KS if k <= len(answers.label_N("train"))]
    return [
        {"readout": "features", "split": split, **row}
        for split in ("test", *answers.others)
        if (answers.label_N(split) >= 0).any()
        for row in retrieval_rows(answers.feature_NF(split), answers.label_N(split), ks, **gallery)
    ]


def size_rows(answers: Answers) -> Rows:
    """Return how much of the logarithm of the angular size, and of the physical size at the redshift, the features of
    all test sources carry, out of fold. No rows for sizes that the catalogue does not give."""
    splits = [s for s in ("test", *answers.others) if "las_arcsec" in answers.sets[s].table]
    if not splits:
        return []
    feature_NF = np.concatenate([answers.feature_NF(split) for split in splits])
    tables = [answers.sets[split].table for split in splits]
    angle_N = np.concatenate([table["las_arcsec"].to_numpy(float) for table in tables])
    sizes_N = {"size": angle_N}
    if all("redshift" in table for table in tables):
        redshift_N = np.concatenate([table["redshift"].to_numpy(float) for table in tables])
        sizes_N["physical_size"] = physical_size_kpc(angle_N, redshift_N)
    rows = []
    for name, size_N in sizes_N.items():
        try:
            found = correlate_with_size(feature_NF, size_N, name=name, n_bootstrap=1)
        except InputError:  # fewer sizes than the folds need
            continue
        rows += [make_row("test", r["metric"], r["value"], r["n"]) | {"readout": "features"} for r in found]
    return rows


def cluster_rows(answers: Answers) -> Rows:
    """Return, of all labelled sources that were not trained on, how many clusters there are, the share of the sources
    in one, and the share of these that are of the commonest class of their cluster, beside that in the whole."""
    splits = [name for name in answers.sets if name != "train"]
    feature_NF, label_N = (
        np.concatenate([f(split) for split in splits]) for f in (answers.feature_NF, answers.label_N)
    )
    feature_NF, label_N = feature_NF[label_N >= 0], label_N[label_N >= 0]
    cluster_N = cluster_sources(feature_NF)
    inside_N = cluster_N >= 0
    commonest = [np.bincount(label_N[cluster_N == c]).max() for c in range(cluster_N.max() + 1)]
    values = {
        "count": float(len(commonest)),
        "share": float(inside_N.mean()),
        "purity": sum(commonest) / inside_N.sum() if commonest else None,
        "purity_chance": np.bincount(label_N).max() / len(label_N),
    }
    return [make_row("test", f"cluster/{k}", v, len(label_N)) | {"readout": "features"} for k, v in values.items()]


def outside_rows(answers: Answers) -> Rows:
    """Return how well two scores tell each other test set from ``test``: the energy of the logits, and the distance
    (one minus cosine) to the fifth nearest labelled training source; AUROC, and false alarms (%) at 95 % found."""
    k = min(NEIGHBOUR, len(answers.label_N("train")))

    def distance(split: str) -> np.ndarray:
        return 1.0 - search(answers.feature_NF(split), answers.feature_NF("train"), k)[1][:, -1]

    scores = {"energy": lambda split: energy_score(answers.logits_NK(split)), "distance": distance}
    rows = []
    for name, score in scores.items():
        inside_N = score("test")
        for split in answers.others:
            for row in compute_ood_metrics(inside_N, {split: score(split)}):
                found = make_row(split, f"{row['metric']}_{name}", row["value"], row["n_outside"], row["unit"])
                rows.append(found | {"direction": row["direction"]})
    return rows
