"""Maps, clusters and the correlation with size, on embeddings whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.evaluate.feature_space import cluster_sources, correlate_with_size, map_features
from equirgz.report.panels.map_panel import plot_map


def _groups(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1, 2], (60, 40, 20))
    return 6 * np.eye(3, 9)[label] + 0.4 * rng.normal(size=(120, 9)), label


def test_pca_map_keeps_the_leading_variance_and_its_signs() -> None:
    features, label = _groups()
    xy = map_features(features)
    z = (features - features.mean(0)) / features.std(0)
    singular = np.linalg.svd(z, compute_uv=False)
    assert np.allclose(np.linalg.norm(xy, axis=0), singular[:2])
    centres = np.array([xy[label == c].mean(0) for c in range(3)])
    spread = max(xy[label == c].std() for c in range(3))
    assert min(np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > spread
    order = np.random.default_rng(1).permutation(120)
    assert np.allclose(map_features(features[order]), xy[order], atol=1e-8)


def test_clusters_are_the_groups_largest_first() -> None:
    features, label = _groups()
    cluster = cluster_sources(features)
    inside = cluster >= 0
    assert inside.mean() > 0.9 and np.array_equal(cluster[inside], label[inside])
    assert set(cluster_sources(np.random.default_rng(0).uniform(size=(40, 8)), min_size=15)) <= {-1, 0}


def test_size_is_found_where_it_is_and_not_where_it_is_not() -> None:
    rng = np.random.default_rng(0)
    size = np.exp(rng.normal(3, 0.5, 300))
    noise = rng.normal(size=(300, 10))
    carries = noise.copy()
    carries[:, 3] += 5 * np.log(size)
    with_size = {r["metric"]: r for r in correlate_with_size(carries, size)}
    r2 = with_size["representation/size_r2"]
    assert 0.7 < r2["low"] < r2["value"] < r2["high"] < 1 and r2["n"] == 300
    assert with_size["representation/size_spearman"]["value"] > 0.85
    named = correlate_with_size(carries, size, name="physical_size")
    assert [r["metric"] for r in named] == ["representation/physical_size_r2", "representation/physical_size_spearman"]
    without = {r["metric"]: r["value"] for r in correlate_with_size(noise, size)}
    assert without["representation/size_r2"] < 0.05 and abs(without["representation/size_spearman"]) < 0.2
    missing = size.copy()
    missing[:50] = np.nan
    missing[50:60] = 0
    assert correlate_with_size(carries, missing)[0]["n"] == 240


def test_bad_input() -> None:
    features, _ = _groups()
    with pytest.raises(InputError, match="unknown 'tsne'"):
        map_features(features, "tsne")
    with pytest.raises(InputError, match="N >= 3"):
        map_features(features[:2])
    with pytest.raises(InputError, match="NaN"):
        cluster_sources(features * np.nan)
    with pytest.raises(InputError, match="one size for all"):
        correlate_with_size(features, np.ones(120))
    with pytest.raises(InputError, match="4 sources with a size"):
        correlate_with_size(features, np.r_[1.0, 2.0, 3.0, 4.0, np.zeros(116)])
    with pytest.raises(InputError, match="neither"):
        plot_map(features[:, :2])


def test_the_map_has_a_panel_per_colouring_and_every_source() -> None:
    features, label = _groups()
    label = label.copy()
    label[:10] = -1
    size = np.linspace(5, 100, 120)
    size[3] = np.nan
    figure = plot_map(features[:, :2], label_N=label, class_names=("FRI", "FRII"), size_N=size)
    by_class, by_size = figure.axes[:2]
    assert [t.get_text() for t in by_class.get_legend().get_texts()] == ["FRI", "FRII", "class 2"]
    for panel in (by_class, by_size):
        assert sum(len(c.get_offsets()) for c in panel.collections) == 120
    assert len(plot_map(features[:, :2], label_N=label).axes) == 1
    figure.canvas.draw()
