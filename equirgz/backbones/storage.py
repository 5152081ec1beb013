"""An encoder on disk: ``NAME.safetensors`` (weights) beside ``NAME.json`` (how to build it).

Loading needs no pickle and runs no code of the file. Legend: F features.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from equirgz.backbones.base import Backbone
from equirgz.backbones.create import create_backbone
from equirgz.backbones.reference.convert import native_twin
from equirgz.backbones.structure import find_other_layer, find_other_weight, is_same, probe
from equirgz.backbones.wrapped import copy_network, find_backbone, make_weights_plain
from equirgz.errors import DataError, InputError, ResultsError
from equirgz.paths import as_path
from equirgz.pretrained import find_weights, list_pretrained
from equirgz.records import (
    canonical_json,
    content_hash,
    read_json,
    write_bytes_atomic,
    write_json_atomic,
)

FORMAT = "equirgz-encoder"
_WRAPPED = re.compile(r"(?<![^.])(?:module|_orig_mod|_fsdp_wrapped_module)\.")
_CONFIG_HASH = "equirgz_config"  # entry of the metadata of the .safetensors


def save_encoder(backbone: nn.Module, path: Path | str, **facts: Any) -> Path:
    """Write ``path`` (.safetensors) and the .json beside it, each by rename; return the former.

    ``facts`` (training data, metrics, ...; JSON values) are kept in the .json under "facts". Of a
    network of a reference engine its native twin is saved, which loads without that library. The
    weights carry the hash of the configuration that they belong to.

    Wrappers (torch.compile, DDP, DataParallel, AveragedModel) are taken off, and weights that pruning,
    norms or other parametrizations compute are saved as the numbers that they have in eval mode. What is
    saved is what :func:`load_encoder` gives: before anything is written the network is built anew from its
    configuration, loaded, and compared layer by layer and in its outputs of two random images.

    Raises InputError for anything but an encoder, for one that its configuration does not give again
    (layers, settings, hooks or weights changed by hand), for NaN in the weights, and for facts or options
    of the backbone that JSON cannot hold; ResultsError where the files cannot be written.
    """
    backbone = native_twin(find_backbone(backbone, "save_encoder"))
    if not getattr(backbone, "config", None):
        mend = "build it with create_backbone, or keep its state_dict beside your own code"
        raise InputError("save_encoder", expected="a network of create_backbone", got=_kind(backbone), mend=mend)
    described = {"backbone": backbone.config, "facts": facts}
    _check_json("save_encoder", described)
    return write_files(path, FORMAT, described, _checked_weights(backbone), what="save_encoder")


def write_files(
    path: Path | str, form: str, described: dict[str, Any], weights: dict[str, torch.Tensor], what: str
) -> Path:
    """Write ``weights`` and ``described``, whose entry "backbone" they belong to, as files of format ``form``.

    Raises InputError, before anything is written, for what JSON cannot hold and for the name of another file
    (:func:`check_free`).
    """
    path = check_free(path)
    _check_json(what, described)
    belongs_to = {_CONFIG_HASH: content_hash(described["backbone"])}
    whole = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in weights.items()}
    write_bytes_atomic(path, save(whole, belongs_to))
    write_json_atomic(path.with_suffix(".json"), {"format": form, **described})
    return path


def check_free(path: Path | str, endings: tuple[str, ...] = (".json",)) -> Path:
    """Return the .safetensors that ``path`` names; InputError where a file that goes with it is somebody else's.

    That is a file with the same stem and one of ``endings`` that lies there without weights.
    """
    path = weights_path(path)
    other = next((file for file in map(path.with_suffix, endings) if file.exists()), None)
    if other is not None and not path.exists():
        got = f"{other}, which belongs to no {path.name}"
        raise InputError("path", expected="a name that no other file has", got=got, mend="give another name")
    return path


def _check_json(what: str, described: dict[str, Any]) -> None:
    try:
        canonical_json(described)
    except (TypeError, ValueError) as error:
        mend = "use numbers, strings, lists and dictionaries of them"
        raise InputError(what, expected="JSON values", got=str(error), mend=mend) from error


def _kind(network: object) -> str:
    return f"a {type(network).__name__} without a configuration"


def _checked_weights(backbone: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights with which the network's configuration gives the network; refuse where none do."""
    network = copy_network(backbone).eval()
    dtype = common_dtype(network.state_dict().values())
    if {t.dtype for t in network.parameters()} != {dtype} or torch.finfo(dtype).bits < 32:
        network.to(torch.promote_types(dtype, torch.float32))  # half precision is not computed everywhere
    try:
        h_BF = probe(network)
        weights = make_weights_plain(network).state_dict()
        again = build_backbone(backbone.config)
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise _not_reproduced(f"one that fails: {str(error).splitlines()[0][:150]}") from error
    difference = find_other_layer(network, again) or find_other_weight(weights, again.state_dict())
    if difference is not None:
        raise _not_reproduced(difference)
    like = next(iter(network.parameters()))
    again.to(device=like.device, dtype=like.dtype).load_state_dict(weights)
    if not is_same(h_BF, probe(again.eval())):
        raise _not_reproduced("other outputs with the same layers and weights (a hook, forward or buffer was changed)")
    return {name: t.to(dtype) if t.is_floating_point() else t for name, t in weights.items()}


def _not_reproduced(got: str) -> InputError:
    mend = (
        "make the change an option of create_backbone, undo it, or keep the network's state_dict beside your own code"
    )
    return InputError("save_encoder", expected="a network that its configuration gives again", got=got, mend=mend)


def common_dtype(tensors: Iterable[Any]) -> torch.dtype:
    """Return the floating type that holds all of ``tensors`` without loss."""
    dtypes = [t.dtype for t in tensors if torch.is_tensor(t) and t.is_floating_point()]
    return functools.reduce(torch.promote_types, dtypes) if dtypes else torch.get_default_dtype()


def build_backbone(config: dict[str, Any]) -> Backbone:
    """Return the network of a configuration that may have been through JSON; torch's generator is left alone."""
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    with torch.random.fork_rng(devices=()), torch.device("cpu"):
        return create_backbone(**arguments)


def load_encoder(path: Path | str) -> Backbone:
    """Rebuild the backbone saved at ``path`` (see :func:`find_encoder`), in eval mode.

    Weights keep the dtype in which they were stored; ``facts`` of the network is what was saved with it.
    Raises DataError when a file is missing, damaged, of another architecture or of another encoder.
    """
    path, described, weights = read_files(
        path, FORMAT, mend="give the path that save_encoder returned, with both of its files"
    )
    config = described["backbone"]
    try:
        backbone = build_backbone(config)
    except (InputError, TypeError) as error:
        raise DataError(f"{path.with_suffix('.json')} describes no backbone of this version: {error}") from error
    backbone.to(common_dtype(weights.values()))
    load_weights(backbone, weights, source=str(path))
    check_pair(path, described)
    backbone.facts = described.get("facts") or {}
    return backbone.eval()


def load_pretrained(name: str) -> Backbone:
    """Return a shipped encoder in eval mode, float32; see :func:`equirgz.list_pretrained` and its card.

    Images must come to it as it was trained: ``equirgz embed``, ``equirgz.finetune`` of its features and
    ``encoder.facts["preprocessing"]`` say how. Raises InputError with the nearest name for an unknown one.
    """
    return load_encoder(find_weights(name)).float()


def read_files(path: Path | str, form: str, mend: str) -> tuple[Path, dict[str, Any], dict[str, torch.Tensor]]:
    """Return the path of the weights, the description and the weights that :func:`write_files` wrote.

    Raises DataError when a file is missing, damaged, of another format, or not of one pair.
    """
    path = find_encoder(path)
    if not path.is_file():
        where = (
            mend
            if form != FORMAT
            else ("give the path that save_encoder returned, or a folder that `equirgz train` wrote")
        )
        raise DataError(f"cannot read {path}: no such file; {where}")
    described = _read_description(path.with_suffix(".json"), form, mend)
    try:
        with safe_open(path, "pt") as file:
            belongs_to = (file.metadata() or {}).get(_CONFIG_HASH)
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}); save or download it again") from error
    return path, described | {"belongs_to": belongs_to}, weights


def check_pair(path: Path, described: dict[str, Any]) -> None:
    """Raise DataError where weights and description, as :func:`read_files` returns them, are of two savings."""
    if described["belongs_to"] not in (None, content_hash(described["backbone"])):
        expected = f"weights of the configuration in {path.with_suffix('.json').name}"
        mend = "give both files that were saved together"
        raise DataError(str(path), expected=expected, got="those of another encoder", mend=mend)


def find_encoder(path: Path | str) -> Path:
    """Return the .safetensors of an encoder, given either of its files, their common stem, a folder that holds
    encoder.safetensors (such as ``equirgz train`` writes), or the name of a shipped one."""
    weights, inside = weights_path(path), as_path(path) / "encoder.safetensors"
    if weights.is_file():
        return weights
    if inside.is_file():
        return inside
    return find_weights(str(path)) if str(path) in list_pretrained() else weights


def load_weights(backbone: Backbone, weights: dict[str, Any], source: str = "state_dict") -> None:
    """Load ``weights`` strictly; raise DataError that names the first entry that does not fit, or holds NaN.

    What wrappers put before names ("module.", "_orig_mod.") is taken off.
    """
    own = backbone.state_dict()
    weights = {name if name in own else _WRAPPED.sub("", name): t for name, t in weights.items()}
    for name in sorted(own.keys() | weights.keys()):
        expected = tuple(own[name].shape) if name in own else "no such entry"
        got = tuple(weights[name].shape) if name in weights else "no such entry"
        if expected != got:
            mend = "build the backbone with the name, group and width it was saved with"
            raise DataError(f"{source}, {name}", expected=expected, got=got, mend=mend)
        if weights[name].is_floating_point() and not bool(torch.isfinite(weights[name]).all()):
            mend = "take an earlier checkpoint: that training diverged, or the file is damaged"
            raise DataError(f"{source}, {name}", expected="finite numbers", got="NaN or infinity", mend=mend)
    backbone.load_state_dict(weights)


def weights_path(path: Path | str) -> Path:
    """Return the .safetensors of either file or of their stem, which may hold dots of its own."""
    path = as_path(path)
    if path.suffix in (".safetensors", ".json"):
        return path.with_suffix(".safetensors")
    return path.with_name(f"{path.name}.safetensors")


def _read_description(path: Path, form: str, mend: str) -> dict[str, Any]:
    """Return what the .json at ``path`` holds: format ``form``, and a backbone's configuration."""
    try:
        described = read_json(path)
    except ResultsError as error:
        raise DataError(f"{str(error).partition('; ')[0]}; {mend}") from error
    found = described.get("format") if isinstance(described, dict) else None
    if found != form:
        got = "another file" if found is None else f"format {found!r}"
        raise DataError(str(path), expected=f"format {form!r}", got=got, mend=mend)
    config = described.get("backbone")
    if not isinstance(config, dict) or "name" not in config:
        got = f"entries {', '.join(sorted(described))}"
        raise DataError(str(path), expected="an entry 'backbone' with a name", got=got, mend=mend)
    return described
