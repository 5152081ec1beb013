"""The transformer of spectra: any grid, any length, any unit of flux; and what it refuses by name."""

from __future__ import annotations

import pytest
import torch

from equirgz.backbones import create_backbone
from equirgz.errors import ImageError, InputError
from equirgz.evaluate import embed


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_backbone("spectral_transformer", image_size=48, width=0.25).double().eval()


def make(network, n: int = 2, seed: int = 0):
    return network.make_example(n, seed, torch.float64)


def test_lost_pixels_and_the_end_of_a_row_are_not_there(network):
    x_BCHW = make(network)
    x_BCHW[:, 1, :, 7] = 0
    changed, longer = x_BCHW.clone(), torch.zeros(2, 3, 1, 80, dtype=torch.float64)
    changed[:, 0, :, 7] = 99.0
    longer[..., :48] = x_BCHW
    with torch.no_grad():
        h_BF = network(x_BCHW)
        torch.testing.assert_close(network(changed), h_BF)
        torch.testing.assert_close(network(longer), h_BF)


def test_features_do_not_know_the_unit_of_flux(network):
    x_BCHW = make(network)
    scaled = x_BCHW.clone()
    scaled[:, 0], scaled[:, 1] = 1e-17 * x_BCHW[:, 0], 1e34 * x_BCHW[:, 1]
    with torch.no_grad():
        torch.testing.assert_close(network(scaled), network(x_BCHW))


def test_inverse_variance_and_wavelength_are_looked_at(network):
    x_BCHW = make(network)
    noisy, moved = x_BCHW.clone(), x_BCHW.clone()
    noisy[:, 1] *= 0.1
    moved[:, 2] = 3.6 + 0.5 * (x_BCHW[:, 2] - 3.6)
    with torch.no_grad():
        h_BF = network(x_BCHW)
        assert (network(noisy) - h_BF).norm() > 1e-3 * h_BF.norm() < (network(moved) - h_BF).norm() * 1e3


def test_attention_received_is_a_mean_of_one_over_the_patches_that_are_there(network):
    x_BCHW = make(network)
    x_BCHW[:, 1, :, 32:] = 0
    for share_B11L in network.attention_maps(x_BCHW):
        assert not share_B11L[..., 32:].any()
        torch.testing.assert_close(share_B11L[..., :32].mean(-1), torch.ones(2, 1, 1, dtype=torch.float64))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[:, 1].zero_(), "a pixel of inverse variance above 0, got 0 everywhere"),
        (lambda x: x[:, 0, 0, 3].fill_(torch.nan), "finite numbers, got NaN"),
        (lambda x: x[:, 2].copy_(x[:, 2].flip(-1)), "wavelengths that rise, got unsorted or repeated"),
        (lambda x: x[:, 2, 0, 5].copy_(x[:, 2, 0, 4]), "wavelengths that rise, got unsorted or repeated"),
        (
            lambda x: x[:, 2].add_(0.1),
            "3500 to 10000 angstrom, the range of this network, got .*cut the spectrum there",
        ),
    ],
)
def test_spectra_that_it_cannot_take_are_refused_by_index(network, spoil, message):
    x_BCHW = make(network, 3)
    spoil(x_BCHW[1:])
    with pytest.raises(ImageError, match=f"spectra, index 1: expected .*{message}"):
        network(x_BCHW)


def test_shapes_that_it_cannot_take(network):
    for x, message in (
        (torch.zeros(2, 1, 48, 48, dtype=torch.float64), r"a tensor \(B, 3, 1, L\)"),
        (torch.zeros(2, 3, 1, 8, dtype=torch.float64), "of 16 pixels or more, got 8 pixels"),
        (make(network).float(), "float64 as the weights"),
    ):
        with pytest.raises(ImageError, match=message):
            network(x)
    with pytest.raises(ImageError, match="expected rows such as spectra"):
        embed(network, torch.zeros(2, 3, 48, 48))
    with pytest.raises(InputError, match="in_channels: expected 3, got 1; flux, inverse variance"):
        create_backbone("spectral_transformer", in_channels=1)
    with pytest.raises(InputError, match="the shorter wavelength first"):
        create_backbone("spectral_transformer", wavelength_range=(9000.0, 4000.0))
    assert create_backbone("spectral_transformer").in_channels == 3


def test_embedding_takes_spectra_of_another_length_as_they_are(network):
    longer = torch.zeros(2, 3, 1, 64, dtype=torch.float64)
    longer[..., :48] = make(network)
    assert abs(embed(network, longer) - embed(network, make(network))).max() < 1e-6
