"""The images of one training, and what they must satisfy. Legend: N labelled, M unlabelled sources."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from equirgz.errors import InputError
from equirgz.evaluate.input import as_input
from equirgz.images import as_images
from equirgz.objectives.base import Objective
from equirgz.train.sources.fresh import FreshSources


@dataclass
class TrainImages:
    """Sources to train on: whatever holds images, (N, H, W) or (N, C, H, W) (:func:`equirgz.images.as_images`).

    x_NCHW : labelled sources (or all sources, for an objective that reads no labels).
    y_N : targets as the task has them (:class:`equirgz.tasks.Task`): int classes, votes, numbers or tags (N, ...) with
        NaN where missing, maps (N, K, H, W) in register with the images; None without labels.
    u_MCHW : unlabelled sources, or the target domain; None where there are none. Integers stay bytes, on the
        device too, and become floats in [0, 1] batch by batch: 10^5 sources of 150 px are 2.3 GB as uint8.
    hidden_label_M : labels of the unlabelled sources where known: for logs, never for a loss.
    weight_N : how often each labelled source is drawn, in proportion; None: all alike.
    x_canvas_NCHW, u_canvas_MCHW : the same images with more sky around them, for augmentations that ask for a
        ``canvas``; None: views are cut from the images.
    share_of_parts : (sources, share) of consecutive parts of the unlabelled ones: a batch holds each part in its
        share. Empty: they are drawn as one set.
    parts_of_labelled : the same of the labelled ones.
    fresh : pool -> sources that are drawn anew for every batch, in place of those of the pool, or of its last part;
        the latter still tell heads the scale of their targets.
    pixel_scale_arcsec : of the images, for augmentations that count in arcsec; NaN: unknown.
    mask : whether views are zero outside the inscribed disk; as the images are that are predicted later.
    """

    x_NCHW: Any = None
    y_N: Any = None
    u_MCHW: Any = None
    hidden_label_M: Any = None
    mask: bool = True
    weight_N: Any = None
    x_canvas_NCHW: Any = None
    u_canvas_MCHW: Any = None
    share_of_parts: Sequence[tuple[int, float]] = ()
    pixel_scale_arcsec: float = float("nan")
    parts_of_labelled: Sequence[tuple[int, float]] = ()
    fresh: Mapping[str, FreshSources] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.x_NCHW = _as_images("labelled", self.x_NCHW)
        self.u_MCHW = _as_images("unlabelled", self.u_MCHW, keep_bytes=True)
        self.x_canvas_NCHW = _as_canvas("labelled", self.x_canvas_NCHW, self.x_NCHW)
        self.u_canvas_MCHW = _as_canvas("unlabelled", self.u_canvas_MCHW, self.u_MCHW)
        self._check_parts()
        self.y_N = _as_labels(self.y_N)
        self.hidden_label_M = _as_labels(self.hidden_label_M)
        self.weight_N = _as_labels(self.weight_N)
        if self.x_NCHW is None and self.u_MCHW is None:
            raise InputError("training images: expected at least one set of images, got none")
        if self.y_N is not None and (self.x_NCHW is None or len(self.y_N) != len(self.x_NCHW)):
            n = 0 if self.x_NCHW is None else len(self.x_NCHW)
            raise InputError("labels", expected=f"{n} rows, one per image", got=len(self.y_N))

    def pool(self, name: str) -> Tensor:
        """Return the images of pool ``"labelled"`` or ``"unlabelled"``; each stands in for a missing other."""
        first, second = (self.x_NCHW, self.u_MCHW) if name == "labelled" else (self.u_MCHW, self.x_NCHW)
        return second if first is None else first

    @property
    def image_size(self) -> int:
        """Side of the images, pixels."""
        return self.pool("labelled").shape[-1]

    def canvas(self, name: str) -> Tensor | None:
        """Return the canvases of :meth:`pool`, or None."""
        both = (self.x_canvas_NCHW, self.u_canvas_MCHW)
        first, second = both if name == "labelled" else both[::-1]
        own = self.x_NCHW if name == "labelled" else self.u_MCHW
        return second if own is None else first

    def parts(self, name: str) -> Sequence[tuple[int, float]]:
        """Return (sources, share) of the consecutive parts of a pool; empty where it is drawn as one."""
        if name == "labelled":
            return self.parts_of_labelled
        return self.share_of_parts if self.u_MCHW is not None else ()

    def weight_of(self, name: str) -> Tensor | None:
        """Return how often each source of a pool is drawn."""
        return self.weight_N if name == "labelled" else None

    def take(self, name: str, index_B: Tensor, kinds: Collection[bool]) -> Taken:
        """Return sources of a pool as a batch; those behind its end are drawn anew, and come last.

        ``kinds`` asks for images (False), canvases (True; where there are none, nothing), or both.
        """
        stored = {False: self.pool(name), True: self.canvas(name)}
        stored = {wide: x_NCHW for wide, x_NCHW in stored.items() if wide in kinds and x_NCHW is not None}
        y_N, n = self.y_N if name == "labelled" else None, len(self.pool(name))
        known_B, new_B = index_B[index_B < n], index_B[index_B >= n]
        x = {wide: _select(x_NCHW, known_B) for wide, x_NCHW in stored.items()}
        y_B = None if y_N is None else _select(y_N, known_B)
        if len(new_B):
            drawn = self.fresh[name].take(new_B - n)
            for wide, x_BCHW in x.items():
                x[wide] = torch.cat([x_BCHW, (drawn.canvas_NCHW if wide else drawn.x_NCHW).to(x_BCHW)])
            y_B = None if y_B is None else torch.cat([y_B, drawn.y_N.to(y_B)])
        return Taken(x, y_B)

    def close(self) -> None:
        """Stop drawing sources ahead."""
        for sources in self.fresh.values():
            sources.close()

    def _check_parts(self) -> None:
        pools = {"share_of_parts": ("unlabelled", self.u_MCHW), "parts_of_labelled": ("labelled", self.x_NCHW)}
        for what, (pool, images) in pools.items():
            n, parts = 0 if images is None else len(images), getattr(self, what)
            if parts and (sum(count for count, _ in parts) != n or min(share for _, share in parts) <= 0):
                raise InputError(what, expected=f"parts of {n} {pool} sources with shares above 0", got=list(parts))
        if self.weight_N is not None and (self.parts_of_labelled or "labelled" in self.fresh):
            raise InputError("weight_N", expected="labelled sources in one set", got="several parts, or ever new ones")

    def to(self, device: torch.device, dtype: torch.dtype) -> TrainImages:
        """Return the same set on ``device``, with images of ``dtype`` but where integers are kept."""
        canvases = (self.x_canvas_NCHW, self.u_canvas_MCHW)
        return TrainImages(
            None if self.x_NCHW is None else self.x_NCHW.to(device, dtype),
            None if self.y_N is None else self.y_N.to(device),
            None if self.u_MCHW is None else self.u_MCHW.to(device, dtype if self.u_MCHW.is_floating_point() else None),
            None if self.hidden_label_M is None else self.hidden_label_M.to(device),
            self.mask,
            self.weight_N,
            *(None if canvas is None else canvas.to(device, dtype) for canvas in canvases),
            self.share_of_parts,
            self.pixel_scale_arcsec,
            self.parts_of_labelled,
            self.fresh,
        )

    def checksum(self) -> str:
        """Return a hash of all pixels, training labels (not the hidden ones) and the mask."""
        digest = hashlib.sha256(repr(self.mask).encode())
        if self.share_of_parts:
            digest.update(repr(tuple(self.share_of_parts)).encode())
        for more in (tuple(self.parts_of_labelled), {pool: new.identity for pool, new in self.fresh.items()}):
            if more:
                digest.update(repr(more).encode())
        for part in (self.x_NCHW, self.y_N, self.u_MCHW, self.weight_N, self.x_canvas_NCHW, self.u_canvas_MCHW):
            if part is not None:
                digest.update(repr((tuple(part.shape), str(part.dtype))).encode())
                digest.update(part.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


class Taken(NamedTuple):
    """Images (False) and canvases (True) of a batch, and its targets, where there are any."""

    x: dict[bool, Tensor]
    y_B: Tensor | None


def _select(value_N: Tensor, index_B: Tensor) -> Tensor:
    return value_N.index_select(0, index_B.to(value_N.device))


def _as_images(name: str, value: Any, keep_bytes: bool = False) -> Tensor | None:
    if value is None:
        return None
    if torch.is_tensor(value) and value.dtype != torch.uint8:
        return as_input(value, what=f"{name} images")
    return torch.from_numpy(as_images(value, f"{name} images", keep_bytes=keep_bytes))


def _as_canvas(name: str, value: Any, images: Tensor | None) -> Tensor | None:
    canvas = _as_images(f"{name} canvas", value)
    if canvas is None:
        return None
    expected = None if images is None else (*images.shape[:2], f">= {images.shape[-1]} px")
    if images is None or canvas.shape[:2] != images.shape[:2] or canvas.shape[-1] < images.shape[-1]:
        raise InputError(f"{name} canvases", expected=expected, got=tuple(canvas.shape))
    return canvas


def _as_labels(value: Any) -> Tensor | None:
    if value is None:
        return None
    label_N = torch.as_tensor(value if torch.is_tensor(value) else np.require(value, requirements="W"))
    return label_N.float() if label_N.ndim == 4 else label_N


def check_training_set(objective: Objective, images: TrainImages) -> None:
    """Raise InputError unless ``images`` has what ``objective`` needs to learn from."""
    name = type(objective).__name__
    if objective.needs_unlabelled and images.u_MCHW is None:
        raise InputError(f"objective {name}: expected unlabelled images, got none; give data.unlabelled")
    beyond = {
        "sample_weight": images.weight_N is not None,
        "joint": bool(images.parts_of_labelled),
        "stream": "labelled" in images.fresh,
    }
    for what, holds in beyond.items():
        if holds and type(objective).after_training is not Objective.after_training:
            expected, mend = "an objective that learns from batches alone", "leave it out, or take another"
            raise InputError(what, expected=expected, got=name, mend=mend)
    if not objective.needs_labels:
        return
    if images.y_N is None:
        raise InputError(f"objective {name}: expected labels, got none; use an objective that needs none")
    objective.check_labels(images.y_N)
    size = images.pool("labelled").shape[-2:]
    if objective.target_task.dense and images.y_N.shape[-2:] != size:
        expected, got = f"maps of {size[0]} x {size[1]} pixels, in register with the images", tuple(images.y_N.shape)
        raise InputError(f"task {objective.target_task.name}", expected=expected, got=got)
