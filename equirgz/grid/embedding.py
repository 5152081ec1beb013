"""Features of any images from a saved encoder: a folder of FITS or pictures, a container, or a registered dataset.

Legend: N sources, F features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.config import DataConfig
from equirgz.data import ImageSet, load_data
from equirgz.errors import DataError
from equirgz.paths import as_path

CONTAINERS = (".npz", ".h5", ".hdf5", ".parquet")


@dataclass(frozen=True)
class Embedding:
    """An EmbeddingTable (extras: ``split``) and the files that could not be used, with their reasons."""

    table: Any
    bad_files: dict[str, str]


STEPS = ("crop", "crop_arcsec", "stretch", "softening", "mask")  # of preprocessing, as data.* names them


def preprocessing_facts(config: DataConfig, data_dir: Path | None = None) -> dict[str, Any]:
    """Return what an encoder must know of its training images: how they were made, their rms and pixel scale (arcsec).

    Kept beside the weights (``save_encoder(..., preprocessing=...)``), it brings other images to the same scale.
    """
    images = load_data(config, data_dir, normalise=False, unlabelled=None, extra_tests={}).train
    rms = float(np.sqrt(np.mean(np.square(images.image_NHW, dtype=np.float64)))) if config.normalise else 1.0
    scale = float(images.pixel_scale_arcsec)
    facts = {"rms": rms, "pixel_scale_arcsec": scale if np.isfinite(scale) else None}
    return {name: getattr(config, name) for name in STEPS} | facts


def embed_input(
    encoder: Path | str,
    images: str,
    data_dir: Path | None = None,
    *,
    device: str = "cpu",
    bad_list: Path | None = None,
    options: dict[str, Any] | None = None,
) -> Embedding:
    """Return the features of ``images``: a folder, an .npz, .h5 or .parquet file, or a registered dataset.

    Images are cropped, resampled to the encoder's size, stretched and masked as its training images were, and divided
    by their root mean square; an encoder saved without these facts gets the defaults of ``DataConfig`` and images in
    units of their own root mean square. Files of a folder, and rows of Parquet files, that cannot be used are listed in
    ``bad_list``, and the others embedded. ``options`` go to the reader (hdu, plane, unit, recipe, white, ...), or are
    those of the dataset. Raises DataError where none can be used, or nothing has that name;
    InputError for bad options.
    """
    from equirgz.evaluate.embedding_table import EmbeddingTable

    parts, features, bad_files = embed_parts(
        encoder, images, data_dir, device=device, bad_list=bad_list, options=options
    )
    table = EmbeddingTable(
        np.concatenate(list(features.values())),
        np.concatenate([part.source_id_N for part in parts.values()]),
        np.concatenate([part.label_N for part in parts.values()]),
        pd.DataFrame({"split": np.concatenate([[name] * len(part) for name, part in parts.items()])}),
    )
    return Embedding(table, bad_files)


def embed_parts(
    encoder: Path | str,
    images: str,
    data_dir: Path | None = None,
    *,
    device: str = "cpu",
    bad_list: Path | None = None,
    options: dict[str, Any] | None = None,
) -> tuple[dict[str, ImageSet], dict[str, np.ndarray], dict[str, str]]:
    """Return the preprocessed images and the features (N, F) of every part, and the bad files: see `embed_input`."""
    from equirgz.backbones import load_encoder
    from equirgz.backbones.storage import find_encoder
    from equirgz.evaluate import embed
    from equirgz.records import read_json

    backbone = load_encoder(encoder).to(device)
    described = read_json(find_encoder(encoder).with_suffix(".json"))
    facts = (described.get("facts") or {}).get("preprocessing")
    steps = {key: facts[key] for key in STEPS if key in facts} if facts else {}
    parts, bad_files = _load(images, data_dir, {"image_size": backbone.image_size, **steps}, bad_list, options or {})
    if facts:
        rms = facts["rms"]
    else:
        first = next(iter(parts.values())).image_NHW
        rms = float(np.sqrt(np.mean(np.square(first, dtype=np.float64))))
    if not rms > 0:
        raise DataError(images, expected="images with signal", got=f"root mean square {rms}")
    features = {name: embed(backbone, part.x_NCHW / np.float32(rms)) for name, part in parts.items()}
    return parts, features, bad_files


def warn_untrained(encoder: Path | str) -> str:
    """Return one line of warning where a saved encoder was never trained, or nothing says that it was; else "".

    Facts ("trained", or how its images were prepared, which `equirgz train` writes) say so, or else the batch
    normalisations, which count the batches that they were trained on.
    """
    from safetensors import safe_open

    from equirgz.backbones.storage import find_encoder
    from equirgz.records import read_json

    weights = find_encoder(encoder)
    described = weights.with_suffix(".json")
    if not (weights.is_file() and described.is_file()):
        return ""  # loading it says what is missing
    facts = read_json(described).get("facts") or {}
    if facts.get("trained", "preprocessing" in facts):
        return ""
    with safe_open(weights, "np") as file:
        names = [name for name in file.keys() if name.endswith("num_batches_tracked")]  # noqa: SIM118
        counts = [int(file.get_tensor(name)) for name in names]
    if any(counts):
        return ""
    what = "was never trained" if counts or "trained" in facts else "may not be trained: nothing in its files says so"
    mend = "train it first (equirgz train, finetune), or say save_encoder(..., trained=True)"
    return f"{weights} {what}, so that likeness of its features says little of the sources; {mend}"


def _load(
    images: str, data_dir: Path | None, steps: dict[str, Any], bad_list: Path | None, options: dict[str, Any]
) -> tuple[dict[str, ImageSet], dict[str, str]]:
    """Return the preprocessed parts (in [0, 1], not normalised) and what is bad of a folder or of Parquet files."""
    from equirgz.data.own.folder_or_file import load_images
    from equirgz.data.preprocess import Preprocessing

    path = as_path(images)
    if not path.is_dir() and path.suffix.lower() not in CONTAINERS:
        if path.name != images:  # it looks like a path, and no dataset is called so
            raise DataError(f"cannot read {images}: expected a folder, or a file ending in {', '.join(CONTAINERS)}")
        data = load_data(images, data_dir, normalise=False, params=options, **steps)
        parts = {"train": data.train, **data.tests, "unlabelled": data.unlabelled}
        return {name: part for name, part in parts.items() if part is not None and len(part)}, {}
    listed = bad_list is not None
    if listed:
        bad_list.unlink(missing_ok=True)
    own_files = path.is_dir() and not any(path.glob("*.parquet"))
    if own_files and steps.get("crop_arcsec") is not None:  # raw maps are cut before they are scaled
        options = {"crop_arcsec": steps["crop_arcsec"], **options}
    found = load_images(path, **options, **({"bad_list": bad_list} if listed else {}))
    if len(set(found.source_id_N)) < len(found) and "file" in found.table:  # one name with two endings
        found = replace(found, source_id_N=found.table["file"].to_numpy(str))
    bad_files = {}
    if listed and bad_list.exists():
        lines = bad_list.read_text().splitlines()
        bad_files = dict(line.split("\t", 1) for line in lines)
    size = steps.pop("image_size")
    return {"all": Preprocessing(size, **steps)(found)}, bad_files
