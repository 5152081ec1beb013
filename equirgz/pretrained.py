"""The encoders that are shipped: ``NAME.safetensors`` (float16), ``NAME.json`` and ``NAME.md`` in ``weights/``.

The files are those of :func:`equirgz.save_encoder`; the card is written by ``python -m benchmarks.encoders NAME``.
Beside them, in ``weights/classifiers/``, lie the models that ``equirgz classify`` reads: an encoder with read-outs
(:class:`equirgz.answers.source_model.SourceModel`), made by ``python -m benchmarks.encoders.classifier NAME``.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

from equirgz.errors import DataError, InputError, check_choice
from equirgz.records import read_json

WEIGHTS = Path(__file__).parent / "weights"


def list_pretrained(pattern: str = "*") -> list[str]:
    """Return the names of the shipped encoders that match a shell-style pattern, sorted."""
    return sorted(fnmatch.filter((file.stem for file in WEIGHTS.glob("*.safetensors")), pattern))


def find_weights(name: str) -> Path:
    """Return the file of a shipped encoder; raise InputError with the nearest name for an unknown one."""
    return WEIGHTS / f"{check_choice('pretrained encoder', name, list_pretrained())}.safetensors"


AUTO, FIRST_CHOICE = "auto", "radio_d4_small"


def choose_pretrained(name: str) -> str:
    """Return the name of a shipped encoder; "auto" is ``radio_d4_small``, or the first where that is not there.

    Raises InputError with the nearest name for an unknown one, and for "auto" where none is shipped.
    """
    names = list_pretrained()
    if name == AUTO and names:
        return FIRST_CHOICE if FIRST_CHOICE in names else names[0]
    if not names:
        mend = "leave pretrained out, or give encoder=PATH"
        raise InputError("pretrained", expected="an encoder inside the package", got="none in this version", mend=mend)
    return check_choice("pretrained encoder", name, names)


def list_classifiers(pattern: str = "*") -> list[str]:
    """Return the names of the shipped models of ``equirgz classify`` that match a shell-style pattern, sorted."""
    return sorted(fnmatch.filter((file.stem for file in (WEIGHTS / "classifiers").glob("*.safetensors")), pattern))


def find_classifier(name: str) -> Path:
    """Return the file of a shipped model of ``equirgz classify``; InputError with the nearest name for another."""
    return WEIGHTS / "classifiers" / f"{check_choice('classifier', name, list_classifiers())}.safetensors"


def read_description(name: str) -> dict[str, Any]:
    """Return what is known of a shipped encoder: ``backbone`` (how to build it) and ``facts`` (training, pixels)."""
    return read_json(find_weights(name).with_suffix(".json"))


def read_weights(name: str) -> dict[str, Any]:
    """Return the weights of a shipped encoder in float32, by name; DataError for a damaged file."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = find_weights(name)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}); install equirgz again") from error
    return {key: tensor.to(torch.float32) if tensor.is_floating_point() else tensor for key, tensor in weights.items()}


def read_card(name: str) -> str:
    """Return the card of a shipped encoder, Markdown: data, versions, licence, errors with intervals, failures."""
    return find_weights(name).with_suffix(".md").read_text(encoding="utf-8")


def check_agreement(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return how a shipped encoder is built; raise InputError where ``given`` options say otherwise."""
    stored = read_description(name)["backbone"]
    for key, value in given.items():
        own = stored.get(key)
        if value is not None and (list(value) if isinstance(value, tuple) else value) != own:
            mend = "leave it out, or build the network without pretrained and fine-tune it"
            raise InputError(f"pretrained {name!r}: {key}", expected=own, got=value, mend=mend)
    return stored
