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
from equirgz.errors import DataError, explain
from equirgz.records import read_json, write_json_atomic

FORMAT = "equirgz-encoder"


def save_encoder(backbone: Backbone, path: Path | str, **facts: Any) -> Path:
    """Write ``path`` (.safetensors) and the .json beside it; return the former.

    ``facts`` (training data, metrics, ...; JSON values) are kept in the .json under "facts".
    """
    path = Path(path).with_suffix(".safetensors")
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
    path = Path(path).with_suffix(".safetensors")
    if not path.is_file():
        raise DataError(f"cannot read {path}: no such file; give the path that save_encoder returned")
    described = read_json(path.with_suffix(".json"))
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise DataError(
            explain(str(path.with_suffix(".json")), expected=f"format {FORMAT!r}", got="another file")
        )
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise DataError(f"{path} is damaged ({error}); save or download it again") from error
    backbone = create_backbone(**_arguments(described["backbone"]))
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


def _arguments(config: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
