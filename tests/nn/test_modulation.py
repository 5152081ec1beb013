"""Noise levels and the norm of single images: they commute with the group, and are what their formulas say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.nn import FieldGroupNorm2d, FieldModulation, NoiseEmbedding, make_norm
from equirgz.nn.modulation import check_noise_level
from tests.equivariance import assert_equivariant
from tests.field_types import GROUPS, field_types, regular
from tests.nn.test_field_layers import shaken

EXACT = {torch.float32: 1e-5, torch.float64: 1e-12}


class Fixed(torch.nn.Module):
    """A modulation at one noise level."""

    def __init__(self, in_type: FieldType) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.embedding, self.modulation = NoiseEmbedding(6), FieldModulation(in_type, 6)
        torch.nn.init.normal_(self.modulation.scale.weight)

    def forward(self, x_BCHW):
        return self.modulation(x_BCHW, self.embedding(torch.full((len(x_BCHW),), 0.3).to(x_BCHW)))


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(GROUPS).flatmap(field_types))
def test_a_modulation_and_the_norm_of_an_image_commute_with_the_group(in_type):
    assert_equivariant(Fixed(in_type), size=5, tolerance=EXACT)
    assert_equivariant(shaken(make_norm(in_type, "group")), size=5, tolerance=EXACT)


def test_a_modulation_scales_and_shifts_each_image_by_its_own_level():
    in_type = regular("D4", 2)
    layer, x_BCHW = FieldModulation(in_type, 3).double(), torch.randn(2, in_type.size, 3, 3, dtype=torch.float64)
    e_BE = torch.randn(2, 3, dtype=torch.float64)
    scale_BF, shift_BF = layer.scale(e_BE), layer.shift(e_BE)
    expected = x_BCHW.unflatten(1, (2, 8)) * (1 + scale_BF[:, :, None, None, None]) + shift_BF[:, :, None, None, None]
    torch.testing.assert_close(layer(x_BCHW, e_BE), expected.flatten(1, 2))
    assert FieldModulation(FieldType("D4", "2 vector"), 3).shift is None  # a constant vector would prefer a direction


def test_the_norm_of_an_image_is_that_of_all_its_fields():
    norm = shaken(FieldGroupNorm2d(regular("C4", 3))).double()
    x_BCHW = torch.randn(2, 12, 5, 5, dtype=torch.float64)
    mean_B = x_BCHW.mean((1, 2, 3), keepdim=True)
    deviation_B = (x_BCHW.var((1, 2, 3), correction=0, keepdim=True) + norm.eps).sqrt()
    gamma_C, beta_C = (p.repeat_interleave(4)[:, None, None] for p in (norm.gamma, norm.beta))
    torch.testing.assert_close(norm(x_BCHW), (x_BCHW - mean_B) / deviation_B * gamma_C + beta_C)
    torch.testing.assert_close(norm.to_plain()(x_BCHW), norm(x_BCHW))
    torch.testing.assert_close(norm(x_BCHW)[:1], norm(x_BCHW[:1]))


def test_the_embedding_tells_levels_apart_over_six_decades():
    e_BE = NoiseEmbedding(8)(torch.logspace(-3, 3, 25))
    distance_BB = torch.cdist(e_BE, e_BE) + torch.eye(25)
    assert distance_BB.min() > 1e-3 and torch.isfinite(e_BE).all()


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (torch.ones(2), r"expected one per image, \(3,\), got \(2,\)"),
        (torch.tensor([1.0, 0.0, 1.0]), "expected finite and above 0, got 0.0"),
        (torch.tensor([1.0, torch.nan, 1.0]), "expected finite and above 0, got nan"),
        (torch.ones(3, dtype=torch.int64), "expected a tensor of floats, .*got torch.int64"),
        (0.5, "expected a tensor of floats, .*got float"),
    ],
)
def test_other_levels_are_one_line(level, words):
    with pytest.raises(InputError, match=words):
        check_noise_level(level, 3)
    assert check_noise_level(torch.tensor(0.5), 3).tolist() == [0.5, 0.5, 0.5]
