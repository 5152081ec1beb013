"""Turned images by the C library, of bytes and floats, against torch and by hand."""

from __future__ import annotations

import math

import pytest
import torch

from equirgz.augment import create_augmentation
from equirgz.geometry.action import warp
from equirgz.kernels import VARIANTS, load_kernels


def brute_force(x_BCHW, angle_deg, mode, out_size):
    """Every pixel from the law, in float64: 0 outside, halves to the even pixel."""
    size, y_BCHW = x_BCHW.shape[-1], torch.zeros(*x_BCHW.shape[:2], out_size, out_size, dtype=torch.float64)
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    for row in range(out_size):
        for column in range(out_size):
            x, y = column - (out_size - 1) / 2, row - (out_size - 1) / 2
            j, i = cos * x - sin * y + (size - 1) / 2, sin * x + cos * y + (size - 1) / 2
            places = [(round(i), round(j), 1.0)] if mode == "nearest" else [
                (math.floor(i) + a, math.floor(j) + b, abs(1 - a - i % 1) * abs(1 - b - j % 1))
                for a in (0, 1) for b in (0, 1)
            ]  # fmt: skip
            for p, q, weight in places:
                if 0 <= p < size and 0 <= q < size:
                    y_BCHW[:, :, row, column] += weight * x_BCHW[:, :, p, q].double()
    return y_BCHW


def images(dtype, size=11, channels=2, batch=3):
    torch.manual_seed(0)
    return (torch.rand(batch, channels, size, size) * 255).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("variant", [None, *range(len(VARIANTS))])
def test_equal_to_the_law(dtype, mode, variant, library, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_KERNELS", "off" if variant is None else str(library))
    load_kernels.cache_clear()
    if variant is not None:
        if variant > load_kernels().variant:
            pytest.skip(f"this processor has no {VARIANTS[variant]}")
        monkeypatch.setattr(load_kernels(), "variant", variant)
    x = images(dtype)
    for angle_deg, out_size in ((17.0, 11), (-141.3, 7), (63.0, 15)):
        turned = warp(x, angle_deg, mode=mode, out_size=out_size)
        assert turned.dtype == torch.float32
        torch.testing.assert_close(turned.double(), brute_force(x, angle_deg, mode, out_size), rtol=0, atol=2e-3)
    load_kernels.cache_clear()


def test_every_pose_is_that_of_torch(loaded, monkeypatch):
    x = images(torch.float32, size=31, batch=24)
    pose = {
        "angle_deg_B": torch.linspace(-180, 180, 24), "reflect_B": torch.arange(24) % 2 == 0,
        "scale_B": torch.linspace(0.6, 1.5, 24), "shift_px_B2": torch.linspace(-9, 9, 48).view(24, 2),
        "shear_B2": torch.linspace(-0.3, 0.3, 48).view(24, 2),
    }  # fmt: skip
    monkeypatch.setattr("equirgz.geometry.sampler._PIXELS_A_THREAD", 1000)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    both = [warp(x, **pose, out_size=24)]
    torch.set_num_threads(threads)
    both.append(warp(x, **pose, out_size=24))
    assert torch.equal(*both)
    x[5, 0, 15, 15] = torch.nan
    own = warp(x, **pose, out_size=24)
    monkeypatch.setattr("equirgz.geometry.action.sampler_for", lambda x, mode: None)
    torch.testing.assert_close(own, warp(x, **pose, out_size=24), rtol=0, atol=2e-3, equal_nan=True)


def test_gradients_traces_and_other_types_are_left_to_torch(loaded):
    x = images(torch.float32).requires_grad_()
    warp(x, 30.0).sum().backward()
    assert x.grad.abs().sum() > 0
    assert warp(x.detach().double(), 30.0).dtype == torch.float64
    angle = torch.tensor([30.0, 40.0, 50.0])
    assert warp(x.detach(), angle, mode="bicubic").shape == x.shape


@pytest.mark.parametrize("kernels", ["off", "on"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("name", ["byol_radio", "rotation_flips", "none"])
def test_views_of_bytes_are_those_of_their_numbers(kernels, interpolation, name, library, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_KERNELS", "off" if kernels == "off" else str(library))
    load_kernels.cache_clear()
    options = {"interpolation": interpolation} if name == "byol_radio" else {}
    augmentation, x = create_augmentation(name, **options), images(torch.uint8, size=33, batch=12)
    bytes_, floats = (augmentation(y, torch.Generator().manual_seed(2)) for y in (x, x.float() / 255))
    assert bytes_.dtype == torch.float32 and float(bytes_.max()) < 3
    torch.testing.assert_close(bytes_, floats, rtol=0, atol=1e-5)
    load_kernels.cache_clear()
