"""Predictions and embeddings: probabilities, batches, modes, samples, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from equirgz.errors import InputError, NumericalError
from equirgz.evaluate import embed, predict, predict_samples
from equirgz.objectives import create_objective
from tests.evaluate.networks import ToyD4


class Classifier(nn.Module):
    """Batch norm and dropout would both show a wrong mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(81, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
        self.net[2].eval()  # a frozen layer keeps its own mode

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def sample_logits(self, x: torch.Tensor, n_samples: int, generator: torch.Generator) -> torch.Tensor:
        noise = torch.randn(n_samples, len(x), 3, generator=generator)
        return self.net(x)[None] + noise


class Pixels(nn.Module):
    """A backbone of a few features."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(9, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.first(x.flatten(1)))


def _images(n: int = 11) -> np.ndarray:
    return np.random.default_rng(0).random((n, 9, 9)).astype(np.float32)


def test_probabilities_do_not_depend_on_batches_and_modes_are_restored() -> None:
    torch.manual_seed(0)
    model, x = Classifier(), _images()
    modes = [m.training for m in model.modules()]
    p = predict(model, x)
    assert p.shape == (11, 3) and p.dtype == np.float64
    assert np.allclose(p.sum(1), 1, atol=1e-12)
    assert np.allclose(p, predict(model, x, batch_size=4), atol=1e-6)
    assert np.allclose(p, predict(model, torch.as_tensor(x)[:, None], 1), atol=1e-6)
    assert [m.training for m in model.modules()] == modes and True in modes[1:] and False in modes
    expected = torch.softmax(model.eval().net(torch.as_tensor(x)).double(), 1).detach().numpy()
    assert np.allclose(p, expected, atol=1e-6)
    assert np.allclose(predict(model.net, x[:, None]), p)


def test_views_average_the_probabilities_of_turned_images() -> None:
    torch.manual_seed(0)
    model, x = Classifier(), _images()
    turned = [predict(model, np.ascontiguousarray(np.rot90(x, k, (1, 2)))) for k in range(4)]
    assert np.allclose(predict(model, x, views=4), np.mean(turned, 0), atol=1e-7)


def test_samples_are_reproducible_and_their_mean_is_the_prediction() -> None:
    model, x = Classifier(), _images()
    samples = predict_samples(model, x, 5, batch_size=4, seed=3)
    assert samples.shape == (5, 11, 3) and np.ptp(samples, 0).max() > 0.01
    assert np.array_equal(samples, predict_samples(model, x, 5, batch_size=4, seed=3))
    assert not np.array_equal(samples, predict_samples(model, x, 5, batch_size=4, seed=4))
    assert np.allclose(predict(model, x, 4, n_samples=5, seed=3), samples.mean(0))
    # A sample is one network: the second batch meets the draws of the first.
    twice = np.concatenate([x[:4], x[:4]])
    first, second = np.split(predict_samples(model, twice, 1 + 1, batch_size=4), 2, 1)
    assert np.allclose(first, second)


def test_embed_gives_eval_mode_features() -> None:
    torch.manual_seed(0)
    x = _images()
    net = ToyD4(x.shape[-1])
    h = embed(net, x, batch_size=3)
    assert h.shape == (11, 3) and h.dtype == np.float32 and net.training
    assert np.allclose(h, net.eval()(torch.as_tensor(x)[:, None]).detach().numpy(), atol=1e-6)
    assert np.allclose(embed(net.double(), x), h, atol=1e-5)


def test_bad_input() -> None:
    model, x = Classifier(), _images()
    with pytest.raises(InputError, match="n_samples"):
        predict(model, x, n_samples=0)
    with pytest.raises(InputError, match="N >= 1"):
        predict(model, x[:0])
    with pytest.raises(InputError, match="no predictive samples"):
        predict(model.net, x, n_samples=2)
    x[3, 4, 4] = np.nan
    for images in (x, torch.from_numpy(x)):
        with pytest.raises(InputError, match="finite pixels, got NaN or infinity"):
            predict(model, images)


def test_a_diverged_network_is_named():
    model, x = Classifier(), _images()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(NumericalError, match="33 of 33"):
        predict(model, x)
    with pytest.raises(NumericalError, match="features"):
        embed(model.net, x)


@pytest.mark.parametrize("name", ["variational", "ivon", "laplace"])
def test_a_sample_is_one_network_for_every_batch_and_view(name: str) -> None:
    """Otherwise views average several networks, and mutual information falls with their number."""
    torch.manual_seed(0)
    objective = create_objective(name, Pixels(), 2, 0)
    x_NCHW = torch.randn(8, 1, 1, 1).expand(8, 1, 3, 3).contiguous()  # a quarter turn changes nothing
    if name == "laplace":
        objective.after_training(x_NCHW, torch.tensor([0, 1] * 4))
    one = predict_samples(objective, x_NCHW, 16)
    assert one.std(0).max() > 1e-3
    np.testing.assert_allclose(predict_samples(objective, x_NCHW, 16, batch_size=3), one, atol=1e-6)
    np.testing.assert_allclose(predict_samples(objective, x_NCHW, 16, views=4), one, atol=1e-6)


def test_dropout_masks_are_the_same_for_the_views_of_an_image() -> None:
    torch.manual_seed(0)
    objective = create_objective("mc_dropout", Pixels(), 2, 0, dropout=0.5)
    x_NCHW = torch.randn(8, 1, 1, 1).expand(8, 1, 3, 3).contiguous()
    one = predict_samples(objective, x_NCHW, 16)
    np.testing.assert_allclose(predict_samples(objective, x_NCHW, 16, views=4), one, atol=1e-6)
    assert one.std(0).min() > 1e-3
