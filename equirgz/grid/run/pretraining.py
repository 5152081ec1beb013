"""Pre-trainings that several runs share: computed once, kept in the results folder by content.

Two runs share a pre-training when nothing that it reads differs: data, validation split, network,
pre-training settings and seed. The label count and all that follows is no part of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from equirgz.config import RunConfig
from equirgz.errors import ResultsError
from equirgz.paths import as_path
from equirgz.records import content_hash, read_json, write_bytes_atomic, write_json_atomic

if TYPE_CHECKING:
    from torch import nn


def pretrain_key(config: RunConfig) -> str:
    """Return the identity of a run's pre-training."""
    fields = config.model_dump(mode="json")
    apart = {key: fields["split"][key] for key in ("fold", "n_folds", "hold_out") if key in fields["split"]}
    return content_hash(
        {
            **apart,
            "data": fields["data"],
            "n_val": fields["split"]["n_val"],
            "split_seed": fields["split"]["split_seed"],
            "backbone": fields["backbone"],
            "pretrain": fields["pretrain"],
            "seed": fields["seed"],
        }
    )


class PretrainedStore:
    """Weights and logs of pre-trainings, as ``KEY.safetensors`` with ``KEY.json`` written last."""

    def __init__(self, folder: Path) -> None:
        self.folder = as_path(folder)

    def has(self, key: str) -> bool:
        """Return whether the pre-training is there as a whole."""
        return (self.folder / f"{key}.json").exists()

    def save(self, key: str, backbone: nn.Module, log: dict[str, Any]) -> None:
        """Write the weights, then the log."""
        from safetensors.torch import save

        state = {name: value.detach().cpu().contiguous().clone() for name, value in backbone.state_dict().items()}
        write_bytes_atomic(self.folder / f"{key}.safetensors", save(state))
        write_json_atomic(self.folder / f"{key}.json", log)

    def load(self, key: str, backbone: nn.Module) -> dict[str, Any]:
        """Put the weights into ``backbone`` and return the log; a damaged file is a ResultsError."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.folder / f"{key}.safetensors"
        try:
            backbone.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:100]
            raise ResultsError(f"{path}: expected the weights of a pre-training, got {reason}; delete it") from error
        return read_json(self.folder / f"{key}.json")
