"""Clusters of similar sources among those that no network was trained on. Legend: N sources, F features."""

from __future__ import annotations

import numpy as np

from benchmarks.evaluation.tables import Evaluation, Rows
from equirgz.evaluate.feature_space import cluster_sources
from equirgz.report.tables.pivot import show_number
from equirgz.report.tables.sheet import Sheet

PARTS = ("val", "test", "test_uncertain", "test_hybrid")
KINDS = ("FRI", "FRII", "hybrid")


def cluster_rows(evaluation: Evaluation) -> Rows:
    """Return a row per network (run 0) and cluster, then one for sources in none and one for all.

    n; n_FRI, n_FRII, n_hybrid; purity, the share of the most frequent of these; uncertain_share of the catalogue's
    uncertain sources; median largest angular size (arcsec).
    """
    rows = []
    for name, answers in evaluation:
        arrays = answers[0].arrays
        feature_NF, label_N, size_N = (
            np.concatenate([arrays[f"{kind}/{part}"] for part in PARTS]) for kind in ("feature", "label", "las")
        )
        kind_N = np.where(label_N < 0, 2, label_N)
        uncertain_N = np.concatenate([np.full(len(arrays[f"label/{p}"]), p == "test_uncertain") for p in PARTS])
        cluster_N = cluster_sources(feature_NF)
        chosen = {f"{c + 1}": cluster_N == c for c in range(cluster_N.max() + 1)}
        for cluster, mask_N in {**chosen, "none": cluster_N < 0, "all": cluster_N >= -1}.items():
            if not mask_N.any():
                continue
            count_K = np.bincount(kind_N[mask_N], minlength=3)
            rows.append({
                "network": name, "cluster": cluster, "n": int(mask_N.sum()),
                **{f"n_{kind}": int(count) for kind, count in zip(KINDS, count_K, strict=True)},
                "purity": float(count_K.max() / count_K.sum()), "uncertain_share": float(uncertain_N[mask_N].mean()),
                "median_size_arcsec": float(np.nanmedian(size_N[mask_N])),
            })  # fmt: skip
    return rows


def cluster_sheet(rows: Rows) -> Sheet:
    """Return a line per network and cluster."""
    lines = [
        [row["network"], row["cluster"], str(row["n"]), *(str(row[f"n_{kind}"]) for kind in KINDS),
         show_number(row["purity"], 2), show_number(row["uncertain_share"], 2),
         show_number(row["median_size_arcsec"], 0)]
        for row in rows
    ]  # fmt: skip
    caption = [
        "Clusters of similar sources",
        "HDBSCAN on ten principal components of the features of run 0, at least five sources each, labels unseen; "
        "sources that were not trained on: validation and confident, uncertain and hybrid test sources",
        "Purity: share of the most frequent of FRI, FRII and hybrid; uncertain: share of sources that the catalogue is "
        "unsure of; size: median largest angular size",
    ]
    header = ["network", "cluster", "sources", *KINDS, "purity", "uncertain", "size (arcsec)"]
    return Sheet(caption[0], 2, header, [""] * len(header), lines, caption, label="clusters")


def say_clusters(rows: Rows) -> str:
    """Say the number of clusters, the share of sources in them and their purity beside that of all sources."""
    told = []
    for name in dict.fromkeys(row["network"] for row in rows):
        mine = {row["cluster"]: row for row in rows if row["network"] == name}
        inside = [row for cluster, row in mine.items() if cluster not in ("none", "all")]
        n = sum(row["n"] for row in inside)
        share = 100 * n / mine["all"]["n"]
        purity = sum(row["n"] * row["purity"] for row in inside) / n if n else float("nan")
        told.append(f"{name} {len(inside)} clusters with {share:.0f} % of the sources, purity "
                    f"{show_number(purity, 2)} (all sources {show_number(mine['all']['purity'], 2)})")  # fmt: skip
    return f"Found are {'; '.join(told)}."
