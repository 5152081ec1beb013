"""Settled batch norm: the statistics of the images at hand, and nothing else changed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from equirgz import create_backbone
from equirgz.errors import InputError
from equirgz.train import settle_batch_norm


def test_statistics_are_those_of_the_images() -> None:
    x = 3 + 2 * torch.randn(40, 2, 5, 5)
    network = nn.Sequential(nn.BatchNorm2d(2, momentum=0.3), nn.Dropout(0.5), nn.Flatten())
    network[1].eval()
    state = torch.get_rng_state()
    assert settle_batch_norm(network, x, batch_size=10) == 1
    assert torch.equal(torch.get_rng_state(), state), "dropout drew"
    layer = network[0]
    torch.testing.assert_close(layer.running_mean, x.mean((0, 2, 3)))
    parts = torch.stack([part.transpose(0, 1).flatten(1).var(1) for part in x.split(10)]).mean(0)
    torch.testing.assert_close(layer.running_var, parts)
    assert layer.momentum == 0.3 and layer.training and not network[1].training
    y = network.eval()(x).detach()
    assert abs(float(y.mean())) < 1e-5 and abs(float(y.std()) - 1) < 1e-2


def test_a_network_is_read_as_its_own_batch_is() -> None:
    torch.manual_seed(0)
    network = create_backbone("steerable_cnn", group="D4", image_size=17, fields=(4, 8), kernel_sizes=(5, 3))
    before = {name: value.clone() for name, value in network.named_parameters()}
    x = torch.randn(30, 1, 17, 17) ** 2
    network.train()
    with torch.no_grad():
        by_batch = network(x)
    network.eval()
    settle_batch_norm(network, x)
    assert not network.training
    with torch.no_grad():
        settled = network(x)
    torch.testing.assert_close(settled, by_batch, rtol=0.05, atol=0.05)  # biased against unbiased variance
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    again = network.state_dict()[_means(network)[0]].clone()
    settle_batch_norm(network, x)
    assert torch.equal(network.state_dict()[_means(network)[0]], again), "settling twice is settling once"


def _means(network: nn.Module) -> list[str]:
    return [name for name in network.state_dict() if name.endswith("running_mean")]


def test_networks_without_batch_norm_and_too_few_images() -> None:
    assert settle_batch_norm(nn.Flatten(), torch.rand(4, 1, 3, 3)) == 0
    with pytest.raises(InputError, match="at least 2 images"):
        settle_batch_norm(nn.BatchNorm2d(1), torch.rand(1, 1, 3, 3))
