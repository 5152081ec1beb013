"""Attention maps turn with the source in an equivariant network, and the measure says when they do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz.backbones import create_backbone
from equirgz.errors import InputError
from equirgz.evaluate import make_smooth_images
from equirgz.evaluate.attention_turns import attention_error, compute_attention, turn_attention
from equirgz.report.panels.attention_panel import plot_attention
from tests.evaluate.networks import ToyD4


def _gated(name: str, group: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return create_backbone(name, group=group, image_size=33, width=0.5)


def test_equivariant_gates_turn_and_plain_ones_do_not() -> None:
    x = torch.rand(2, 1, 33, 33)
    steerable = attention_error(_gated("steerable_attention", "C4"), x)
    assert {r["angle_deg"] for r in steerable} == {90.0, 180.0, 270.0}
    assert max(r["relative_l2"] for r in steerable) < 1e-5
    plain = attention_error(_gated("attention_lenet", "C1"), x)
    assert max(r["relative_l2"] for r in plain) > 1e-3


def test_maps_are_taken_in_eval_mode_and_need_gates() -> None:
    net = _gated("steerable_attention", "C4")
    maps = compute_attention(net, torch.rand(3, 1, 33, 33))
    assert net.training and all(m.shape[:2] == (3, 1) and not m.requires_grad for m in maps)
    with pytest.raises(InputError, match="steerable_attention"):
        compute_attention(ToyD4(), torch.rand(1, 1, 17, 17))


def test_the_panel_shows_source_and_map_per_angle_with_the_error() -> None:
    networks = {"steerable": _gated("steerable_attention", "C4"), "plain": _gated("attention_lenet", "C1")}
    image = make_smooth_images(1, 33, dtype=torch.float32)[0].abs()
    figure = plot_attention(turn_attention(networks, image, (0, 90, 30)), source_name="J1234")
    axes = np.array(figure.axes).reshape(3, 3)
    assert [a.get_title() for a in axes[0]] == ["0°", "90°", "30°"] and axes[0, 0].get_ylabel() == "J1234"
    assert np.allclose(axes[0, 1].images[0].get_array(), np.rot90(axes[0, 0].images[0].get_array()))
    errors = [[float(a.get_xlabel().removeprefix("error ")) for a in row[1:]] for row in axes[1:]]
    assert errors[0][0] < 1e-5 < 1e-3 < errors[1][0]
    with pytest.raises(InputError, match=r"\(C, H, W\)"):
        turn_attention(networks, image[0])
    figure.canvas.draw()
