"""From what a user holds to the encoder in it: wrappers taken off, computed weights made plain.

``torch.compile``, DDP, DataParallel, AveragedModel and Fabric wrap a network and change no number of it.
Pruning, weight norm, spectral norm and other parametrizations compute a weight from other tensors; in eval
mode the result is fixed, and an ordinary parameter with that value gives the same outputs.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm

from equirgz.errors import InputError

_INSIDE = {  # wrapper -> its attribute that holds the network
    "OptimizedModule": "_orig_mod",
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "AveragedModel": "module",
    "_FabricModule": "module",
}


def unwrap(network: Any) -> Any:
    """Return the network inside any number of wrappers that change none of its numbers."""
    while type(network).__name__ in _INSIDE:
        network = getattr(network, _INSIDE[type(network).__name__])
    return network


def is_encoder(network: Any) -> bool:
    """Return whether ``network`` is a module with ``num_features`` and ``blocks``, as every backbone is."""
    return isinstance(network, nn.Module) and hasattr(network, "num_features") and hasattr(network, "blocks")


def find_backbone(network: Any, what: str) -> nn.Module:
    """Return the encoder that ``network`` is or wraps; ``what`` takes it, for the error.

    An encoder is a :class:`~equirgz.backbones.Backbone`, or what :func:`is_encoder` takes for one.
    Raises InputError for anything else, naming the encoder inside where there is one: what stands around it
    would be lost without a word. Also for weights on the meta device, which are no numbers.
    """
    network = unwrap(network)
    if type(network).__name__ == "FullyShardedDataParallel":
        mend = "build the encoder anew and load FSDP's full state dict into it (get_model_state_dict, full_state_dict)"
        raise InputError(what, expected="an encoder with all its weights", got="an FSDP shard of it", mend=mend)
    if not is_encoder(network):
        raise InputError(f"{what}: expected an encoder, got {_described(network)}; {_mend(network)}")
    empty = next((name for name, p in network.named_parameters() if p.is_meta), None)
    if empty is not None:
        raise InputError(
            what,
            expected="weights that are numbers",
            got=f"{empty} on the meta device",
            mend="call to_empty(device='cpu') and load_state_dict first",
        )
    return network


def _described(network: Any) -> str:
    kind = type(network).__name__
    if isinstance(network, nn.Module):
        return f"a module {kind}"
    return f"the class {network.__name__}" if isinstance(network, type) else f"a {kind}"


def _mend(network: Any) -> str:
    if hasattr(type(network), "encoder_"):
        return "give its encoder_ (after fit), or save the whole classifier with its save(path)"
    if not isinstance(network, nn.Module):
        return "give the network itself, as create_backbone or load_encoder return it"
    if type(network).__name__ == "PlainEncoder":
        return "give the encoder that to_plain was called on: a plain one serves predictions alone"
    inside = [name for name, part in network.named_modules() if is_encoder(part)]
    if not inside:
        return "give a network of create_backbone or load_encoder"
    steps = [f"[{step}]" if step.isdecimal() else f".{step}" for step in inside[0].split(".")]
    kept = "the rest of it is no part of an encoder: keep it apart, with its own state_dict"
    return f"give the encoder in it, net{''.join(steps)}; {kept}"


def copy_network(network: nn.Module, instead: dict[int, Any] | None = None) -> nn.Module:
    """Return a deep copy without wrappers, also of networks whose weights are computed.

    ``instead``: ``id`` of a part -> what stands in its place in the copy.

    ``copy.deepcopy`` refuses weights that pruning and the older norms computed from others; they are
    computed anew in each forward pass. Hooks are shared with the original.
    """
    memo: dict[int, Any] = dict(instead or {})
    kept: list[Any] = []  # objects named in the memo must outlive the copying
    for part in network.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
        for hooks in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks):
            kept += hooks.values()
    memo |= {id(hook): hook for hook in kept}
    for part in reversed(list(network.modules())):
        if unwrap(part) is not part:
            memo[id(part)] = copy.deepcopy(unwrap(part), memo)
    return copy.deepcopy(network, memo)


@torch.no_grad()
def make_weights_plain(network: nn.Module) -> nn.Module:
    """Replace every computed weight of ``network`` by an ordinary parameter of its value in eval mode, in place."""
    network.eval()
    for part in list(network.modules()):
        _settle_parametrizations(part)
        for hook in list(part._forward_pre_hooks.values()):
            if isinstance(hook, prune.BasePruningMethod):
                prune.remove(part, hook._tensor_name)
            elif type(hook).__module__ == "torch.nn.utils.weight_norm":
                remove_weight_norm(part, hook.name)
            elif type(hook).__module__ == "torch.nn.utils.spectral_norm":
                remove_spectral_norm(part, hook.name)
    return network


def _settle_parametrizations(part: nn.Module) -> None:
    """As ``parametrize.remove_parametrizations``, which also breaks every other copy: they share one class."""
    if not parametrize.is_parametrized(part):
        return
    lists = part.parametrizations
    values = {name: getattr(part, name).detach().clone() for name in lists}
    learns = {name: any(True for _ in held.parameters()) for name, held in lists.items()}
    part.__class__ = parametrize.type_before_parametrizations(part)
    del part.parametrizations
    for name, value in values.items():
        if learns[name]:
            part.register_parameter(name, nn.Parameter(value))
        else:
            part.register_buffer(name, value)
