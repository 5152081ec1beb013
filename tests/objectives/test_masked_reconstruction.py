"""Masked reconstruction of spectra: what is hidden and shown, closed forms, and the contract of every objective."""

from __future__ import annotations

import math

import pytest
import torch

from equirgz.backbones import create_backbone
from equirgz.errors import InputError
from equirgz.nn.attention.wavelength import embed_wavelength
from equirgz.objectives import create_objective
from equirgz.objectives.selfsupervised.row_views import coarsen, fit_scale, hide_spans, keep_window, pixel_steps
from equirgz.train import TrainImages
from tests.train import test_contract as contract
from tests.train.toy import make_backbone

NAME = "masked_reconstruction"
SMALL = {"width": 16, "queries": 16, "span": 4}


def make_row_backbone(seed: int = 0, **params):
    """Stands where the contract makes its toy network; a transformer has neither batch norm nor dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        options = {"depth": 1, "patch_size": 6, "n_waves": 4, "dimension": 16, "heads": 2}
        return create_backbone("spectral_transformer", image_size=24, **options)


def make_rows(n: int = 24, size: int = 24, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return spectra that rise (1) or fall (0), with an eighth of their pixels lost."""
    generator = torch.Generator().manual_seed(seed)
    y_N, u_L = torch.arange(n) % 2, torch.linspace(-0.8, 0.8, size)
    flux_NL = 1 + (2 * y_N[:, None] - 1) * u_L + 0.1 * torch.randn(n, size, generator=generator)
    ivar_NL = 100.0 * (torch.rand(n, size, generator=generator) > 0.125)
    log_NL = torch.linspace(3.6, 3.95, size).expand(n, size)
    return torch.stack([flux_NL * (ivar_NL > 0), ivar_NL, log_NL], 1)[:, :, None], y_N


@pytest.fixture
def rows(monkeypatch):
    """Give the contract of every objective spectra in place of images."""

    def images(hidden: bool = True) -> TrainImages:
        x_NCHW, y_N = make_rows(16)
        u_MCHW, hidden_M = make_rows(24, seed=5)
        return TrainImages(x_NCHW, y_N, u_MCHW, hidden_M if hidden else None, mask=False)

    for name, value in {"make_backbone": make_row_backbone, "make_task": make_rows, "make_images": images}.items():
        monkeypatch.setattr(contract, name, value)
    monkeypatch.setitem(contract.SMALL, NAME, SMALL)


def test_the_contract_of_every_objective(rows, tmp_path, monkeypatch):
    contract.test_gradients_reach_what_should_learn_and_nothing_else(NAME, monkeypatch)
    contract.test_same_seed_same_numbers_and_other_seed_others(NAME)
    contract.test_resume_is_exact(NAME, tmp_path, monkeypatch)
    contract.test_labels_of_unlabelled_sources_change_nothing(NAME)
    contract.test_learns_a_tiny_task(NAME)


@pytest.mark.parametrize("name", ["supervised", "simclr"])
def test_other_objectives_train_on_spectra_by_the_same_loop(rows, name, monkeypatch):
    plain = contract.config
    monkeypatch.setattr(contract, "config", lambda *args: plain(*args).model_copy(update={"augmentation": "none"}))
    contract.test_gradients_reach_what_should_learn_and_nothing_else(name, monkeypatch)
    contract.test_same_seed_same_numbers_and_other_seed_others(name)


def test_turned_views_of_spectra_and_networks_of_images_are_refused(rows):
    from equirgz.train import train

    with pytest.raises(InputError, match="'flips': expected square images, got rows .*use the augmentation none"):
        train(contract.make("supervised"), contract.make_images(), contract.config("supervised", 1), seed=0)
    with pytest.raises(InputError, match="expected a backbone of spectra, got ToyBackbone; use spectral_transformer"):
        create_objective(NAME, make_backbone())


def test_about_the_asked_share_is_hidden_in_whole_spans():
    seen_BL = torch.ones(400, 120, dtype=torch.bool)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hidden_BL = hide_spans(seen_BL, 0.3, 8)
    assert float(hidden_BL.float().mean()) == pytest.approx(0.3, abs=0.02)
    edges = hidden_BL.int().diff(dim=1)
    starts, ends = (edges == 1).nonzero(), (edges == -1).nonzero()
    lengths = [int(e) - int(s) for (a, s) in starts[:50] for e in [next((e for b, e in ends if b == a and e > s), None)]
               if e is not None]  # fmt: skip
    assert lengths and all(length % 8 == 0 for length in lengths)


def test_a_window_is_one_run_of_seen_pixels_of_half_to_all():
    seen_BL = torch.rand(50, 60, generator=torch.Generator().manual_seed(1)) > 0.2
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept_BL = keep_window(seen_BL, 0.5)
    share_B = kept_BL.sum(1) / seen_BL.sum(1)
    assert (share_B > 0.45).all() and (share_B < 1.01).all() and (kept_BL & ~seen_BL).sum() == 0
    for kept_L, seen_L in zip(kept_BL, seen_BL, strict=True):
        inside = kept_L.nonzero()
        assert (seen_L[inside.min() : inside.max() + 1] == kept_L[inside.min() : inside.max() + 1]).all()


def test_half_the_resolution_keeps_the_weighted_flux_and_all_the_weight():
    x_BCHW = make_rows(4)[0]
    half_BCHW = coarsen(x_BCHW)
    flux, ivar, log = half_BCHW[:, :, 0].unbind(1)
    assert half_BCHW.shape == x_BCHW.shape and not half_BCHW[..., 12:].any()
    torch.testing.assert_close(ivar.sum(1), x_BCHW[:, 1, 0].sum(1))
    torch.testing.assert_close((ivar * flux).sum(1), (x_BCHW[:, 1, 0] * x_BCHW[:, 0, 0]).sum(1))
    torch.testing.assert_close(log[:, :12], x_BCHW[:, 2, 0].unflatten(1, (12, 2)).mean(-1))


def test_widths_of_pixels_and_the_factor_are_closed_forms():
    log_BL = torch.tensor([[3.6, 3.61, 3.63, 3.64, 0.0, 0.0]])
    torch.testing.assert_close(pixel_steps(log_BL)[:, :4], torch.tensor([[0.01, 0.01, 0.01, 0.01]]), rtol=1e-3, atol=0)
    model_BQ = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(fit_scale(model_BQ, 7 * model_BQ, torch.rand(3, 20) + 0.1), torch.full((3, 1), 7.0))


def test_a_redshift_turns_each_pair_of_waves_by_its_own_angle():
    log_L, log_range = torch.linspace(3.6, 3.9, 30, dtype=torch.float64), (3.5, 4.0)
    sine, cosine = embed_wavelength(log_L, log_range, 5).chunk(2, -1)
    moved_sine, _ = embed_wavelength(log_L + 0.02, log_range, 5).chunk(2, -1)
    angle_K = 2 * math.pi * 0.04 * 0.5 * (150 / 0.5) ** (torch.arange(5, dtype=torch.float64) / 4)
    torch.testing.assert_close(moved_sine, sine * angle_K.cos() + cosine * angle_K.sin())


def test_the_true_model_costs_the_noise_and_hidden_flux_is_not_seen():
    objective = create_objective(NAME, make_row_backbone(), init_seed=0, **SMALL).eval()
    x_BCHW = make_rows(8)[0]
    flux_BL, ivar_BL = x_BCHW[:, 0, 0], x_BCHW[:, 1, 0]
    shown_BL = (ivar_BL > 0) & (torch.arange(24) < 16)
    changed = x_BCHW.clone()
    changed[:, 0, 0, 16:] += 5.0
    with torch.no_grad():
        (model_BL, chi2_BL), (other_BL, _) = (objective.reconstruct(x, shown_BL) for x in (x_BCHW, changed))
    assert torch.equal(model_BL, other_BL)
    torch.testing.assert_close(chi2_BL, ivar_BL * (flux_BL - model_BL).square())
    scaled = x_BCHW.clone()
    scaled[:, 0], scaled[:, 1] = 10 * x_BCHW[:, 0], x_BCHW[:, 1] / 100
    with torch.no_grad():
        torch.testing.assert_close(objective.reconstruct(scaled, shown_BL)[1], chi2_BL, rtol=1e-3, atol=1e-3)
