"""Figures of sources: attention maps, nearest neighbours, one source as it turns, the map of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.runs import Answers
from benchmarks.evaluation.tables import Evaluation, Rows
from equirgz.data import ImageSet
from equirgz.evaluate.feature_space import map_features
from equirgz.evaluate.similarity import search
from equirgz.report.figures.style import figure_style, save_figure
from equirgz.report.panels.attention_panel import plot_attention
from equirgz.report.panels.map_panel import plot_map
from equirgz.report.panels.query_panel import plot_query_panel
from equirgz.report.panels.turning_panel import plot_source_rotation

CLASSES = ("FRI", "FRII")
N_QUERIES, N_NEIGHBOURS = 4, 6


def draw_search(answer: Answers, part: str, images: ImageSet, stem: Path) -> list[Path]:
    """Draw queries of both classes (the first of each) and their nearest neighbours in the same set."""
    feature_NF, label_N = answer.arrays[f"feature/{part}"], answer.arrays[f"label/{part}"]
    query_Q = np.sort(np.concatenate([np.flatnonzero(label_N == k)[: N_QUERIES // 2] for k in (0, 1)]))
    query_Q = query_Q[np.argsort(label_N[query_Q], kind="stable")]
    index_Qk, similarity_Qk = search(feature_NF[query_Q], feature_NF, N_NEIGHBOURS, leave_out_Q=query_Q)
    with figure_style():
        return save_figure(_query_panel(images.image_NHW, query_Q, index_Qk, similarity_Qk, label_N), stem)


def _query_panel(
    image_NHW: np.ndarray, query_Q: np.ndarray, index_Qk: np.ndarray, similarity_Qk: np.ndarray, label_N: np.ndarray
) -> Any:
    return plot_query_panel(
        image_NHW[query_Q],
        image_NHW[index_Qk],
        similarity_Qk,
        query_title_Q=[f"query {CLASSES[label_N[q]]}" for q in query_Q],
        neighbour_title_Qk=[[CLASSES[label_N[i]] for i in index_k] for index_k in index_Qk],
        same_label_Qk=label_N[index_Qk] == label_N[query_Q][:, None],
    )


def draw_attention(backbones: dict[str, Any], image_HW: np.ndarray, stem: Path) -> list[Path]:
    """Draw one source at five angles and the last gate's map of each trained network."""
    import torch

    from equirgz.evaluate.attention_turns import turn_attention

    with figure_style():
        return save_figure(plot_attention(turn_attention(backbones, torch.as_tensor(image_HW)[None])), stem)


def draw_source(evaluation: Evaluation, stem: Path) -> tuple[list[Path], str]:
    """Draw the samples against angle of the source whose answer turns most in the first network; run 0 of each."""
    first = {name: answers[0] for name, answers in evaluation}
    plain = next(iter(first.values()))
    spread_N = plain.arrays["rotation"].mean(1)[..., 1].std(0)
    source = int(spread_N.argmax())
    samples = {name: a.arrays["rotation"][:, :, source].astype(float) for name, a in first.items()}
    angles = plain.arrays["angles_deg"].tolist()
    name = str(plain.arrays["id/test"][source])
    short = name.split("_")[1] if name.count("_") > 1 else name  # the position in a MiraBest name
    with figure_style():
        figure = plot_source_rotation(samples, angles, class_names=CLASSES, source_name=short)
        return save_figure(figure, stem), name


def draw_map(answer: Answers, stem: Path) -> list[Path]:
    """Draw the two leading components of the features of all MiraBest sources, by class and by angular size."""
    parts = ("train", "val", "test", "test_uncertain", "test_hybrid")
    feature_NF, label_N, size_N = (
        np.concatenate([answer.arrays[f"{kind}/{part}"] for part in parts]) for kind in ("feature", "label", "las")
    )
    with figure_style():
        figure = plot_map(map_features(feature_NF), label_N=label_N, class_names=CLASSES, size_N=size_N)
        return save_figure(figure, stem)


def draw_all(evaluation: Evaluation, pruning: Rows, curves: Rows, out: Path) -> dict[str, list[Path]]:
    """Draw the figures that need no image and no network: answers, rotation, search, pruning, map of features."""
    from benchmarks.evaluation.anomalies import plot_anomalies
    from benchmarks.evaluation.pruning import plot_pruning
    from benchmarks.evaluation.tables import rotation_rows_of
    from equirgz.report.figures.networks import (
        plot_network_reliability,
        plot_network_rotation,
        plot_risk_coverage,
    )

    answers, scaled = evaluation.answers_of(), evaluation.answers_of(scaled=True)
    with figure_style():
        drawn = {
            "reliability": plot_network_reliability(answers, scaled=scaled, class_name="FRII"),
            "risk_coverage": plot_risk_coverage(answers),
            "rotation": plot_network_rotation(rotation_rows_of(evaluation)),
            "anomalies": plot_anomalies(curves),
            "pruning": plot_pruning(pruning),
        }
        paths = {name: save_figure(figure, out / name) for name, figure in drawn.items()}
    paths["rotation_source"], _ = draw_source(evaluation, out / "rotation_source")
    paths["feature_map"] = draw_map(evaluation.by_network[evaluation.names[1]][0], out / "feature_map")
    return paths
