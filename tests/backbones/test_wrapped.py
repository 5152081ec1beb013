"""What is saved is what is loaded: wrapped and computed weights in full, any other change refused in one line."""

from __future__ import annotations

import functools
import types

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.optim.swa_utils import AveragedModel

from equirgz import create_backbone, load_encoder, save_encoder
from equirgz.backbones import to_plain
from equirgz.backbones.wrapped import copy_network, unwrap
from equirgz.errors import DataError, InputError
from equirgz.nn import GroupConv2d, GroupPooling
from equirgz.nn.dropout import FieldDropout
from tests.backbones.test_contract import shake


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def make(name: str = "steerable_cnn", **options) -> nn.Module:
    group = "D4" if name.startswith("steerable") else "C1"
    return shake(create_backbone(name, group=group, image_size=33, width=0.2, **options)).eval()


def convolutions(net: nn.Module) -> list[nn.Module]:
    return [m for m in net.modules() if isinstance(m, GroupConv2d | nn.Conv2d)]


def on_each_convolution(change, net: nn.Module) -> nn.Module:
    for layer in convolutions(net):
        change(layer)
    return net


def compile_inside(net: nn.Module) -> nn.Module:
    net.stages[0] = torch.compile(net.stages[0], backend="eager")
    return net


WRAPPERS = {
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "compiled in place": lambda net: net.compile(backend="eager") or net,
    "compiled inside": compile_inside,
    "DataParallel": nn.DataParallel,
    "AveragedModel": AveragedModel,
    "all of them": lambda net: AveragedModel(nn.DataParallel(torch.compile(net, backend="eager"))),
    "pruned": functools.partial(on_each_convolution, lambda m: prune.l1_unstructured(m, "weight", 0.5)),
    "pruned twice": functools.partial(
        on_each_convolution,
        lambda m: (prune.random_unstructured(m, "weight", 0.3), prune.ln_structured(m, "weight", 0.3, 2, 0)),
    ),
    "weight norm": functools.partial(on_each_convolution, lambda m: parametrizations.weight_norm(m, "weight")),
    "spectral norm": functools.partial(on_each_convolution, lambda m: parametrizations.spectral_norm(m, "weight")),
    "older spectral norm": functools.partial(on_each_convolution, lambda m: nn.utils.spectral_norm(m, "weight")),
    "parametrized": functools.partial(
        on_each_convolution, lambda m: parametrize.register_parametrization(m, "weight", Doubled())
    ),
    "frozen": lambda net: net.requires_grad_(False),
    "training": lambda net: net.train(),
    "watched by a hook": lambda net: net.register_forward_hook(lambda *_: None) and net,
    "on one path": lambda net: on_each_convolution(lambda m: setattr(m, "path", "dense"), net),
    "with a note of the user's": lambda net: setattr(net, "note", "mine") or net,
}


@pytest.mark.parametrize("backbone", ["steerable_cnn", "lenet"])
@pytest.mark.parametrize("how", WRAPPERS)
def test_what_is_saved_is_what_is_loaded(how, backbone, tmp_path):
    wrapped = WRAPPERS[how](make(backbone))
    mode = wrapped.training
    loaded = load_encoder(save_encoder(wrapped, tmp_path / "encoder"))
    assert wrapped.training == mode
    x_BCHW = torch.randn(3, 1, 33, 33)
    inside = unwrap(wrapped)
    torch.testing.assert_close(loaded(x_BCHW), inside.eval()(x_BCHW), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", ["pruned", "weight norm", "spectral norm"])
def test_the_network_that_is_saved_is_left_as_it_is(how, tmp_path):
    net = WRAPPERS[how](make())
    before = {k: v.clone() for k, v in net.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    save_encoder(net, tmp_path / "encoder")
    assert torch.equal(torch.get_rng_state(), state)
    after = net.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[k], v) for k, v in before.items())
    assert net(torch.randn(1, 1, 33, 33)).isfinite().all()


def gelu(net: nn.Module) -> None:
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.GELU())


def set_in_first(kind: type, key: str, value: object):
    return lambda net: setattr(next(m for m in net.modules() if isinstance(m, kind)), key, value)


def patch_forward(net: nn.Module) -> None:
    net.forward = types.MethodType(lambda self, x: 2 * type(self).forward(self, x), net)


def hook_outputs(net: nn.Module) -> None:
    net.stages[0].register_forward_hook(lambda module, args, y: y + 1)


def change_buffer(net: nn.Module) -> None:
    next(m for m in net.modules() if isinstance(m, GroupConv2d)).turned_GKP.mul_(2)


def tie(net: nn.Module) -> None:
    norm = next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    norm.weight = norm.bias


def break_weight(net: nn.Module) -> None:
    convolutions(net)[0].weight.data[0, 0, 0, 0] = float("nan")


REFUSED = {
    "GELU for ReLU": (gelu, "of type GELU instead of ReLU"),
    "another dropout": (set_in_first(FieldDropout, "p", 0.7), r"with p 0\.7 instead of 0\.1"),
    "another pooling over the group": (set_in_first(GroupPooling, "how", "mean"), "with how 'mean' instead of 'max'"),
    "another eps": (set_in_first(nn.BatchNorm2d, "eps", 0.1), r"with eps 0\.1 instead of 1e-05"),
    "a patched forward": (patch_forward, "other outputs with the same layers"),
    "a hook on outputs": (hook_outputs, "other outputs with the same layers"),
    "a changed buffer": (change_buffer, "other outputs with the same layers"),
    "another configuration": (lambda net: net.config.update(group="C8"), r"with group C?.* instead of"),
    "no backbone's configuration": (lambda net: net.config.update(name="nosuch"), "one that fails: .*'nosuch'"),
    "an extra head": (lambda net: setattr(net, "fc", nn.Linear(3, 2)), r"layer 'fc' \(Linear\), which was added"),
    "an extra weight": (
        lambda net: net.register_parameter("scale", nn.Parameter(torch.ones(1))),
        r"scale \(1,\) instead of no such",
    ),
    "a lost layer": (lambda net: net.stages.__delitem__(-1), "one that fails|no layer|instead of"),
    "tied weights": (tie, "tied to another weight"),
    "NaN": (break_weight, "with NaN or infinite numbers"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_a_network_that_its_configuration_does_not_give_is_refused(how, tmp_path):
    net = make(dropout=0.1)
    change, message = REFUSED[how]
    change(net)
    with pytest.raises(InputError, match=message) as refused:
        save_encoder(net, tmp_path / "encoder")
    assert "\n" not in str(refused.value) and not any(tmp_path.iterdir())
    assert str(refused.value).startswith("save_encoder: expected a network that its configuration gives again")


def test_what_is_no_encoder_is_refused_with_the_mend(tmp_path):
    net = make()
    named = nn.Module()
    named.encoder = net
    cases = {
        r"got a module Sequential; give the encoder in it, net\[0\]; the rest": nn.Sequential(net, nn.Linear(6, 2)),
        r"give the encoder in it, net\.encoder; the rest": named,
        r"give the encoder that to_plain was called on": net.to_plain(),
        r"got a module Linear; give a network of create_backbone": nn.Linear(2, 2),
        r"got a str; give the network itself": "encoder",
        r"got a OrderedDict; give the network itself": net.state_dict(),
        r"got the class EquirgzClassifier; give": __import__("equirgz").EquirgzClassifier,
    }
    for message, given in cases.items():
        with pytest.raises(InputError, match=message) as refused:
            save_encoder(given, tmp_path / "encoder")
        assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match="expected weights that are numbers, got .* on the meta device; call to_empty"):
        save_encoder(make().to("meta"), tmp_path / "encoder")
    assert not any(tmp_path.iterdir())


def test_a_backbone_of_no_factory_has_no_configuration(tmp_path):
    net = make()
    net.config = {}
    with pytest.raises(InputError, match="expected a network of create_backbone, got a .* without a configuration"):
        save_encoder(net, tmp_path / "encoder")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_fsdp_wrapped_module."])
def test_files_with_the_prefixes_of_wrappers_load(prefix, tmp_path):
    net = make()
    path = save_encoder(net, tmp_path / "encoder")
    save_file({prefix + name: t for name, t in load_file(path).items()}, path)
    assert all(torch.equal(a, b) for a, b in zip(load_encoder(path).parameters(), net.parameters(), strict=True))


def test_a_file_with_nan_is_refused(tmp_path):
    path = save_encoder(make(), tmp_path / "encoder")
    weights = load_file(path)
    name = min(k for k in weights if k.endswith("weight"))
    weights[name][0] = float("inf")
    save_file(weights, path)
    with pytest.raises(DataError, match=rf"{name}: expected finite numbers, got NaN or infinity; take an earlier"):
        load_encoder(path)


@pytest.mark.parametrize("how", ["pruned", "weight norm", "older spectral norm", "compiled", "compiled inside"])
def test_a_copy_answers_as_its_original_and_shares_no_weight(how):
    net = WRAPPERS[how](make())
    twin = copy_network(unwrap(net))
    x_BCHW = torch.randn(2, 1, 33, 33)
    with torch.no_grad():
        assert torch.equal(twin(x_BCHW), unwrap(net)(x_BCHW))
        for parameter in twin.parameters():
            parameter.mul_(1.5)
        assert not torch.equal(twin(x_BCHW), unwrap(net)(x_BCHW))


def test_a_quantised_encoder_is_refused(tmp_path):
    class Linear(nn.Linear):
        """Stands for the layers of torch.ao, which bear torch.nn's names and need a backend."""

    net = make("lenet")
    net.head.layers[1].__class__ = Linear
    message = r"layer 'head\.layers\.1' of type tests\..*Linear instead of torch\.nn\..*Linear"
    with pytest.raises(InputError, match=message):
        save_encoder(net, tmp_path / "encoder")


@pytest.mark.parametrize("how", ["pruned", "weight norm", "compiled", "DataParallel", "older spectral norm"])
def test_a_plain_twin_of_wrapped_and_computed_weights(how):
    wrapped = WRAPPERS[how](make())
    x_BCHW = torch.randn(2, 1, 33, 33)
    plain = to_plain(wrapped)
    assert not any(hasattr(m, "parametrizations") or m._forward_pre_hooks for m in plain.modules())
    torch.testing.assert_close(plain(x_BCHW), unwrap(wrapped)(x_BCHW), rtol=1e-4, atol=1e-5)


def test_a_shard_is_no_encoder(tmp_path):
    shard = type("FullyShardedDataParallel", (nn.DataParallel,), {})(make())
    with pytest.raises(InputError, match="got an FSDP shard of it; build the encoder anew and load"):
        save_encoder(shard, tmp_path / "encoder")
