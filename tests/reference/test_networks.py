"""Whole networks in both libraries: one seed, one network, equal outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from parity import LIMIT, assert_parity, library_convs, relative

from equirgz.backbones import create_backbone
from equirgz.backbones.reference import from_reference, to_reference

NETWORKS = {
    "lenet_d4": ("steerable_lenet", "D4", {"image_size": 33, "norm": True}),
    "lenet_c8": ("steerable_lenet", "C8", {"image_size": 33}),
    "lenet_d1": ("steerable_lenet", "D1", {"image_size": 33}),
    "lenet_band_limited": ("steerable_lenet", "C1", {"image_size": 33, "basis": "harmonic"}),
    "lenet_published": ("steerable_lenet_published", "D4", {"image_size": 63}),
    "attention": ("steerable_attention", "D4", {"image_size": 33, "width": 0.35}),
    "attention_published": ("steerable_attention_published", "C4", {"image_size": 46, "width": 0.5}),
    "attention_kernel_9": ("steerable_attention", "C4", {"image_size": 25, "width": 0.2, "kernel_size": 9}),
    "cnn_published": ("steerable_cnn_published", "D4", {"image_size": 40, "dropout": 0.0}),
    "cnn": ("steerable_cnn", "D4", {"image_size": 33, "width": 0.5}),
    "resnet": ("steerable_resnet18", "D4", {"image_size": 33, "width": 0.2}),
}


@pytest.mark.parametrize("dtype", LIMIT, ids=str)
@pytest.mark.parametrize("key", NETWORKS)
def test_to_reference_and_back(engine, key, dtype) -> None:
    """Outputs, input gradients and weight gradients, in training and in evaluation."""
    name, group, options = NETWORKS[key]
    native = create_backbone(name, group=group, **options).to(dtype)
    with torch.no_grad():
        for parameter in native.parameters():  # no zero biases, no unit scales
            parameter += 0.05 * torch.randn_like(parameter)
    reference = to_reference(native, engine.name)
    assert library_convs(reference)
    x = torch.randn(3, 1, options["image_size"], options["image_size"], dtype=dtype)
    for training in (True, False):
        native.train(training)
        reference.train(training)
        # Training through many norms amplifies rounding; in evaluation float32 is held to 1e-5.
        limit = LIMIT[dtype] * (10 if training and dtype == torch.float32 else 1)
        assert_parity(reference, native, reference, native, x, limit)
    back = from_reference(reference)
    assert list(back.state_dict()) == list(native.state_dict()) and back.config == native.config
    for key_, tensor in native.state_dict().items():
        torch.testing.assert_close(back.state_dict()[key_], tensor, rtol=10 * LIMIT[dtype], atol=10 * LIMIT[dtype])
    assert relative(back(x), native(x)) <= LIMIT[dtype]


def test_engine_argument(engine) -> None:
    """``create_backbone(engine=...)``: the same seed gives the same network as the native engine."""
    arguments = {"group": "D4", "image_size": 33, "norm": True}
    torch.manual_seed(3)
    native = create_backbone("steerable_lenet", **arguments).eval()
    torch.manual_seed(3)
    reference = create_backbone("steerable_lenet", engine=engine.name, **arguments).eval()
    x = torch.randn(2, 1, 33, 33)
    assert relative(reference(x), native(x)) < 1e-5
    assert reference.config == {**native.config, "engine": engine.name}
    assert reference.num_features == native.num_features and reference.group == native.group
    assert relative(reference.forward_maps(x), native.forward_maps(x)) < 1e-5
    training = create_backbone("steerable_lenet", engine=engine.name, **arguments)
    optimiser = torch.optim.SGD(training.parameters(), 0.1)
    before = training.double().eval()(x.double()).detach()
    training.train()(x.double()).square().sum().backward()
    optimiser.step()
    assert relative(training.eval()(x.double()), before) > 1e-3
