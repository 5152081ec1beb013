"""The one container of images: pixels, labels, ids, positions and the pixel scale, with a checksum.

Legend: N sources, H W pixels, C channels, K maps. Arrays are kept C-contiguous and in native byte order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from equirgz.errors import DataError, ImageError, explain
from equirgz.images import as_numbers, guess_mend, is_channels_last, is_row


def hash_index(index_N: np.ndarray) -> str:
    """Return 16 hex digits that identify a list of indices."""
    return hashlib.sha256(np.asarray(index_N, dtype="<i8").tobytes()).hexdigest()[:16]


def number_sources(name: str, image_NHW: np.ndarray) -> np.ndarray:
    """Return ids ``name_<hash>_000000``, ... for sources without ids; 8 hex digits identify all the pixels.

    Other files of the same name thereby hold other sources: equal ids count as one source.
    """
    digest = hashlib.sha256(repr((image_NHW.shape, image_NHW.dtype.str)).encode())
    digest.update(np.ascontiguousarray(image_NHW).tobytes())
    return np.array([f"{name}_{digest.hexdigest()[:8]}_{i:06d}" for i in range(len(image_NHW))], dtype=str)


@dataclass(frozen=True)
class ImageSet:
    """``N`` images of sources with what is known about each.

    Parameters
    ----------
    name : dataset and selection, e.g. ``mirabest_confident/test``.
    image_NHW : (N, H, W), or (N, C, H, W) for colour images; uint8 in [0, 255] as published, or float32. Spectra are
        rows (N, 3, 1, L) (:mod:`equirgz.data.spectra.rows`).
    label_N : int64 index into ``class_names``; -1 where there is no label.
    source_id_N : str, unique within the set.
    class_names : in the order of the labels; empty for an unlabelled set.
    pixel_scale_arcsec : side of one pixel, arcsec; NaN where the images have no sky scale.
    position_deg_N2 : right ascension and declination (J2000, degrees), NaN where unknown; or None.
    table : one row per source with extras (redshift, las_arcsec, code, ...).
    recipe : what made the pixels, where a recipe identifies them better than their last bits do
        (simulations differ in rounding between processors); empty: the pixels identify themselves.
    cut_arcsec : side of the sky to which the images were cut before they were scaled, or None.
    of_sky : False for simulations and digits, which show no source that another set could show too.
    own_ids : True where ids are names of one's own files or rows, which other images elsewhere may bear too.
    map_NKHW : float32 maps in register with the images, pixel by pixel: masks, shares of votes, true images; NaN
        where a pixel is not known. None without maps.
    map_names : one per map.
    canvas_NHW : the same images with more of the sky around them, about the same centre at the same pixel scale, for
        views that zoom out or move; no part of the checksum. None where no more is known or asked for.

    Raises DataError when lengths disagree, a label is outside ``class_names`` or maps are not in register.
    """

    name: str
    image_NHW: np.ndarray
    label_N: np.ndarray
    source_id_N: np.ndarray
    class_names: tuple[str, ...] = ()
    pixel_scale_arcsec: float = float("nan")
    position_deg_N2: np.ndarray | None = None
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    recipe: str = ""
    of_sky: bool = True
    cut_arcsec: float | None = None
    own_ids: bool = False
    map_NKHW: np.ndarray | None = None
    map_names: tuple[str, ...] = ()
    canvas_NHW: np.ndarray | None = None

    def __repr__(self) -> str:
        classes = ", ".join(f"{count} {name}" for name, count in self.class_counts().items())
        shape = " x ".join(map(str, self.image_NHW.shape[1:]))
        return f"ImageSet({self.name!r}, {len(self)} images of {shape} px{': ' * bool(classes)}{classes})"

    def __post_init__(self) -> None:
        image_NHW = np.ascontiguousarray(as_numbers(self.image_NHW, self.name))
        if image_NHW.ndim not in (3, 4) or is_channels_last(image_NHW.shape):
            expected, mend = "images (N, H, W) or (N, C, H, W)", guess_mend(image_NHW.shape)
            raise ImageError(explain(self.name, expected=expected, got=image_NHW.shape, mend=mend))
        n = len(image_NHW)
        label_N = np.asarray(self.label_N, dtype=np.int64)
        source_id_N = np.asarray(self.source_id_N, dtype=str)
        table = self.table if len(self.table.columns) else pd.DataFrame(index=range(n))
        position = self.position_deg_N2
        if position is not None:
            position = np.asarray(position, dtype=np.float64).reshape(-1, 2)
        for what, values in (
            ("labels", label_N),
            ("source ids", source_id_N),
            ("table rows", table),
            ("positions", position),
            ("canvases", self.canvas_NHW),
        ):
            if values is not None and len(values) != n:
                raise DataError(f"{self.name}: {what}", expected=f"one per image ({n})", got=len(values))
        if n and (label_N.min() < -1 or label_N.max() >= len(self.class_names)):
            worst = int(label_N.max() if label_N.max() >= len(self.class_names) else label_N.min())
            raise DataError(f"{self.name}: labels", expected=f"-1 to {len(self.class_names) - 1}", got=worst)
        for key, value in (
            ("image_NHW", image_NHW),
            ("label_N", label_N),
            ("source_id_N", source_id_N),
            ("position_deg_N2", position),
            ("table", table.reset_index(drop=True)),
            ("class_names", tuple(self.class_names)),
            ("map_NKHW", self._check_maps(image_NHW)),
            ("map_names", tuple(self.map_names)),
        ):
            object.__setattr__(self, key, value)

    def _check_maps(self, image_NHW: np.ndarray) -> np.ndarray | None:
        n, (height, width) = len(image_NHW), image_NHW.shape[-2:]
        expected = (n, len(self.map_names), height, width)
        got = "none" if self.map_NKHW is None else np.shape(self.map_NKHW)
        if self.map_NKHW is None and not self.map_names:
            return None
        if got != expected or not self.map_names or len(set(self.map_names)) != len(self.map_names):
            what, names = f"{self.name}: maps", ", ".join(map(str, self.map_names)) or "without names"
            wanted = f"{expected}, in register with the images, each with a name of its own"
            raise DataError(what, expected=wanted, got=f"{got}, {names}")
        return np.ascontiguousarray(self.map_NKHW, np.float32)

    def __len__(self) -> int:
        return len(self.image_NHW)

    @property
    def n_classes(self) -> int:
        """Number of classes (0 for an unlabelled set)."""
        return len(self.class_names)

    @property
    def n_channels(self) -> int:
        """Number of colour channels: 1 for (N, H, W) arrays."""
        return 1 if self.image_NHW.ndim == 3 else self.image_NHW.shape[1]

    @property
    def image_size(self) -> int:
        """Side of the images in pixels (their width); of rows, their length."""
        return self.image_NHW.shape[-1]

    @property
    def holds_rows(self) -> bool:
        """Whether these are rows (N, C, 1, L), such as spectra, and no images."""
        return is_row(self.image_NHW.shape)

    @property
    def x_NCHW(self) -> np.ndarray:
        """The images with an explicit channel axis, (N, C, H, W); a view, not a copy."""
        return self.image_NHW[:, None] if self.image_NHW.ndim == 3 else self.image_NHW

    @cached_property
    def checksum(self) -> str:
        """First 16 hex digits of SHA-256 over pixels (or the recipe that made them), labels and class names."""
        digest = hashlib.sha256(repr((self.image_NHW.shape, self.image_NHW.dtype.str, self.recipe)).encode())
        if self.image_NHW.size and not self.recipe:
            digest.update(self.image_NHW.data)
        digest.update(self.label_N.tobytes())
        digest.update("\0".join(self.class_names).encode())
        if self.map_NKHW is not None:
            digest.update("\0".join(("maps", *self.map_names)).encode())
            if not self.recipe:
                digest.update(self.map_NKHW.tobytes())
        return digest.hexdigest()[:16]

    @property
    def canvas_NCHW(self) -> np.ndarray | None:
        """The canvases with an explicit channel axis; None without them."""
        grey = self.canvas_NHW is not None and self.canvas_NHW.ndim == 3
        return self.canvas_NHW[:, None] if grey else self.canvas_NHW

    def class_counts(self) -> dict[str, int]:
        """Return the number of sources of every class, plus ``unlabelled`` where there are any."""
        counts = {name: int((self.label_N == k).sum()) for k, name in enumerate(self.class_names)}
        n_unlabelled = int((self.label_N < 0).sum())
        return {**counts, "unlabelled": n_unlabelled} if n_unlabelled else counts

    def subset(self, index_N: np.ndarray, name: str | None = None) -> ImageSet:
        """Return the sources picked by an index or boolean array, in that order."""
        index_N = np.asarray(index_N)
        if index_N.dtype == bool:
            index_N = np.flatnonzero(index_N)
        position = self.position_deg_N2
        return replace(
            self,
            name=self.name if name is None else name,
            image_NHW=self.image_NHW[index_N],
            label_N=self.label_N[index_N],
            source_id_N=self.source_id_N[index_N],
            position_deg_N2=None if position is None else position[index_N],
            table=self.table.iloc[index_N],
            map_NKHW=None if self.map_NKHW is None else self.map_NKHW[index_N],
            canvas_NHW=None if self.canvas_NHW is None else self.canvas_NHW[index_N],
            recipe=f"{self.recipe}[{hash_index(index_N)}]" if self.recipe else "",
        )

    def joined(self, other: ImageSet, name: str) -> ImageSet:
        """Return these sources and then those of ``other``; DataError where the two are not alike.

        Positions and recipes stay where both sets have them. One's own ids that both have (``own_ids``) are of two
        sources: they are put behind the last part of their set's name.
        """
        same = ("class_names", "n_channels", "image_size", "map_names")
        for what in same:
            if getattr(self, what) != getattr(other, what):
                got = f"{getattr(self, what)} and {getattr(other, what)}"
                raise DataError(f"{self.name} with {other.name}", expected=f"the same {what}", got=got)
        twice = np.intersect1d(self.source_id_N, other.source_id_N)
        if len(twice) and self.own_ids and other.own_ids:
            parts = [images.name.rpartition("/")[2] for images in (self, other)]
            parts = parts if parts[0] != parts[1] else ["first", "second"]
            return self._with_prefix(parts[0]).joined(other._with_prefix(parts[1]), name)
        if len(twice):
            raise DataError(f"{self.name} with {other.name}", expected="no source in both", got=twice[0])
        positions = (self.position_deg_N2, other.position_deg_N2)
        return replace(
            self,
            name=name,
            image_NHW=np.concatenate([self.image_NHW, other.image_NHW]),
            label_N=np.concatenate([self.label_N, other.label_N]),
            source_id_N=np.concatenate([self.source_id_N, other.source_id_N]),
            position_deg_N2=None if any(p is None for p in positions) else np.concatenate(positions),
            table=pd.concat([self.table, other.table], ignore_index=True),
            map_NKHW=None if self.map_NKHW is None else np.concatenate([self.map_NKHW, other.map_NKHW]),
            canvas_NHW=_join_canvases(self.canvas_NHW, other.canvas_NHW),
            recipe=f"{self.recipe}+{other.recipe}" if self.recipe and other.recipe else "",
        )

    def _with_prefix(self, prefix: str) -> ImageSet:
        return replace(self, source_id_N=np.array([f"{prefix}/{source}" for source in self.source_id_N]))

    def without_labels(self) -> ImageSet:
        """Return the same images, with the table and maps they have, and every label -1."""
        return replace(self, label_N=np.full(len(self), -1, dtype=np.int64))


def _join_canvases(a_NHW: np.ndarray | None, b_NHW: np.ndarray | None) -> np.ndarray | None:
    """Return both, the smaller one in a frame of blank sky; None where either set has none."""
    if a_NHW is None or b_NHW is None:
        return None
    size = max(a_NHW.shape[-1], b_NHW.shape[-1])
    framed = []
    for canvas_NHW in (a_NHW, b_NHW):
        rim = (size - canvas_NHW.shape[-1]) // 2
        width = [(0, 0)] * (canvas_NHW.ndim - 2) + [(rim, size - canvas_NHW.shape[-1] - rim)] * 2
        framed.append(np.pad(canvas_NHW, width))
    return np.concatenate(framed)


@dataclass(frozen=True)
class Data:
    """What one run sees: a training set, named test sets and, optionally, images without labels.

    ``whole`` is the checksum of the data that a fold was cut from, empty for all other data. ``endless`` gives further
    sources of the kind of the training set, ``endless(start, n)`` those with the numbers ``start`` to
    ``start + n - 1`` behind it, each the same whenever it is asked for; None where there are no more.
    """

    train: ImageSet
    tests: dict[str, ImageSet]
    unlabelled: ImageSet | None = None
    whole: str = ""
    endless: Callable[[int, int], ImageSet] | None = None

    def __repr__(self) -> str:
        parts = {"train": self.train, **self.tests, "unlabelled": self.unlabelled}
        counts = (f"{name}: {len(images)}" for name, images in parts.items() if images is not None)
        return f"Data({self.train.name!r}, images by part: {', '.join(counts)})"

    @cached_property
    def checksum(self) -> str:
        """Hash over the checksums of all parts; folds of one data set share that of the whole."""
        if self.whole:
            return self.whole
        parts = [f"train:{self.train.checksum}"]
        parts += [f"{name}:{images.checksum}" for name, images in sorted(self.tests.items())]
        if self.unlabelled is not None:
            parts.append(f"unlabelled:{self.unlabelled.checksum}")
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
