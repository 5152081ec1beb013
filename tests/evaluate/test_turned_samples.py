"""Predictive samples against angle: rows per angle, the overlap per source, the figure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz.errors import InputError
from equirgz.evaluate.predict import mean_over_turns, predict_turns
from equirgz.evaluate.turned_samples import (
    overlap_rows,
    rotation_samples,
    rotation_samples_of_views,
    source_rows,
)
from equirgz.metrics.uncertainty.overlap_index import overlap_index
from equirgz.report.panels.turning_panel import plot_source_rotation


def _overlap(probability_SNK: np.ndarray) -> np.ndarray:
    """Share of samples in which the second class beats 0.5: stands in for an index in [0, 1]."""
    return (probability_SNK[:, :, 1] > 0.5).mean(0)


def _samples(x: torch.Tensor) -> np.ndarray:
    p = x[:, 0, 4, 8].double().numpy()  # brightness at the right rim
    p_SN = np.stack([0.25 * p, 0.9 * p])
    return np.stack([1 - p_SN, p_SN], -1)


def test_samples_follow_the_turned_image_and_rows_hold_their_means() -> None:
    x = np.zeros((2, 9, 9), np.float32)
    x[0, 4, 8] = x[1, 8, 4] = 1.0  # right; below
    p = rotation_samples(_samples, x, (0, 90))
    assert p.shape == (2, 2, 2, 2)
    assert np.allclose(p[0, :, 0, 1], [0.25, 0.9]) and np.allclose(p[1, :, 1, 1], [0.25, 0.9])
    assert np.allclose(p[0, :, 1, 1], 0) and np.allclose(p[1, :, 0, 1], 0)
    rows = {(r["metric"], r["angle_deg"]): r["value"] for r in overlap_rows(p, np.array([1, 0]), (0, 90), _overlap)}
    assert rows["rotation/overlap", 0.0] == pytest.approx(0.25)  # one of two samples of one of two sources
    assert rows["rotation/error", 0.0] == 0 and rows["rotation/error", 90.0] == 100
    default = [r["value"] for r in overlap_rows(p, np.array([1, 0]), (0, 90)) if r["metric"] == "rotation/overlap"]
    assert default == pytest.approx([overlap_index(samples).mean() for samples in p])
    with pytest.raises(InputError, match="S, N, K"):
        overlap_rows(p[0], np.array([1, 0]), (0, 90), _overlap)


@pytest.mark.parametrize(
    ("n_angles", "views", "n_turns"), [(4, 8, 8), (8, 8, 16), (8, 4, 8), (4, 1, 4), (6, 2, 6), (7, 3, 21), (1, 5, 5)]
)
@pytest.mark.parametrize("mask", [True, False])
def test_angles_a_quarter_apart_share_the_turns_of_their_views(n_angles, views, n_turns, mask) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(324, 3)
    )
    x = torch.randn(3, 1, 13, 13)
    angles, turns = [360.0 * a / n_angles for a in range(n_angles)], [360.0 * v / views for v in range(views)]
    asked: list[float] = []

    def answers(images: torch.Tensor, wanted: list[float]) -> dict[float, np.ndarray]:
        asked.extend(wanted)
        return predict_turns(network, images, wanted, 1)

    def mean(images: torch.Tensor) -> np.ndarray:
        return mean_over_turns(predict_turns(network, images, turns, 1), turns)

    shared = rotation_samples_of_views(answers, x, angles, views, mask=mask)
    np.testing.assert_allclose(shared, rotation_samples(mean, x, angles, mask=mask), atol=2e-6)
    assert len(asked) == n_turns <= n_angles * views


def test_rows_per_source_by_hand_and_their_means_are_those_over_angles() -> None:
    p_AN = np.array([[0.9, 0.4], [0.7, 0.0], [0.2, 0.0]])  # of class 1, one sample
    p = np.stack([1 - p_AN, p_AN], -1)[:, None]
    first, second = source_rows(p, np.array([1, 1]), ["a", "b"], lambda samples: samples[0, :, 1])
    assert (first["source_id"], first["label"], first["n_angles"]) == ("a", 1, 3)
    assert first["error_share"] == pytest.approx(1 / 3) and second["error_share"] == 1
    assert first["confidence_mean"] == pytest.approx(0.8) and second["confidence_mean"] == pytest.approx(2.6 / 3)
    assert first["confidence_std"] == pytest.approx(np.std([0.9, 0.7, 0.8]))
    h = -(0.4 * np.log(0.4) + 0.6 * np.log(0.6))  # then 0 twice
    assert second["entropy_mean"] == pytest.approx(h / 3) and second["entropy_std"] == pytest.approx(np.std([h, 0, 0]))
    assert first["overlap_mean"] == pytest.approx(0.6) and second["overlap_std"] == pytest.approx(np.std([0.4, 0, 0]))

    p = np.random.default_rng(0).dirichlet((1, 2), (4, 9, 6))
    target = np.array([0, 1, 1, 0, 1, 1])
    sources, angles = source_rows(p, target, list("abcdef")), overlap_rows(p, target, [0, 90, 180, 270])
    for metric, column, unit in (("error", "error_share", 100), *((m, f"{m}_mean", 1) for m in
                                 ("confidence", "entropy", "overlap"))):  # fmt: skip
        over_angles = np.mean([row["value"] for row in angles if row["metric"] == f"rotation/{metric}"])
        assert unit * np.mean([row[column] for row in sources]) == pytest.approx(over_angles)
    with pytest.raises(InputError, match="6 names"):
        source_rows(p, target, ["a"])
    with pytest.raises(InputError, match="S, N, K"):
        source_rows(p[0], target, list("abcdef"))
    with pytest.raises(InputError, match="5, K"):
        source_rows(p, target[:5], list("abcde"))


def test_figure_has_a_panel_per_network_and_all_overlaps() -> None:
    rng = np.random.default_rng(0)
    samples = {name: rng.dirichlet((2, 3), (5, 7)) for name in ("plain", "D8")}
    figure = plot_source_rotation(
        samples, [0, 30, 60, 90, 120], _overlap, class_names=("FRI", "FRII"), image_HW=rng.random((9, 9))
    )
    panels = figure.axes[:3]
    assert [p.get_title() for p in panels[:2]] == ["plain", "D8"]
    assert len(panels[0].lines) == 4 and len(panels[0].lines[0].get_xdata()) == 5 * 7
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["FRI", "FRII", "plain", "D8"]
    assert np.allclose(panels[2].lines[1].get_ydata(), (samples["D8"][:, :, 1] > 0.5).mean(1))
    figure.canvas.draw()
