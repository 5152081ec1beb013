"""Radio views: blank sky stays blank, amounts mean the same in any unit, and zooming out shows real sky."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.augment import create_augmentation
from equirgz.augment.radio import STRENGTHS
from equirgz.errors import InputError

OFF = {
    "max_scale": 0.0, "max_stretch": 0.0, "max_gamma": 0.0, "max_shift_arcsec": 0.0, "companion_probability": 0.0,
    "block_probability": 0.0, "max_noise": 0.0, "max_cut": 0.0, "max_blur_arcsec": 0.0,
}  # fmt: skip


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _sources(n: int = 8, size: int = 33, sigma: float = 2.0) -> torch.Tensor:
    axis = torch.arange(size) - (size - 1) / 2
    blob = torch.exp(-(axis[:, None] ** 2 + (axis[None] / 2) ** 2) / (2 * sigma**2))
    return torch.where(blob > 0.05, blob, 0.0).expand(n, 1, size, size).clone()


def _only(**amounts: float) -> torch.Tensor:
    return create_augmentation("radio_ssl", **{**OFF, **amounts})(_sources(64), _rng())


def test_every_strength_declares_every_amount() -> None:
    assert set(OFF) == set(vars(STRENGTHS["mild"])) == set(vars(STRENGTHS["strong"]))
    assert all(getattr(STRENGTHS["strong"], name) >= value for name, value in vars(STRENGTHS["mild"]).items()), (
        "the strong view changes no less"
    )


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(1e-3, 1e3), strength=st.sampled_from(["mild", "strong"]), seed=st.integers(0, 99))
def test_views_follow_the_unit_of_the_images(factor: float, strength: str, seed: int) -> None:
    x = _sources().double()
    view = create_augmentation("radio_ssl", strength=strength)
    torch.testing.assert_close(view(x * factor, _rng(seed)), view(x, _rng(seed)) * factor, rtol=1e-9, atol=0)


def test_gamma_leaves_sky_peak_and_order() -> None:
    plain, bent = _only(), _only(max_gamma=0.8)
    assert torch.equal(plain == 0, bent == 0), "blank sky was lifted"
    torch.testing.assert_close(plain.amax((1, 2, 3)), bent.amax((1, 2, 3)))
    exponent = torch.log(bent[0][plain[0] > 0]) / torch.log(plain[0][plain[0] > 0])
    assert exponent[torch.isfinite(exponent)].std() < 1e-2, "one exponent per sample"


def test_noise_is_cut_at_three_sigma_and_leaves_little_sky() -> None:
    view = _only(max_noise=0.02)
    lit, plain = view > 0, _only() > 0
    assert (lit & ~plain).float().sum() / (~plain).float().sum() < 0.01  # 0.13 % of a Gaussian lies above 3 sigma
    assert (view >= 0).all()


def test_cut_takes_only_what_is_faint() -> None:
    plain, view = _only(), _only(max_cut=0.3)
    gone = (plain > 0) & (view == 0)
    assert gone.any() and plain[gone].max() <= 0.3 * plain.max() and torch.equal(view[view > 0], plain[view > 0])


def test_companion_is_another_source_beside_the_own() -> None:
    x = torch.cat([_sources(1), torch.zeros(7, 1, 33, 33)])
    params = {**OFF, "companion_probability": 1.0, "pixel_scale_arcsec": 8.0}
    y = create_augmentation("radio_ssl", **params)(x, _rng())
    assert y[1:].abs().sum() == 0, "a companion of a blank image has no peak to be measured by"
    y = create_augmentation("radio_ssl", **params)(_sources(16), _rng())
    plain = create_augmentation("radio_ssl", **{**params, "companion_probability": 0.0})(_sources(16), _rng())
    assert torch.equal(torch.maximum(y, plain), y), "the own source shines through"
    assert ((y - plain).flatten(1).amax(1) > 0.1).all() and (y.amax((1, 2, 3)) <= 1 + 1e-5).all()
    alone = create_augmentation("radio_ssl", **params)(_sources(1), _rng())
    assert torch.isfinite(alone).all(), "a single source has no companion"


def test_blocks_are_rectangles_of_their_size_on_the_sky() -> None:
    ones = torch.ones(200, 1, 65, 65)
    params = {**OFF, "block_probability": 1.0, "pixel_scale_arcsec": 3.0, "mask": False, "canvas": 1.0}
    view = create_augmentation("radio_ssl", **params)
    hole = view(ones, _rng())[:, 0] == 0
    framed = torch.zeros_like(hole)
    framed[:, 12:-12, 12:-12] = True
    rows, columns = (hole & framed).any(2).sum(1), (hole & framed).any(1).sum(1)
    area = (hole & framed).sum((1, 2))
    assert torch.equal(area, rows * columns), "no rectangle"
    assert rows.max() <= 16 and columns.max() <= 16 and (hole.sum((1, 2)) > 0).float().mean() > 0.9
    none = create_augmentation("radio_ssl", **{**params, "block_probability": 0.0})(ones, _rng())
    assert hole.sum() > (none[:, 0] == 0).sum()


def test_zooming_out_of_a_wider_canvas_shows_real_sky() -> None:
    wide = torch.ones(32, 1, 49, 49)
    params = {**OFF, "max_scale": 0.3, "mask": True}
    inside = create_augmentation("radio_ssl", **params, size_px=33)(wide, _rng())
    cut = create_augmentation("radio_ssl", **params)(wide[..., 8:-8, 8:-8], _rng())
    disk = inside[0, 0] > 0
    assert inside.shape == cut.shape and inside[:, 0][:, disk].min() > 0.99, "the view ends before the sky does"
    assert (cut[:, 0][:, disk] == 0).any(), "without the canvas there is none"


def test_shift_stretch_and_blur_are_of_their_size() -> None:
    x = _sources(256, 65, 1.5)
    axis = torch.arange(65) - 32.0

    def moments(**amounts: float) -> tuple[torch.Tensor, torch.Tensor]:
        y = create_augmentation("radio_ssl", **{**OFF, **amounts}, pixel_scale_arcsec=2.0)(x, _rng())[:, 0]
        total = y.sum((1, 2))
        column, row = (y.sum(1) * axis).sum(1) / total, (y.sum(2) * axis).sum(1) / total
        return torch.stack([column, row], 1), y.amax((1, 2))

    centre, peak = moments()
    assert centre.abs().max() < 0.1
    centre, _ = moments(max_shift_arcsec=10.0)
    assert 4.0 < centre.abs().max() < 5.1
    _, blurred = moments(max_blur_arcsec=4.0)
    assert 0.2 < (blurred < 0.97 * peak.min()).float().mean() < 0.6, "half of the views are blurred"


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"strength": "mid"}, "mild"),
        ({"max_scale": -1.0}, "max_scale"),
        ({"block_probability": 1.5}, "block_probability"),
        ({"canvas": 0.5}, "canvas"),
        ({"pixel_scale_arcsec": 0.0}, "pixel_scale_arcsec"),
    ],
)
def test_amounts_out_of_range_are_one_line(params: dict, word: str) -> None:
    with pytest.raises(InputError, match=word):
        create_augmentation("radio_ssl", **params)


def test_maps_turn_along_but_not_with_companions() -> None:
    x, maps = _sources(4), (_sources(4) > 0.5).float()
    view, turned = create_augmentation("radio_ssl", **OFF).with_maps(x, maps, _rng())
    lit = view[:, 0] > 0.6
    assert (turned[:, 0][lit] > 0.5).all()
    with pytest.raises(InputError, match="companion_probability 0"):
        create_augmentation("radio_ssl").with_maps(x, maps, _rng())
