"""Atomic checkpoints that hold everything a training needs to go on as if never interrupted."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from equirgz.errors import ResultsError
from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic

FILE_NAME = "checkpoint.pt"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings, lists, dicts) by rename; readers see all or nothing."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return the state at ``path``, or None when there is none.

    Loads data only, never code. Raises ResultsError for a damaged file, and for one that belongs to
    another training than ``fingerprint`` says.
    """
    path = as_path(path)
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = state["fingerprint"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        reason = str(error).split("\n")[0][:80]
        raise ResultsError(f"checkpoint {path} is damaged ({reason}); delete it to train anew") from error
    if found != fingerprint:
        raise ResultsError(
            f"checkpoint {path}",
            expected=f"training {fingerprint}",
            got=f"training {found} (another configuration, seed, network or data)",
            mend="choose another folder, or delete it to train anew",
        )
    return state


def get_rng_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of torch's global generators (dropout and the like draw from them)."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def gather_rng_states(device: torch.device, world_size: int) -> list[dict[str, torch.Tensor]]:
    """Return :func:`get_rng_state` of every process, in order of rank; all of them must call it."""
    own = get_rng_state(device)
    if world_size == 1:
        return [own]
    states: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(states, own)
    return states


def set_rng_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Restore what :func:`get_rng_state` returned."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
