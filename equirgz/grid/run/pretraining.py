"""Pre-trainings that several runs share: each stage computed once, kept in the results folder by content.

Two runs share a stage when nothing that it and the stages before it read differs: data, validation split, network,
settings and seed. The label count and all that follows is no part of it. Stages on simulated sources, and those that
begin with a saved encoder, do not read the run's own sources, and are the same for all folds and sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from equirgz.config import PretrainConfig, RunConfig
from equirgz.errors import ResultsError
from equirgz.paths import as_path
from equirgz.records import content_hash, read_json, write_bytes_atomic, write_json_atomic

if TYPE_CHECKING:
    from torch import nn

SIMULATED = "synthetic"  # how the names of simulated sets begin, which hold no source that a run could hold out


def pretrain_key(config: RunConfig) -> str:
    """Return the identity of a run's pre-training: that of its last stage."""
    return stage_keys(config)[-1]


def stage_keys(config: RunConfig) -> list[str]:
    """Return the identity of the network after each stage of a run's pre-training."""
    return [_stage_key(config, config.stages[: place + 1]) for place in range(len(config.stages))]


def _stage_key(config: RunConfig, stages: tuple[PretrainConfig, ...]) -> str:
    fields = config.model_copy(update={"pretrain": stages if len(stages) > 1 else stages[0]}).model_dump(mode="json")
    split, read = fields["split"], {}
    if not all(map(_is_its_own, stages)):
        apart = ["fold", "n_folds", "hold_out", "n_val"]
        held_apart = split["n_val"] or "fold" in split or "hold_out" in split or config.data.unlabelled_class_share
        if held_apart or any(stage.seed is None for stage in stages):  # else nobody is chosen by it
            apart.append("split_seed")
        read = {"data": fields["data"], **{key: split[key] for key in apart if key in split}}
    if any(stage.seed is None and stage.encoder is None for stage in stages):
        read["seed"] = fields["seed"]
    return content_hash({**read, "backbone": fields["backbone"], "pretrain": fields["pretrain"]})


def _is_its_own(stage: PretrainConfig) -> bool:
    """Return whether a stage reads nothing of the run's sources, not even to keep apart from them."""
    data = stage.data
    if data is None:
        return stage.encoder is not None
    return data.name.startswith(SIMULATED) and data.unlabelled is None and not data.drop_leaks


class PretrainedStore:
    """Weights and logs of stages, as ``KEY.safetensors`` with ``KEY.json`` written last; what answers beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = as_path(folder)

    def has(self, key: str) -> bool:
        """Return whether the stage is there as a whole."""
        return (self.folder / f"{key}.json").exists()

    def save(self, key: str, backbone: nn.Module, log: dict[str, Any], head: dict[str, Any] | None = None) -> None:
        """Write the weights (those of ``head``, by name, into a file of their own), then the log."""
        from safetensors.torch import save

        for name, state in ((key, backbone.state_dict()), (f"{key}.head", head or {})):
            if state:
                whole = {entry: value.detach().cpu().contiguous().clone() for entry, value in state.items()}
                write_bytes_atomic(self.folder / f"{name}.safetensors", save(whole))
        write_json_atomic(self.folder / f"{key}.json", log)

    def load(self, key: str, backbone: nn.Module) -> dict[str, Any]:
        """Put the weights into ``backbone`` and return the log; a damaged file is a ResultsError."""
        from safetensors import SafetensorError

        path = self.folder / f"{key}.safetensors"
        try:
            backbone.load_state_dict(_read(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise _damaged(path, error) from error
        return self.read_log(key)

    def read_log(self, key: str) -> dict[str, Any]:
        """Return the log of a stage."""
        return read_json(self.folder / f"{key}.json")

    def read_head(self, key: str) -> dict[str, Any]:
        """Return the weights of what answered in a stage, by name; a missing or damaged file is a ResultsError."""
        from safetensors import SafetensorError

        path = self.folder / f"{key}.head.safetensors"
        try:
            return _read(path)
        except (OSError, SafetensorError) as error:
            raise _damaged(path, error) from error


def _read(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(path)


def _damaged(path: Path, error: Exception) -> ResultsError:
    reason = " ".join(str(error).split())[:100]
    return ResultsError(f"{path}: expected the weights of a pre-training, got {reason}; delete it")
