"""The front door: build a backbone by name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from equirgz.backbones.arguments import check_whole, check_width
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.backbones.levels import FeatureMaps
from equirgz.errors import InputError, check_choice
from equirgz.geometry.group import Group, get_group
from equirgz.registry import default_group

ENGINES = ("native", "escnn", "e2cnn")


def list_backbones(pattern: str = "*") -> list[str]:
    """Return the registered names that match a shell-style ``pattern``, sorted."""
    return BACKBONES.names(pattern)


def takes_group(name: str) -> bool:
    """Return whether the backbone registered as ``name`` is steerable; a plain one has group C1 alone."""
    return "group" in inspect.signature(BACKBONES.get(name)).parameters


def create_backbone(
    name: str,
    group: str | Group | None = None,
    in_channels: int | None = None,
    image_size: int = 65,
    width: float | None = None,
    match: str | None = None,
    engine: str = "native",
    num_classes: int = 0,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    pretrained: str | bool | None = None,
    **params: Any,
) -> Backbone | FeatureMaps:
    """Build a registered backbone; the result is a plain ``torch.nn.Module``.

    Parameters
    ----------
    name : see :func:`list_backbones`.
    group : "C1", "C8", "D16", ..., or a Group; None: "D4" for a steerable backbone, "C1" for a plain one,
        which accepts no other.
    in_channels : of the images; None: 1, or what a network of spectra needs.
    image_size : side of the square input, pixels.
    width : multiplier of the default field counts; None: 1, or what ``match`` asks for.
    match : "params:NAME", "flops:NAME" or "activations:NAME" choose the width at which that cost is
        nearest to that of backbone NAME (default arguments, same image size); a number may stand
        in place of NAME.
    engine : "native", or "escnn" / "e2cnn" (extra ``reference``) for the same network in those libraries.
    num_classes : 0 for features; else a linear classifier is put on them, and logits come out.
    features_only : return the list of maps at every level (:class:`equirgz.backbones.levels.FeatureMaps`), or at
        those of ``out_indices``.
    pretrained : name of a shipped encoder (:func:`equirgz.list_pretrained`) of this backbone: its architecture and
        its weights; options that are given must be its own.
    params : options of the backbone; see its docstring. ``in_chans`` and ``img_size`` are understood as
        ``in_channels`` and ``image_size``.

    Raises InputError for unknown names, groups or keywords, for sizes outside ``image_sizes`` of the
    network (naming the nearest valid choice), and for a width that is not a finite number above 0.

    >>> create_backbone("steerable_lenet", group="D8", image_size=65).num_features
    16
    """
    check_choice("engine", engine, ENGINES)
    in_channels = _other_word(params, "in_chans", "in_channels", in_channels, None)
    if in_channels is None:
        in_channels = inspect.signature(BACKBONES.get(name)).parameters["in_channels"].default
    in_channels = check_whole("in_channels", in_channels)
    image_size = check_whole("image_size", _side(_other_word(params, "img_size", "image_size", image_size, 65)))
    check_whole("num_classes", num_classes, minimum=0)
    if pretrained:
        given = {"name": name, "group": str(group) if group is not None else None, "width": width, **params}
        given |= {key: value for key, value, usual in (("in_channels", in_channels, 1), ("image_size", image_size, 65))
                  if value != usual}  # fmt: skip
        backbone = _create_pretrained(pretrained, given)
        return _finish(backbone, num_classes, features_only, out_indices)
    symmetry = get_group(default_group(name) if group is None else group)
    arguments: dict[str, Any] = {"in_channels": in_channels, "image_size": image_size, **params}
    if takes_group(name):
        arguments["group"] = symmetry.name
    elif symmetry.order != 1:
        steerable = ", ".join(BACKBONES.names("steerable_*"))
        raise InputError(f"backbone {name!r}: expected group C1, got {group}; steerable backbones: {steerable}")
    if match is not None:
        from equirgz.backbones.match import matched_width

        if width is not None:
            raise InputError("width and match: expected one of them, got both; drop one")
        width = matched_width(name, match, arguments)
    arguments["width"] = 1.0 if width is None else check_width(width)
    if engine != "native":
        from equirgz.backbones.reference import create_reference

        backbone = create_reference(name, engine, arguments)
    else:
        backbone = BACKBONES.create(name, **arguments)
    backbone.config = {"name": name, "engine": engine, **_whole_options(name, arguments)}
    return _finish(backbone, num_classes, features_only, out_indices)


def _whole_options(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return every option of the backbone, its defaults too, so that a default of another version changes no saved
    network."""
    options = inspect.signature(BACKBONES.get(name)).parameters.values()
    defaults = {option.name: option.default for option in options if option.default is not option.empty}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in (defaults | arguments).items()}


def _finish(
    backbone: Backbone, num_classes: int, features_only: bool, out_indices: Sequence[int] | None
) -> Backbone | FeatureMaps:
    if num_classes:
        backbone.reset_classifier(num_classes)
    if out_indices is not None and not features_only:
        raise InputError("out_indices", expected="features_only=True", got="False", mend="give both")
    return FeatureMaps(backbone, out_indices) if features_only else backbone


def _create_pretrained(name: str | bool, given: dict[str, Any]) -> Backbone:
    """Return a shipped encoder, whose architecture the options that were ``given`` must not contradict."""
    from equirgz.pretrained import check_agreement, list_pretrained, read_weights

    if not isinstance(name, str):
        raise InputError("pretrained", expected=f"a name: {', '.join(list_pretrained())}", got=name)
    stored = check_agreement(name, given)
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    with torch.random.fork_rng(devices=()):
        backbone = create_backbone(**arguments)
    backbone.load_state_dict(read_weights(name))
    return backbone


def _other_word(params: dict[str, Any], word: str, own: str, value: Any, default: Any) -> Any:
    """Take ``word`` out of ``params`` as the value of our option ``own``; refuse both at once."""
    if word not in params:
        return value
    other = params.pop(word)
    if value not in (default, other):
        raise InputError(f"{own} and {word}", expected="one of them", got=f"{value} and {other}")
    return other


def _side(size: Any) -> Any:
    """Return the side of a square given as (side, side), else ``size`` itself."""
    if isinstance(size, tuple | list):
        if len(size) != 2 or size[0] != size[1]:
            expected = "the side of a square, such as 65 or (65, 65)"
            raise InputError("image_size", expected=expected, got=tuple(size), mend="crop the images")
        return size[0]
    return size
