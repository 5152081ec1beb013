"""Views: what finds its source again and what changes its class, on images where both are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from equirgz.augment import create_augmentation
from equirgz.errors import InputError
from equirgz.evaluate.view_quality import Judge, make_judge, make_views, measure_rings, measure_views

RNG = np.random.default_rng(0)
LABEL = np.arange(40) % 2
# Half of the images are bright; each has a pattern of its own.
PLAIN = (RNG.random((40, 1, 9, 9)) + 2.0 * LABEL[:, None, None, None]).astype(np.float32)
PIXELS = Judge("pixels", lambda x_NCHW: x_NCHW.reshape(len(x_NCHW), -1))


def test_views_that_change_nothing_find_all_and_change_none() -> None:
    found = measure_views(PLAIN, np.stack([PLAIN, PLAIN]), LABEL, PIXELS)
    assert found == {"retrieval": 1.0, "changed": 0.0, "error_plain": 0.0, "error_view": 0.0}


def test_views_that_leave_the_class_alone_find_nothing_but_keep_it() -> None:
    flat = np.ones_like(PLAIN) * (0.5 + 2.0 * LABEL[:, None, None, None])
    views = np.stack([flat + 0.1 * RNG.random(flat.shape) for _ in range(2)]).astype(np.float32)
    found = measure_views(PLAIN, views, LABEL, PIXELS)
    assert found["retrieval"] < 0.4 and found["changed"] == 0 and found["error_view"] == 0


def test_views_of_the_other_class_change_it() -> None:
    swapped = PLAIN + 2.0 * (1 - 2 * LABEL)[:, None, None, None].astype(np.float32)
    found = measure_views(PLAIN, np.stack([PLAIN, swapped]), LABEL, PIXELS)
    assert found["changed"] == 0.5 and found["error_view"] == 0.5 and found["error_plain"] == 0


def test_a_classifier_judges_by_itself_and_an_encoder_by_a_probe() -> None:
    class Bright(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Sequential(nn.AvgPool2d(9), nn.Flatten(), nn.Linear(1, 2))
            self.n_classes = 2

        def logits(self, x_BCHW):
            mean_B = x_BCHW.mean((1, 2, 3))
            return torch.stack([1.5 - mean_B, mean_B - 1.5], 1)

    judge = make_judge(Bright())
    unknown = np.full(40, -1)
    found = measure_views(PLAIN, np.stack([PLAIN, 0 * PLAIN]), unknown, judge)
    assert judge.name == "classifier" and found["changed"] == 0.25 and np.isnan(found["error_plain"])
    encoder = make_judge(nn.Sequential(nn.AvgPool2d(9), nn.Flatten()))
    assert encoder.name == "encoder"
    assert measure_views(PLAIN, np.stack([PLAIN, PLAIN]), LABEL, encoder)["error_plain"] == 0
    assert np.isnan(measure_views(PLAIN, np.stack([PLAIN, PLAIN]), 0 * LABEL, encoder)["changed"]), "one class"


def test_no_quarter_turn_or_flip_changes_the_rings() -> None:
    x = torch.as_tensor(PLAIN)
    for turned in (torch.rot90(x, 1, (2, 3)), x.flip(3), torch.rot90(x, 2, (2, 3)).flip(2)):
        np.testing.assert_allclose(measure_rings(turned.numpy()), measure_rings(PLAIN), atol=1e-5)
    assert np.abs(measure_rings(PLAIN) - measure_rings(np.roll(PLAIN, 2, 3))).max() > 1e-2


def test_views_are_drawn_from_a_seed() -> None:
    augment = create_augmentation("radio_ssl")
    first, again, other = (make_views(PLAIN, augment, 2, seed) for seed in (0, 0, 1))
    assert first.shape == (2, *PLAIN.shape) and (first == again).all() and (first != other).any()
    parts = augment.parts()
    assert list(parts)[0] == "turns and flips" and "companion_probability" in parts and "max_cut" not in parts
    assert create_augmentation("flips").parts() == {}


def test_too_few_are_one_line() -> None:
    with pytest.raises(InputError, match="views: expected at least 2"):
        measure_views(PLAIN, PLAIN[None], LABEL, PIXELS)
    with pytest.raises(InputError, match="sources: expected at least 4"):
        measure_views(PLAIN[:3], np.stack([PLAIN[:3]] * 2), LABEL[:3], PIXELS)
