"""The contract of every registered backbone: shapes, gradients, state, copies, symmetry, export."""

import copy
import pickle

import pytest
import torch

from equirgz import create_backbone, list_backbones, load_encoder, save_encoder
from equirgz.backbones import BACKBONES, measure_cost, plain
from tests.equivariance import assert_equivariant

SMALL = {
    "resnet18": {"width": 0.0625},
    "steerable_resnet18": {"width": 0.125},
    "steerable_attention": {"width": 0.35},
    "steerable_canonical": {"inner": "attention_lenet", "width": 0.35},
    "steerable_cnn": {"width": 0.5},
    "steerable_convnext": {"fields": (2, 3), "depths": (1, 1)},
    "steerable_lenet_published": {"image_size": 29, "width": 0.5},
    "steerable_transformer": {"width": 0.5},
    "steerable_unet": {"fields": (6, 9, 12)},
    "steerable_vit": {"width": 0.34, "depth": 2},
    "spectral_transformer": {"width": 0.25, "depth": 2},
    "steerable_attention_published": {"width": 0.35},
    "steerable_cnn_published": {"width": 0.5},
    "unet": {"fields": (3, 5, 8)},
}

WITHOUT_TWIN = {  # layers of to_plain() that torch.nn does not have
    "attention_lenet": {"DiskMask"},
    "steerable_attention": {"DiskMask"},
    "steerable_attention_published": {"SoftDiskMask"},
    "steerable_canonical": {"DiskMask", "TurnedCopies"},
    "steerable_transformer": {"DiskMask", "RelativeAttention"},
    "steerable_unet": {"SkipConcat"},
    "steerable_vit": {"DiskMask", "PositionAttention"},
    "unet": {"SkipConcat"},
}
OF_READOUTS = {"PowerSpectrum"}


def is_steerable(name: str) -> bool:
    return name.startswith("steerable_")


def build(name: str, group: str = "D4", **overrides):
    torch.manual_seed(0)
    arguments = {"image_size": 33, **SMALL.get(name, {}), **overrides}
    return create_backbone(name, group=group if is_steerable(name) else "C1", **arguments)


def shake(backbone):
    """Give norms and biases values that no symmetry favours, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, value in backbone.state_dict().items():
            if value.is_floating_point() and value.ndim == 1:
                noise = torch.rand(value.shape, generator=generator)
                value.copy_(0.5 + noise if "var" in key or "weight" in key else noise - 0.5)
    return backbone


def images(backbone, n=2, dtype=torch.float32, seed=2):
    return backbone.make_example(n, seed, dtype)


@pytest.fixture(params=list_backbones())
def name(request):
    return request.param


def test_shapes_and_config(name):
    backbone = build(name)
    x_BCHW = images(backbone)
    assert backbone(x_BCHW).shape == (2, backbone.num_features)
    maps = backbone.forward_maps(x_BCHW)
    assert maps.ndim == 5 and maps.shape[0] == 2 and maps.shape[2] == backbone.group.order
    again = create_backbone(**backbone.config)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in backbone.state_dict().items()}
    assert build(name, in_channels=3)(images(build(name, in_channels=3))).shape == (2, backbone.num_features)


def test_gradients_reach_every_parameter_and_blocks_cover_them(name):
    backbone = build(name)
    h_BF = backbone(images(backbone, 4))
    (h_BF * torch.randn(h_BF.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    dead = [key for key, p in backbone.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []
    covered = {id(p) for block in backbone.blocks() for p in block.parameters()}
    assert covered == {id(p) for p in backbone.parameters()}


def test_same_seed_same_weights(name):
    one, two = build(name).state_dict(), build(name).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("source_training", [True, False])
@pytest.mark.parametrize("target_training", [True, False])
def test_strict_state_dict_in_all_mode_pairs(name, source_training, target_training):
    source, target = shake(build(name)), build(name).train(target_training)
    source.train(source_training)
    with torch.no_grad():
        source(images(source))
        target(images(target))
    target.load_state_dict(source.state_dict(), strict=True)
    x_BCHW = images(source)
    assert torch.equal(source.eval()(x_BCHW), target.eval()(x_BCHW))


def test_state_dict_holds_parameters_and_norm_buffers_only(name):
    backbone = build(name)
    expected = {key for key, _ in backbone.named_parameters()}
    extra = set(backbone.state_dict()) - expected
    assert all(key.rsplit(".", 1)[-1] in ("running_mean", "running_var", "num_batches_tracked") for key in extra)


@pytest.mark.parametrize("training", [True, False])
def test_deepcopy_and_pickle(name, training):
    backbone = shake(build(name)).train(training)
    x_BCHW = images(backbone)
    with torch.no_grad():
        backbone(x_BCHW)
    for twin in (copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        assert twin.training == training
        assert torch.equal(twin.eval()(x_BCHW), copy.deepcopy(backbone).eval()(x_BCHW))


@pytest.mark.parametrize("how", ["optimiser", "load", "in_place", "data", "average"])
def test_an_eval_network_follows_its_weights(name, how):
    """However weights change, an eval network shows it at once: nothing derived is kept."""
    backbone = shake(build(name)).eval()
    x_BCHW = images(backbone)
    before = backbone(x_BCHW).detach()
    if how == "optimiser":
        optimiser = torch.optim.Adam(backbone.parameters(), lr=0.01)
        backbone(x_BCHW).sum().backward()
        optimiser.step()
    elif how == "load":
        backbone.load_state_dict({k: v * 1.5 if v.is_floating_point() else v for k, v in backbone.state_dict().items()})
    elif how == "average":
        source = shake(build(name))
        with torch.no_grad():
            for p in source.parameters():
                p.mul_(1.5)
        for mine, other in zip(backbone.parameters(), source.parameters(), strict=True):
            mine.data.lerp_(other.data, 0.5)
    else:
        with torch.no_grad():
            for p in backbone.parameters():
                (p.data if how == "data" else p).mul_(1.5)
    assert (backbone(x_BCHW) - before).abs().max() > 1e-6
    assert torch.equal(copy.deepcopy(backbone)(x_BCHW), backbone(x_BCHW))


def test_two_backward_passes_through_a_frozen_eval_encoder(name):
    backbone = shake(build(name)).eval().requires_grad_(False)
    x_BCHW = images(backbone).requires_grad_()
    gradients = []
    for _ in range(2):
        x_BCHW.grad = None
        backbone(x_BCHW).square().sum().backward()
        gradients.append(x_BCHW.grad.clone())
    assert torch.equal(*gradients) and gradients[0].abs().sum() > 0


def test_batch_independence_in_eval(name):
    backbone = shake(build(name)).double().eval()
    x_BCHW = images(backbone, 3, torch.float64)
    alone = torch.cat([backbone(x) for x in x_BCHW.split(1)])
    torch.testing.assert_close(backbone(x_BCHW), alone, rtol=1e-10, atol=1e-12)


def test_float64_and_bfloat16(name):
    backbone = shake(build(name)).eval()
    x_BCHW = images(backbone)
    single = backbone(x_BCHW).detach()
    with torch.autocast("cpu", torch.bfloat16):
        half = backbone(x_BCHW)
    double = copy.deepcopy(backbone).double()(x_BCHW.double())
    assert double.dtype == torch.float64
    assert (double - single).norm() < 1e-4 * single.norm()
    assert (half.float() - single).norm() < 0.05 * single.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_claimed_symmetry(name, dtype):
    backbone = shake(build(name)).eval().to(dtype)
    if is_steerable(name) and backbone.is_invariant:
        assert_equivariant(backbone, dtypes=(dtype,))
    elif is_steerable(name):
        with pytest.raises(AssertionError):
            assert_equivariant(backbone, dtypes=(dtype,))


def test_attention_maps_where_there_are(name):
    backbone = build(name).eval()
    for alpha in backbone.attention_maps(images(backbone)):
        assert alpha.shape == (2, 1, *backbone.shape_CHW[1:]) and alpha.min() >= 0
    assert bool(backbone.attention_maps(images(backbone))) == any(
        word in name for word in ("attention", "transformer", "vit")
    )


def test_to_plain_gives_the_same_outputs_from_ordinary_layers(name):
    backbone = shake(build(name)).eval()
    ordinary = backbone.to_plain()
    x_BCHW = images(backbone)
    torch.testing.assert_close(ordinary(x_BCHW), backbone(x_BCHW), rtol=1e-5, atol=1e-5)
    leaves = [m for m in ordinary.modules() if not any(True for _ in m.children())]
    foreign = {type(m).__name__ for m in leaves if not type(m).__module__.startswith("torch.nn.")}
    assert foreign == WITHOUT_TWIN.get(name, set())


def test_save_and_load(name, tmp_path):
    backbone = shake(build(name)).eval()
    path = save_encoder(backbone, tmp_path / "encoder", trained_on="nothing")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["encoder.json", "encoder.safetensors"]
    assert torch.equal(load_encoder(path)(images(backbone)), backbone(images(backbone)))


def test_cost_counts_every_parameter(name):
    backbone = build(name)
    cost = measure_cost(backbone)
    assert cost["parameters"] == sum(p.numel() for p in backbone.parameters())
    assert cost["multiply_adds"] > 0 and cost["activation_bytes"] > 0


def test_every_layer_without_an_ordinary_twin_is_documented():
    assert set(plain.WITHOUT_TWIN) == set().union(OF_READOUTS, *WITHOUT_TWIN.values())
    assert all(f"{layer}" in plain.__doc__ for layer in plain.WITHOUT_TWIN)


def test_registry_is_what_the_interface_lists():
    assert list_backbones() == BACKBONES.names() and list_backbones("steerable_*") != list_backbones()
