"""Losses in full precision, whatever the network computes in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def full_precision(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate ``loss`` so that half-precision tensors reach it as float32, outside autocast.

    Exponentials and small differences (similarities over a temperature, transport plans, votes) lose
    all meaning at the three digits of bfloat16.
    """

    @functools.wraps(loss)
    def computed(*args: Any, **keywords: Any) -> Any:
        device = next((value.device.type for value in args if isinstance(value, Tensor)), "cpu")
        with torch.autocast(device, enabled=False):
            return loss(*map(widen, args), **{key: widen(value) for key, value in keywords.items()})

    return computed


def widen(value: Any) -> Any:
    """Return half-precision tensors as float32, and all else as it is (float64 stays float64)."""
    half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value
