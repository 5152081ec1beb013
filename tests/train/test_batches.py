"""Passes are permutations, batches keep their size, states continue, views come from their own streams."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from equirgz.config import TrainConfig
from equirgz.errors import InputError
from equirgz.geometry.action import disk_mask
from equirgz.objectives import create_objective
from equirgz.tasks.regression import Quantity, Regression
from equirgz.tasks.several import Several
from equirgz.train.images import TrainImages
from equirgz.train.sources.batches import BatchMaker, split_batch
from equirgz.train.sources.streams import IndexStream
from tests.train.toy import make_backbone, make_task


@pytest.mark.parametrize("n, size", [(10, 4), (10, 10), (7, 3), (5, 2)])
def test_every_source_is_drawn_equally_often(n, size):
    stream = IndexStream(n, size, 0)
    drawn = []
    for _ in range(n * 3):
        batch = stream.next().tolist()
        assert len(batch) == size
        drawn += batch
        counts = Counter(drawn)
        assert max(counts.values()) - min(counts.get(i, 0) for i in range(n)) <= 1
    passes = [drawn[i * n : (i + 1) * n] for i in range(3)]
    assert all(sorted(one) == list(range(n)) for one in passes)
    assert passes[0] != passes[1]


def test_stream_state_continues():
    stream = IndexStream(11, 4, 3)
    stream.next()
    state = stream.state_dict()
    expected = [stream.next().tolist() for _ in range(9)]
    other = IndexStream(11, 4, 99)
    other.load_state_dict(state)
    assert [other.next().tolist() for _ in range(9)] == expected


def test_batch_is_at_most_the_labelled_sources():
    x_NCHW, y_N = make_task(6)
    maker = BatchMaker(
        create_objective("supervised", make_backbone(), 2),
        TrainImages(x_NCHW, y_N),
        TrainConfig(batch_size=64, augmentation="none", augmentation_params={"mask": False}),
        0,
    )
    batch = maker.next()
    index_B = batch.index["labelled"]
    assert sorted(index_B.tolist()) == list(range(6))
    assert torch.equal(batch.view["labelled"], x_NCHW[index_B])
    assert torch.equal(batch.label_B, y_N[index_B])


def test_two_views_are_of_the_same_sources_but_differ():
    x_NCHW, _ = make_task(8)
    objective = create_objective("byol", make_backbone(), 2)
    maker = BatchMaker(objective, TrainImages(u_MCHW=x_NCHW), TrainConfig(batch_size=8), 0)
    a_BCHW, b_BCHW = maker.next().view.values()
    assert not torch.allclose(a_BCHW, b_BCHW)
    flux_a_B, flux_b_B = a_BCHW.sum((1, 2, 3)), b_BCHW.sum((1, 2, 3))
    assert torch.corrcoef(torch.stack([flux_a_B, flux_b_B]))[0, 1] > 0


def test_parts_of_a_batch_cover_it():
    x_NCHW, y_N = make_task(8)
    maker = BatchMaker(
        create_objective("supervised", make_backbone(), 2),
        TrainImages(x_NCHW, y_N),
        TrainConfig(batch_size=8),
        0,
    )
    batch = maker.next()
    parts = [split_batch(batch, i, 4) for i in range(4)]
    assert sorted(sum((p.index["labelled"].tolist() for p in parts), [])) == list(range(8))
    assert all(torch.equal(p.label_B, y_N[p.index["labelled"]]) and len(p.label_B) == 2 for p in parts)


@pytest.mark.parametrize("name", ["supervised", "fixmatch", "byol"])
@pytest.mark.parametrize("mask", [True, False])
def test_views_are_masked_exactly_where_the_set_is(name, mask):
    x_NCHW, y_N = make_task(16)
    images = TrainImages(x_NCHW + 1, y_N, x_NCHW + 1, mask=mask)
    config = TrainConfig(batch_size=8, augmentation="flips")
    batch = BatchMaker(create_objective(name, make_backbone(), 2), images, config, 0).next()
    outside_HW = disk_mask(x_NCHW.shape[-1]) == 0
    assert outside_HW.any()
    for role, view_BCHW in batch.view.items():
        assert bool((view_BCHW[..., outside_HW] == 0).all()) == mask, role


def test_an_integer_pool_stays_small_and_gives_the_same_views():
    pool_MHW = torch.randint(0, 256, (20, 9, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    config, found = TrainConfig(batch_size=8, augmentation="rotation_flips"), []
    for u in (pool_MHW, pool_MHW.float() / 255):
        images = TrainImages(u_MCHW=u).to(torch.device("cpu"), torch.float32)
        assert images.u_MCHW.dtype == u.dtype
        found.append(BatchMaker(create_objective("byol", make_backbone(), 2), images, config, 0).next())
    for role, view_BCHW in found[0].view.items():
        assert view_BCHW.dtype == torch.float32 and torch.equal(view_BCHW, found[1].view[role])


@pytest.mark.parametrize("period", [180.0, None])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("augmentation", ["none", "flips", "rotation", "rotation_flips", "full", "weak", "strong"])
def test_images_of_circular_targets_are_not_turned_away_from_them(augmentation, several, period):
    x_NCHW, _ = make_task(8)
    task = Regression((Quantity("las_arcsec"), Quantity("angle_deg", "deg", period=period)))
    task = Several((task,), (1.0,)) if several else task
    objective = create_objective("supervised", make_backbone(), task)
    images = TrainImages(x_NCHW, torch.rand(8, 2, dtype=torch.float64))
    config = TrainConfig(batch_size=8, augmentation=augmentation)
    if period is None or augmentation == "none":
        BatchMaker(objective, images, config, 0)
        return
    with pytest.raises(InputError, match="'angle_deg'.*turns images and not their targets.*set augmentation to none"):
        BatchMaker(objective, images, config, 0)
