"""An encoder on disk: ``NAME.safetensors`` (weights) beside ``NAME.json`` (how to build it).

Loading needs no pickle and runs no code of the file. Legend: F features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from equirgz.backbones.base import Backbone
from equirgz.backbones.create import create_backbone
from equirgz.backbones.reference.convert import native_twin
from equirgz.errors import DataError, InputError, ResultsError, explain
from equirgz.records import read_json, write_json_atomic

FORMAT = "equirgz-encoder"


def save_encoder(backbone: Backbone, path: Path | str, **facts: Any) -> Path:
    """Write ``path`` (.safetensors) and the .json beside it; return the former.

    ``facts`` (training data, metrics, ...; JSON values) are kept in the .json under "facts". Of a
    network of a reference engine its native twin is saved, which loads without that library.
    """
    backbone = native_twin(backbone)
    path = _weights_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t.detach().cpu().contiguous() for name, t in backbone.state_dict().items()}, path)
    write_json_atomic(
        path.with_suffix(".json"), {"format": FORMAT, "backbone": backbone.config, "facts": facts}
    )
    return path


def load_encoder(path: Path | str) -> Backbone:
    """Rebuild the backbone saved at ``path`` (either file, or their common stem), in eval mode.

    Raises DataError when a file is missing, damaged or of another architecture.
    """
    path = _weights_path(path)
    if not path.is_file():
        raise DataError(f"cannot read {path}: no such file; give the path that save_encoder returned")
    arguments = _read_arguments(path.with_suffix(".json"))
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}); save or download it again") from error
    try:
        backbone = create_backbone(**arguments)
    except (InputError, TypeError) as error:
        raise DataError(f"{path.with_suffix('.json')} describes no backbone of this version: {error}") from error
    load_weights(backbone, weights, source=str(path))
    return backbone.eval()


def load_weights(backbone: Backbone, weights: dict[str, Any], source: str = "state_dict") -> None:
    """Load ``weights`` strictly; raise DataError that names the first entry that does not fit."""
    own = backbone.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        expected = tuple(own[name].shape) if name in own else "no such entry"
        got = tuple(weights[name].shape) if name in weights else "no such entry"
        if expected != got:
            mend = "build the backbone with the name, group and width it was saved with"
            raise DataError(explain(f"{source}, {name}", expected=expected, got=got, mend=mend))
    backbone.load_state_dict(weights)


def _weights_path(path: Path | str) -> Path:
    """Return the .safetensors of either file or of their stem, which may hold dots of its own."""
    path = Path(path)
    if path.suffix in (".safetensors", ".json"):
        return path.with_suffix(".safetensors")
    return path.with_name(f"{path.name}.safetensors")


def _read_arguments(path: Path) -> dict[str, Any]:
    """Return the keyword arguments of ``create_backbone`` that the .json at ``path`` holds."""
    mend = "give the path that save_encoder returned, with both of its files"
    try:
        described = read_json(path)
    except ResultsError as error:
        raise DataError(f"{str(error).partition('; ')[0]}; {mend}") from error
    form = described.get("format") if isinstance(described, dict) else None
    if form != FORMAT:
        got = "another file" if form is None else f"format {form!r}"
        raise DataError(explain(str(path), expected=f"format {FORMAT!r}", got=got, mend=mend))
    config = described.get("backbone")
    if not isinstance(config, dict) or "name" not in config:
        got = f"entries {', '.join(sorted(described))}"
        raise DataError(explain(str(path), expected="an entry 'backbone' with a name", got=got, mend=mend))
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
