"""The images of one training, and what they must satisfy. Legend: N labelled, M unlabelled sources."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equirgz.errors import DataError, InputError, explain
from equirgz.objectives.base import Objective


@dataclass
class TrainImages:
    """Sources to train on; arrays or tensors, (N, H, W) or (N, C, H, W), any float or integer type.

    x_NCHW : labelled sources (or all sources, for an objective that reads no labels).
    y_N : int classes, or (N, answers) votes; None without labels.
    u_MCHW : unlabelled sources, or the target domain; None where there are none. Of an integer type they stay
        so, on the device too, and become floats batch by batch: 10^5 sources of 150 px are 2.3 GB as uint8.
    hidden_label_M : labels of the unlabelled sources where known: for logs, never for a loss.
    mask : whether views are zero outside the inscribed disk; as the images are that are predicted later.
    """

    x_NCHW: Any = None
    y_N: Any = None
    u_MCHW: Any = None
    hidden_label_M: Any = None
    mask: bool = True

    def __post_init__(self) -> None:
        self.x_NCHW = _as_images("labelled", self.x_NCHW)
        self.u_MCHW = _as_images("unlabelled", self.u_MCHW, keep_integers=True)
        self.y_N = _as_labels(self.y_N)
        self.hidden_label_M = _as_labels(self.hidden_label_M)
        if self.x_NCHW is None and self.u_MCHW is None:
            raise InputError("training images: expected at least one set of images, got none")
        if self.y_N is not None and (self.x_NCHW is None or len(self.y_N) != len(self.x_NCHW)):
            n = 0 if self.x_NCHW is None else len(self.x_NCHW)
            raise InputError(explain("labels", expected=f"{n} rows, one per image", got=len(self.y_N)))

    def pool(self, name: str) -> Tensor:
        """Return the images of pool ``"labelled"`` or ``"unlabelled"``; each stands in for a missing other."""
        first, second = (self.x_NCHW, self.u_MCHW) if name == "labelled" else (self.u_MCHW, self.x_NCHW)
        return second if first is None else first

    def to(self, device: torch.device, dtype: torch.dtype) -> TrainImages:
        """Return the same set on ``device``, with images of ``dtype`` but where integers are kept."""
        return TrainImages(
            None if self.x_NCHW is None else self.x_NCHW.to(device, dtype),
            None if self.y_N is None else self.y_N.to(device),
            None if self.u_MCHW is None else self.u_MCHW.to(device, dtype if self.u_MCHW.is_floating_point() else None),
            None if self.hidden_label_M is None else self.hidden_label_M.to(device),
            self.mask,
        )

    def checksum(self) -> str:
        """Return a hash of all pixels, training labels (not the hidden ones) and the mask."""
        digest = hashlib.sha256(repr(self.mask).encode())
        for part in (self.x_NCHW, self.y_N, self.u_MCHW):
            if part is not None:
                digest.update(repr((tuple(part.shape), str(part.dtype))).encode())
                digest.update(part.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def _as_images(name: str, value: Any, keep_integers: bool = False) -> Tensor | None:
    if value is None:
        return None
    x = torch.as_tensor(np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value)
    x = x if x.is_floating_point() or keep_integers else x.float()
    x = x[:, None] if x.ndim == 3 else x
    if x.ndim != 4 or len(x) == 0:
        raise InputError(
            explain(f"{name} images", expected="(N, H, W) or (N, C, H, W) with N >= 1", got=tuple(x.shape))
        )
    bad_N = ~torch.isfinite(x.flatten(1)).all(1)
    if bool(bad_N.any()):
        where = torch.nonzero(bad_N)[:, 0].tolist()
        raise DataError(
            explain(
                f"{name} images",
                expected="finite pixels",
                got=f"NaN or infinity in {len(where)} of them, first at index {where[:5]}",
                mend="preprocess them or leave them out",
            )
        )
    return x


def _as_labels(value: Any) -> Tensor | None:
    return (
        None if value is None else torch.as_tensor(np.asarray(value) if not torch.is_tensor(value) else value)
    )


def check_training_set(objective: Objective, images: TrainImages) -> None:
    """Raise InputError unless ``images`` has what ``objective`` needs to learn from."""
    name = type(objective).__name__
    if objective.needs_unlabelled and images.u_MCHW is None:
        raise InputError(f"objective {name}: expected unlabelled images, got none; give data.unlabelled")
    if not objective.needs_labels:
        return
    if images.y_N is None:
        raise InputError(f"objective {name}: expected labels, got none; use an objective that needs none")
    objective.check_labels(images.y_N)
