"""The precisions of a GPU, and how far each may be from float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Largest relative error of features and of gradients, against the same network in float64 on the CPU: about ten times
# what the digits of one product leave (24, 11 and 8 bits).
LIMITS = {"float32": 1e-4, "tf32": 1e-2, "bf16": 1e-1}


@contextmanager
def computing_in(precision: str, device: str) -> Iterator[None]:
    """Compute in "float32", "tf32" (products of 11 bits; on a CPU as float32) or "bf16" (autocast)."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
