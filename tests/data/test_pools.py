"""Several sets without labels as one: every batch holds its shares, leaks are checked in each, canvases go along."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.config import DataConfig, TrainConfig
from equirgz.data import load_data
from equirgz.data.imageset import ImageSet
from equirgz.data.pools import join_pools, measure_shares
from equirgz.data.preprocess import Preprocessing, disk
from equirgz.errors import EquirgzError, InputError
from equirgz.train.sources.streams import MixedStream


def _set(name: str, n: int, size: int = 21, **more) -> ImageSet:
    rng = np.random.default_rng(len(name))
    image = rng.random((n, size, size), dtype=np.float32)
    return ImageSet(name, image, np.full(n, -1), [f"{name}{i}" for i in range(n)], **more)


@settings(max_examples=20, deadline=None)
@given(
    parts=st.lists(st.tuples(st.integers(1, 9), st.floats(0.05, 5)), min_size=1, max_size=4),
    batch_size=st.integers(4, 17),
)
def test_every_batch_holds_its_shares(parts: list[tuple[int, float]], batch_size: int) -> None:
    stream, whole = MixedStream(parts, batch_size, seed=1), sum(share for _, share in parts)
    edges = np.cumsum([0, *(n for n, _ in parts)])
    first = np.histogram(stream.next().numpy(), edges)[0]
    wanted = np.array([batch_size * share / whole for _, share in parts])
    assert first.sum() == batch_size and first.min() >= 1
    assert (np.abs(first - wanted) < 1 + (wanted < 1).sum()).all()
    assert (np.histogram(stream.next().numpy(), edges)[0] == first).all(), "the shares change from batch to batch"


def test_a_part_is_seen_evenly_and_a_stream_goes_on_where_it_was() -> None:
    stream = MixedStream([(5, 0.5), (7, 0.5)], 4, seed=3)
    drawn = torch.cat([stream.next() for _ in range(35)])  # 70 draws of each part
    assert set(torch.bincount(drawn)[:5].tolist()) == {14} and set(torch.bincount(drawn)[5:].tolist()) == {10}
    again = MixedStream([(5, 0.5), (7, 0.5)], 4, seed=9)
    again.load_state_dict(stream.state_dict())
    assert all(torch.equal(again.next(), stream.next()) for _ in range(5))
    with pytest.raises(InputError, match="batch_size: expected at least 3"):
        MixedStream([(5, 1.0)] * 3, 2, seed=0)


def test_joined_sets_keep_positions_marks_and_own_ids_apart() -> None:
    placed = _set("a", 3, position_deg_N2=np.ones((3, 2)), pixel_scale_arcsec=1.8)
    own = _set("b", 2, own_ids=True, pixel_scale_arcsec=3.0)
    joined = join_pools({"first": placed, "mine": own, "twice": placed})
    assert len(joined) == 5, "a source of an earlier set is taken once"
    assert joined.table["pool"].tolist() == ["first"] * 3 + ["mine"] * 2
    assert np.isnan(joined.position_deg_N2[3:]).all() and (joined.position_deg_N2[:3] == 1).all()
    assert joined.source_id_N[3] == "mine/b0" and joined.own_ids and np.isnan(joined.pixel_scale_arcsec)


def test_canvases_are_the_image_with_more_sky_around_it() -> None:
    field = _set("field", 4, 41)
    cut = Preprocessing(21, crop=21, mask=True)(field, canvas=1.5)
    assert cut.canvas_NHW.shape == (4, 31, 31)
    np.testing.assert_array_equal(cut.canvas_NHW[:, 5:-5, 5:-5] * disk(21), cut.image_NHW)
    assert cut.checksum == Preprocessing(21, crop=21)(field).checksum, "a canvas changes no identity"
    assert cut.subset([2]).canvas_NHW.shape == (1, 31, 31)
    assert Preprocessing(21)(field, canvas=1.5).canvas_NHW is None, "there is no sky outside the whole image"
    assert Preprocessing(21, crop=35)(field, canvas=4.0).canvas_NHW.shape[-1] == 25, "as far as the images reach"
    coarse = Preprocessing(11, crop=21)(field, canvas=1.5).canvas_NHW
    assert coarse.shape == (4, 17, 17)


def test_two_pools_are_loaded_checked_and_shared() -> None:
    pool = {"name": "synthetic_fr", "share": 3.0, "params": {"n_train": 12, "n_test": 6, "seed": 5}}
    other = {"name": "synthetic_fr", "share": 1.0, "params": {"n_train": 9, "n_test": 6, "seed": 6}}
    config = DataConfig(image_size=17, params={"n_train": 12, "n_test": 6}, unlabelled=[pool, other])
    data = load_data(config)
    assert len(data.unlabelled) == 21 and (data.unlabelled.label_N == -1).all()
    assert measure_shares(config, data.unlabelled) == [(12, 3.0), (9, 1.0)]
    bare = [{key: value for key, value in one.items() if key != "share"} for one in (pool, other)]
    config = DataConfig(image_size=17, params={"n_train": 12, "n_test": 6}, unlabelled=bare)
    assert measure_shares(config, load_data(config).unlabelled) == []


def test_every_pool_is_checked_for_test_sources(data_root) -> None:
    pools = [{"name": "pool_first150", "share": 0.5}, {"name": "radio_galaxy_dataset", "share": 0.5}]
    options = {"image_size": 15, "crop": 81, "unlabelled": pools}
    with pytest.raises(InputError, match=r"radio_galaxy_dataset.*within 270 arcsec of a test source"):
        load_data("mirabest_confident", data_root, **options)


def test_meerkat_sources_beside_first(data_root) -> None:
    pools = [{"name": "pool_first150", "share": 0.5}, {"name": "mgcls_extended", "share": 0.5}]
    data = load_data("mirabest_confident", data_root, image_size=15, crop=81, unlabelled=pools)
    found = data.unlabelled.table["pool"].value_counts()
    assert found["pool_first150"] == 2324 and found["mgcls_extended"] == 4121
    assert data.unlabelled.image_NHW[-4121:].any((1, 2)).all()
    assert np.isfinite(data.unlabelled.position_deg_N2).all()
    rated = load_data("mgcls_extended", data_root, image_size=15, params={"scored": True, "as_published": True}).train
    assert len(rated) == 1031 and set(rated.table["anomaly_score"]) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"unlabelled": []}, "at least one set"),
        ({"unlabelled": [{"name": "a", "share": 1}, {"name": "b"}]}, "a share for every set"),
        ({"unlabelled": [{"name": "a", "share": 0}]}, "share"),
        ({"unlabelled": [{"name": "a", "shares": 1}]}, "share"),
        ({"unlabelled": [{"name": "a"}], "unlabelled_params": {"x": 1}}, "unlabelled_params"),
        ({"unlabelled": [{"name": "a", "share": 1}], "unlabelled_with_train": True}, "without shares"),
        ({"unlabelled": [{"name": "pool_first"}]}, "did you mean 'pool_first150'"),
    ],
)
def test_bad_lists_are_one_line(fields: dict, words: str) -> None:
    with pytest.raises(EquirgzError, match=words) as caught:
        load_data(DataConfig(**fields))
    assert "\n" not in str(caught.value)


def test_views_are_cut_from_the_canvas() -> None:
    """Without a turn of the source in the middle, what lies outside the image comes into view."""
    from equirgz.train.images import TrainImages
    from equirgz.train.sources.batches import BatchMaker

    class TwoViews(torch.nn.Module):
        from equirgz.objectives.base import View

        views = {"wide": View("unlabelled"), "plain": View("unlabelled", "none")}
        unlabelled_ratio = 1
        target_task = SimpleNamespace(dense=False, circular=False)

    canvas = torch.zeros(8, 1, 15, 15)
    canvas[:, :, 6, :] = 1.0  # lit from rim to rim
    images = TrainImages(u_MCHW=canvas[..., 3:-3, 3:-3], u_canvas_MCHW=canvas, pixel_scale_arcsec=2.0)
    params = dict.fromkeys(("max_stretch", "max_noise", "companion_probability", "block_probability"), 0.0)
    config = TrainConfig(batch_size=8, augmentation="radio_ssl", augmentation_params=params)
    made = BatchMaker(TwoViews(), images, config, seed=0)
    assert made.augmentations["wide"].pixel_scale_arcsec == 2.0 and made.wide == {"wide"}
    batch = made.next()
    assert batch.view["wide"].shape == batch.view["plain"].shape == (8, 1, 9, 9)
    assert torch.equal(batch.view["plain"][0, 0, 4 - 1], torch.ones(9).where(torch.from_numpy(disk(9)[3]), 0.0))
    with pytest.raises(InputError, match="canvases"):
        TrainImages(u_MCHW=canvas, u_canvas_MCHW=canvas[..., 3:-3, 3:-3])
