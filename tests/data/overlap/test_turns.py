"""Correlation at every angle: turns and reflections are found, and what the moduli rule out is truly out."""

import numpy as np
import pytest

from equirgz.data.overlap.turns import ANGLES, correlate_turns, moduli, pairs_above, transform


def draw_maps(n, seed=0, share=0.8):
    """Return maps (n, 5, ANGLES) of mean 0 and unit norm, alike by a ``share``."""
    generator = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    common = np.stack([np.cos(k * angle + k) for k in range(1, 6)])
    maps = share * common / np.linalg.norm(common) + (1 - share) * generator.normal(size=(n, 5, ANGLES)) / 20
    maps -= maps.mean((1, 2), keepdims=True)
    return (maps / np.sqrt((maps**2).sum((1, 2), keepdims=True))).astype(np.float32)


def test_turns_and_reflections_are_found_as_by_brute_force():
    maps = draw_maps(6, share=0)
    turned = np.concatenate([np.roll(maps, -7, 2), np.roll(maps[:, :, ::-1], 3, 2)])
    i, j = (x.ravel() for x in np.indices((6, 12)))
    value, step, reflect = correlate_turns(transform(maps), transform(turned), i, j)
    every = [[np.roll(b, s, 1) for s in range(ANGLES)] for b in turned]
    mirrored = [[np.roll(np.roll(b[:, ::-1], 1, 1), s, 1) for s in range(ANGLES)] for b in turned]
    for p in range(len(i)):
        plain = [float((maps[i[p]] * b).sum()) for b in every[j[p]]]
        flipped = [float((maps[i[p]] * b).sum()) for b in mirrored[j[p]]]
        assert value[p] == pytest.approx(max(plain + flipped), abs=1e-5)
        assert reflect[p] == (max(flipped) > max(plain))
        assert (flipped if reflect[p] else plain)[step[p]] > value[p] - 1e-5
    same = i == j % 6
    assert (value[same] > 0.99999).all() and (value[~same] < 0.9).all()
    assert (step[i == j] == 7).all() and reflect[same & (j >= 6)].all() and not reflect[i == j].any()


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.99])
def test_no_pair_above_the_threshold_is_ruled_out(quantile):
    a, b = transform(draw_maps(30, 0)), transform(draw_maps(40, 1, share=0.5))
    i, j = (x.ravel() for x in np.indices((30, 40)))
    value, _, _ = correlate_turns(a, b, i, j)
    bound = (moduli(a) @ moduli(b).T).ravel()
    assert (value <= bound + 1e-5).all()
    threshold = np.quantile(bound, quantile)
    kept = {pair for block in pairs_above(moduli(a), moduli(b), threshold) for pair in zip(*block, strict=True)}
    assert set(zip(i[value >= threshold], j[value >= threshold], strict=True)) <= kept
    assert len(kept) == pytest.approx((1 - quantile) * len(i), abs=3)
