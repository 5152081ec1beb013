"""On real MiraBest sources: what the tools say about features whose meaning is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from equirgz.augment import create_augmentation
from equirgz.config import DataConfig
from equirgz.data import ImageSet, load_data
from equirgz.evaluate.feature_space import correlate_with_size
from equirgz.evaluate.similarity import retrieval_rows
from equirgz.geometry.action import warp
from equirgz.retrieval.engine import search


@pytest.fixture(scope="module")
def sources(data_root: Path) -> ImageSet:
    return load_data(DataConfig(name="mirabest_confident", image_size=75), data_root).tests["test"]


def _radial_profile(x_NCHW: np.ndarray) -> np.ndarray:
    """Mean brightness in 24 rings: invariant under turns, and wide where a source is large."""
    size = x_NCHW.shape[-1]
    axis = np.arange(size) - (size - 1) / 2
    ring = (np.hypot(axis[:, None], axis[None]) / (size / 2) * 24).astype(int)
    return np.stack([x_NCHW[:, 0][:, ring == r].mean(1) for r in range(24)], 1)


def test_a_turned_source_finds_itself_by_its_profile(sources: ImageSet) -> None:
    x = np.asarray(sources.x_NCHW)
    turned = warp(torch.as_tensor(x), 90.0).numpy()
    index, similarity = search(_radial_profile(turned), _radial_profile(x), 1)
    assert np.array_equal(index[:, 0], np.arange(len(x))) and similarity.min() > 1 - 1e-6
    tilted = warp(torch.as_tensor(x), 37.0).numpy()
    index, _ = search(_radial_profile(tilted), _radial_profile(x), 1)
    assert (index[:, 0] == np.arange(len(x))).mean() > 0.9


def test_radial_profiles_carry_the_catalogued_size_and_shuffled_sizes_do_not(sources: ImageSet) -> None:
    profile, size = _radial_profile(np.asarray(sources.x_NCHW)), sources.table["las_arcsec"].to_numpy(float)
    r2 = correlate_with_size(profile, size)[0]
    assert r2["value"] > 0.5 and r2["low"] > 0.3 and r2["n"] > 100
    shuffled = np.random.default_rng(0).permutation(size)
    assert correlate_with_size(profile, shuffled)[0]["value"] < 0.1


def test_profiles_tell_fri_from_frii_better_than_chance(sources: ImageSet) -> None:
    """FRI are bright in the middle, FRII at the edge."""
    precision, chance = retrieval_rows(_radial_profile(np.asarray(sources.x_NCHW)), sources.label_N, (5,))
    assert precision["value"] > chance["value"] + 0.15


def test_augmented_real_sources_keep_their_flux_and_range(sources: ImageSet) -> None:
    x = torch.as_tensor(np.asarray(sources.x_NCHW))
    masked = create_augmentation("none")(x, torch.Generator())
    view = create_augmentation("rotation_flips")(x, torch.Generator().manual_seed(0))
    ratio = view.sum((1, 2, 3)) / masked.sum((1, 2, 3))
    assert (ratio - 1).abs().quantile(0.95) < 0.02  # sources that reach the rim may lose more
    assert view.min() >= masked.min() - 1e-6 and view.max() <= masked.max() + 1e-6
