"""Layers with tensors that follow from their settings: filter bases, kernels, masks and tables of indices.

Such tensors are no weights. They are left out of ``state_dict``, and made anew from float64 wherever torch
moves, casts or empties a layer, so that no cast loses digits and no network is left with memory that
nobody filled: ``to(dtype)``, ``to_empty(device)``, built on the meta device and loaded with ``assign=True``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class DerivedBuffers(nn.Module):
    """Abstract layer; a subclass defines :meth:`exact_buffers` and calls :meth:`register_derived` once its
    settings are known."""

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return name -> tensor, computed from the settings alone; floating-point ones in float64."""
        raise NotImplementedError

    def register_derived(self) -> None:
        """Register the buffers on torch's default device, in its default dtype."""
        device, dtype = torch.empty(0).device, torch.get_default_dtype()
        for name, exact in self._exact().items():
            exact = exact.to(dtype) if exact.is_floating_point() else exact
            self.register_buffer(name, exact.to(device), persistent=False)

    def _exact(self) -> dict[str, Tensor]:
        """Return the exact buffers on the CPU, even within ``torch.device("meta")`` or inference mode."""
        with torch.device("cpu"), torch.inference_mode(False):
            return self.exact_buffers()

    def _make_anew(self, device: torch.device | None = None) -> None:
        for name, exact in self._exact().items():
            old = getattr(self, name)
            setattr(self, name, exact.to(device=old.device if device is None else device, dtype=old.dtype))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DerivedBuffers:
        """Move, cast or empty as any module, then make the buffers anew."""
        super()._apply(fn, recurse)
        self._make_anew()
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Load as any module; buffers on the meta device follow weights that replace those there."""
        super()._load_from_state_dict(state_dict, prefix, *others)
        parameter = next(self.parameters(recurse=False), None)
        if parameter is None or not parameter.is_meta:
            loaded = next((t for t in (parameter, *state_dict.values()) if torch.is_tensor(t)), None)
            device = torch.device("cpu") if loaded is None or loaded.is_meta else loaded.device
            if any(getattr(self, name).is_meta for name in self._non_persistent_buffers_set):
                self._make_anew(device)
