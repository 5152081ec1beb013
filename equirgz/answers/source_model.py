"""An encoder with its read-outs: what answers about images of radio sources, saved as two files without pickle.

Legend: N sources, C channel, H W pixels, F features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from equirgz.answers.linear_readouts import ClassReadOut, NumberReadOut, Reference, TagReadOut
from equirgz.backbones.storage import build_backbone, check_pair, load_weights, read_files, write_files
from equirgz.data.imageset import ImageSet
from equirgz.data.preprocess import Preprocessing
from equirgz.data.simulate.measure import measure_images
from equirgz.errors import DataError, InputError
from equirgz.evaluate import embed
from equirgz.geometry.action import warp
from equirgz.pretrained import find_classifier, list_classifiers

FORMAT = "equirgz-source-model"
TURNS = 2
_PARTS = {"classes": ClassReadOut, "numbers": NumberReadOut, "real": Reference, "simulated": Reference,
          "tags": TagReadOut}  # fmt: skip


@dataclass(frozen=True)
class Sky:
    """The images that a model answers about: what they show of the sky.

    Parameters
    ----------
    survey : name of the survey.
    pixel_scale_arcsec, beam_arcsec : side of a pixel, and FWHM of the restoring beam.
    field_px : side of the field whose noise is clipped and whose range is scaled to [0, 1].
    n_sigma : pixels at or below so many times the noise are 0.
    """

    survey: str = "FIRST"
    pixel_scale_arcsec: float = 1.8
    beam_arcsec: float = 5.4
    field_px: int = 150
    n_sigma: float = 3.0


@dataclass(frozen=True)
class SourceModel:
    """An encoder, the sky that it knows, and what is read from its features.

    ``class_names`` are in the order of the probabilities; ``number_names`` those of :data:`NUMBERS` that it answers;
    ``tag_names`` the tags that it tells (:mod:`equirgz.answers.tagging`).
    ``seen`` has the names, classes and folds of the real sources that it was fitted on (``name``, ``label``, ``fold``);
    ``facts`` what a card says. Parts that were not fitted are None.
    """

    encoder: nn.Module
    sky: Sky
    preprocessing: dict[str, Any]
    class_names: tuple[str, ...]
    classes: ClassReadOut
    number_names: tuple[str, ...] = ()
    numbers: NumberReadOut | None = None
    real: Reference | None = None
    simulated: Reference | None = None
    seen: dict[str, list[Any]] | None = None
    rule: dict[str, float] | None = None
    facts: dict[str, Any] | None = None
    tag_names: tuple[str, ...] = ()
    tags: TagReadOut | None = None

    def __repr__(self) -> str:
        name = (self.facts or {}).get("name", "unnamed")
        return f"SourceModel({name!r}: {', '.join(self.class_names)} on images of {self.sky.survey})"

    def network_input(self, images: ImageSet) -> np.ndarray:
        """Return x_NHW as the encoder was trained on: cut, resampled, stretched, masked, in units of its rms."""
        known = {field.name for field in fields(Preprocessing)} - {"image_size"}
        steps = {key: value for key, value in self.preprocessing.items() if key in known}
        made = Preprocessing(self.encoder.image_size, **steps)(images)
        return made.image_NHW / np.float32(self.preprocessing.get("rms", 1.0))

    def features(self, images: ImageSet, turns: int = TURNS) -> np.ndarray:
        """Return h_NF (float64), the mean over ``turns`` of every image that the group does not make equal."""
        if turns < 1:
            raise InputError("turns", expected="1 or more", got=turns)
        x_NCHW = torch.from_numpy(self.network_input(images))[:, None]
        step = 360.0 / self.encoder.group.n_rotations / turns
        total = sum(embed(self.encoder, x_NCHW if v == 0 else warp(x_NCHW, step * v)) for v in range(turns))
        return np.asarray(total, np.float64) / turns

    def measure(self, images: ImageSet) -> np.ndarray:
        """Return what can be measured on every image, (N, measures): :data:`equirgz.data.simulate.measure.MEASURES`."""
        scale = np.float32(1 if images.image_NHW.dtype == np.uint8 else 255)
        table = measure_images(images.image_NHW * scale, self.sky.pixel_scale_arcsec, self.sky.beam_arcsec)
        return table.to_numpy(float)

    def seen_by_name(self) -> dict[str, int]:
        """Place of each labelled source that was seen, by its name."""
        return {} if self.seen is None else {name: i for i, name in enumerate(self.seen["name"])}

    def save(self, path: Path | str) -> Path:
        """Write ``path``.safetensors (encoder in half precision, read-outs) and the .json; return the former."""
        parameters = {name for name, _ in self.encoder.named_parameters()}
        weights = {
            f"encoder.{name}": tensor.half() if name in parameters else tensor
            for name, tensor in self.encoder.state_dict().items()
        }
        for part in _PARTS:
            value = getattr(self, part)
            for name, array in ({} if value is None else value.arrays()).items():
                kind = np.float16 if name == "seen_MF" else np.float32
                weights[f"{part}.{name}"] = torch.from_numpy(np.array(array, kind, order="C"))
        described = {
            "backbone": self.encoder.config,
            "sky": vars(self.sky),
            "preprocessing": self.preprocessing,
            "class_names": list(self.class_names),
            "number_names": list(self.number_names),
            "tag_names": list(self.tag_names),
            "seen": self.seen,
            "rule": self.rule,
            "facts": self.facts or {},
        }
        return write_files(path, FORMAT, described, weights, what="save")

    @classmethod
    def load(cls, path: Path | str) -> SourceModel:
        """Return a saved model, or a shipped one by name, its encoder in eval mode and float32.

        Raises DataError where a file is missing, damaged or of another kind.
        """
        name = str(path)
        if name in list_classifiers():
            path = find_classifier(name)
        mend = f"give what `equirgz finetune` or `equirgz pretrain` wrote{_shipped()}"
        path, described, weights = read_files(path, FORMAT, mend=mend)
        check_pair(path, described)
        try:
            encoder = build_backbone(described["backbone"])
            parts: dict[str, Any] = {}
            for part, kind in _PARTS.items():
                arrays = {
                    k.partition(".")[2]: t.double().numpy() for k, t in weights.items() if k.startswith(f"{part}.")
                }
                parts[part] = kind.of(arrays) if arrays else None
            sky = Sky(**described["sky"])
            names = {key: tuple(described[key]) for key in ("class_names", "number_names")}
            names["tag_names"] = tuple(described.get("tag_names", ()))  # models of before there were tags have none
            rest = {key: described[key] for key in ("preprocessing", "seen", "rule", "facts")}
        except (InputError, KeyError, TypeError) as error:
            raise DataError(f"{path.with_suffix('.json')} describes no model of this version: {error}") from error
        own = {k.removeprefix("encoder."): t for k, t in weights.items() if k.startswith("encoder.")}
        load_weights(encoder, {k: t.float() if t.is_floating_point() else t for k, t in own.items()}, source=str(path))
        return cls(encoder.eval(), sky, **names, **parts, **rest)

    def rounded(self) -> SourceModel:
        """Return the model with its encoder's parameters rounded to half precision, as :meth:`save` keeps them."""
        with torch.no_grad():
            for parameter in self.encoder.parameters():
                parameter.copy_(parameter.half().float())
        return replace(self)


def _shipped() -> str:
    names = list_classifiers()
    return f", or one of {', '.join(names)}" if names else ""
