"""RadioGalaxyDataset: 2158 FIRST images of 300 px in four classes (doi 10.5281/zenodo.7120632)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.cache import cached_arrays
from equirgz.data.catalogues.classes import keep_classes
from equirgz.data.datasets import DATASETS
from equirgz.data.facts import FIRST_TERMS, SETS, SetInfo, publish
from equirgz.data.formats.archive import iterate_members
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.root import check_md5, compute_md5, find_file
from equirgz.errors import DataError, InputError
from equirgz.paths import as_path

PIXEL_SCALE_ARCSEC = 1.8
publish(
    SetInfo(
        "radio_galaxy_dataset",
        "RadioGalaxyDataset: 2158 FIRST radio galaxies, FRI, FRII, compact, bent",
        "galaxy_data_h5.zip",
        "37659bb2d4bf094fe6ccb9c012d3f163",
        "https://zenodo.org/records/7689127/files/galaxy_data_h5.zip?download=1",
        FIRST_TERMS,
        "Griese, Kummer & Bruggen, doi 10.5281/zenodo.7120632",
        ("radio_galaxy_dataset",),
        notes="Holds most MiraBest sources: see the leak check.",
    )
)
CLASS_NAMES = ("FRI", "FRII", "Compact", "Bent")
SPLITS = ("train", "valid", "test")


def load_radio_galaxy_dataset(path: Path | str, *, md5: str | None = None) -> dict[str, ImageSet]:
    """Read the zip (or the HDF5 file inside) and return its train, valid and test parts.

    Parsed arrays are cached by the file's md5, since 2158 small HDF5 groups take seconds to read.
    Raises DataError for a wrong md5, a damaged archive or groups that are not as published.
    """
    path = as_path(path)
    if md5 is not None:
        check_md5(path, md5)
    key = {"format": "radio_galaxy_dataset", "version": 2, "md5": md5 or compute_md5(path)}
    arrays = cached_arrays(key, lambda: _read_groups(path))
    table = pd.DataFrame({"catalogue": arrays["catalogue"], "group": arrays["group"]})
    images = ImageSet(
        "radio_galaxy_dataset",
        arrays["image"],
        arrays["label"],
        arrays["source_id"],
        CLASS_NAMES,
        PIXEL_SCALE_ARCSEC,
        arrays["position"],
        table,
    )
    return {split: images.subset(arrays["split"] == split, name=f"radio_galaxy_dataset/{split}") for split in SPLITS}


def _read_groups(path: Path) -> dict[str, np.ndarray]:
    import h5py

    content = path.read_bytes() if path.suffix in (".h5", ".hdf5") else _only_member(path)
    rows: list[dict[str, Any]] = []
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            names = sorted(file, key=lambda name: int(name.rpartition("_")[2]))
            for name in names:
                group = file[name]
                image = group["Img"]
                rows.append(
                    {
                        "image": image[()],
                        "label": int(group["Label_literature"][()]),
                        "split": _text(group["Split_literature"][()]),
                        "group": name,
                        "position": (float(image.attrs["RA"]), float(image.attrs["DEC"])),
                        "catalogue": _text(image.attrs["Source"]),
                        "source_id": f"rgd_{float(image.attrs['RA']):.3f}{float(image.attrs['DEC']):+.3f}_{name}",
                    }
                )
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: expected groups data_N with Img, Label_literature and Split_literature, got: "
            f"{' '.join(str(error).split())}"
        ) from error
    if not rows:
        raise DataError(f"{path}: expected groups data_N, got none")
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def _only_member(path: Path) -> bytes:
    members = [content for name, content in iterate_members(path) if name.endswith((".h5", ".hdf5"))]
    if len(members) != 1:
        raise DataError(str(path), expected="one .h5 file inside", got=len(members))
    return members[0]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@DATASETS.register("radio_galaxy_dataset")
def radio_galaxy_dataset(
    data_dir: Path | None = None, /, classes: tuple[str, ...] = CLASS_NAMES, catalogues: tuple[str, ...] = ()
) -> Data:
    """RadioGalaxyDataset: 1758 train, 200 valid, 200 test images of 300 px in four classes.

    Parameters
    ----------
    classes : those that are kept, labelled in this order.
    catalogues : literature catalogues whose sources are kept, e.g. MiraBest; default: all.
    """
    info = SETS["radio_galaxy_dataset"]
    parts = load_radio_galaxy_dataset(find_file(info.filename, data_dir), md5=info.md5)
    chosen = {split: keep_classes(part, tuple(classes)) for split, part in parts.items()}
    if catalogues:
        chosen = {
            split: part.subset(part.table["catalogue"].isin(catalogues).to_numpy()) for split, part in chosen.items()
        }
        if not len(chosen["train"]):
            known = sorted(set(parts["train"].table["catalogue"]))
            raise InputError("catalogues", expected=f"some of {known}", got=list(catalogues))
    return Data(chosen["train"], {"valid": chosen["valid"], "test": chosen["test"]})
