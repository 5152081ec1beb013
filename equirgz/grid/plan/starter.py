"""``equirgz init``: a commented grid for one's own images, written after a look at them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equirgz.backbones import create_backbone
from equirgz.data import DATASETS
from equirgz.data.catalogues.catalogue import TEXT_ENDINGS, find_column
from equirgz.data.check.own_images import OwnReport, check_own
from equirgz.data.formats.folders import PARTS
from equirgz.data.imageset import ImageSet
from equirgz.errors import DataError, EquirgzError, InputError, ResultsError
from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic

TABLE_ENDINGS = (*TEXT_ENDINGS, ".vot", ".ecsv", ".parquet")
SPLIT_COLUMNS = ("split", "part", "subset", "fold_name")
MOST_TABLES = 20  # that are tried; a folder of more is no place to look for one's own
LARGEST_SIDE, TEST_FRACTION, STEPS = 65, 0.2, 300
UNLABELLED = "unlabelled"

TEMPLATE = """\
# Written by `equirgz init` after a look at {folder}; edit it, it is yours.
# Check and cost:  equirgz bench run {file} --dry-run
# Try it quickly:  equirgz bench run {file} --profile quick
# All keys:        equirgz bench keys
#
{found}
name: {name}
question: How well is a network told these classes apart, with and without symmetry?
base:
  data:
    name: folder
    image_size: {image_size}{pad}# side of the network's input; {sides}
    # crop: 100             # pixels cut from the centre before that; leave it out to use whole images
    mask: true              # zero the corners, which a turn would move out of the image
    params:
      path: {path}
{params}
  backbone: {{name: steerable_lenet}}
  train:
    steps: {steps}              # optimiser updates; {epochs:.0f} passes over the {n_train} labelled images that train
    batch_size: {batch_size}
    augmentation: rotation_flips
axes:
  group: [C1, D4]           # without symmetry, and with quarter turns and flips built in
  replicate: [0, 1, 2]      # seeds; the table gives mean and interval over them
profiles:
  quick:
    base: {{train: {{steps: 10}}}}
    axes: {{replicate: [0]}}
"""


@dataclass(frozen=True)
class _Found:
    """One's own images, the catalogue that labels them, and what is told apart for the YAML."""

    images: ImageSet
    params: dict[str, Any]
    comments: dict[str, str]


def write_starter(folder: Path | str, output: Path | None = None, catalogue: Path | None = None) -> Path:
    """Write a grid for the images of ``folder`` (or of an .npz, HDF5 or Parquet file) and return its path.

    Without ``catalogue`` class folders give the labels, else the one table in or beside the folder that has labels
    for the images. Raises ResultsError where ``output`` (default: the folder's name + .yaml) is there already, and
    DataError or InputError where images or labels are not found.
    """
    folder = as_path(folder)
    output = Path(f"{_name(folder)}.yaml") if output is None else as_path(output)
    if output.exists():
        raise ResultsError(str(output), expected="a new file", got="one that is there", mend="choose another with -o")
    text = make_starter(folder, str(output), catalogue)
    write_bytes_atomic(output, text.encode())
    return output


def make_starter(folder: Path, file: str, catalogue: Path | None = None) -> str:
    """Return the text of :func:`write_starter` for a file that is to be called ``file``."""
    report = check_own(folder, **({} if catalogue is None else {"catalogue": str(_whole(catalogue))}))
    if report.error:
        raise DataError(f"{folder}: {report.error}")
    found = _find_labels(folder, catalogue)
    counts = found.images.class_counts()
    labelled = {name: n for name, n in counts.items() if name != UNLABELLED}
    if len(labelled) < 2:
        got = ", ".join(labelled) or "none"
        raise DataError(f"{folder}: labels", expected="two classes or more", got=got, mend=_MEND)
    n_train = max(1, round(sum(labelled.values()) * (1 - TEST_FRACTION)))
    batch_size = min(32, max(2, n_train // 2))
    height, width = found.images.image_NHW.shape[-2:]
    image_size = _choose_size(min(height, width))
    return TEMPLATE.format(
        folder=folder,
        file=file,
        found="\n".join(f"# {line}" for line in _describe(report, counts)),
        name=_name(folder),
        image_size=image_size,
        pad=" " * (12 - len(str(image_size))),
        sides=f"images have {height} x {width} pixels",
        path=_quote(_whole(folder)),
        params="\n".join(
            f"      {key}: {_quote(value)}  # {found.comments[key]}" for key, value in found.params.items()
        ),
        steps=STEPS,
        epochs=max(1, STEPS * batch_size / n_train),
        n_train=n_train,
        batch_size=batch_size,
    )


_MEND = "sort the files into a folder for each class, or give --catalogue TABLE with columns name and label"


def _find_labels(folder: Path, catalogue: Path | None) -> _Found:
    """Return the images with their labels and the params of the dataset ``folder`` that give them."""
    images = _load(folder, catalogue)
    table = catalogue
    if catalogue is None and not _n_labelled(images):
        labelling = {}
        for candidate in _tables(folder):
            try:
                loaded = _load(folder, candidate)
            except EquirgzError:  # a table of something else
                continue
            if _n_labelled(loaded):
                labelling[candidate] = loaded
        if len(labelling) > 1:
            got = ", ".join(path.name for path in labelling)
            raise InputError(f"{folder}: catalogue", expected="one table of labels", got=got, mend="give --catalogue")
        if not labelling:
            raise DataError(f"{folder}: labels", expected="class folders, or a table", got="none", mend=_MEND)
        table, images = next(iter(labelling.items()))
    params, comments = {}, {}
    if table is not None:
        params["catalogue"] = _whole(table)
        comments["catalogue"] = "columns of other names: id_column, label_column, ra_column, dec_column"
    split = find_column(images.table, SPLIT_COLUMNS)
    words = set() if split is None else {str(word).strip().lower() for word in images.table[split]}
    parts = {PARTS.get(word) for word in words}
    if {"train", "test"} <= parts and parts <= {*PARTS.values(), None}:
        params["split_column"], comments["split_column"] = split, "who trains and who tests"
    else:
        params["test_fraction"] = TEST_FRACTION
        comments["test_fraction"] = "share that tests; or split_column: a column of the words train and test"
    return _Found(images, params, comments)


def _load(folder: Path, catalogue: Path | None) -> ImageSet:
    told = {} if catalogue is None else {"catalogue": str(_whole(catalogue))}
    return DATASETS.create("folder", None, path=str(_whole(folder)), **told).train


def _n_labelled(images: ImageSet) -> int:
    return int((images.label_N >= 0).sum())


def _tables(folder: Path) -> list[Path]:
    """Return the tables inside a folder, or beside it where there are none inside."""
    for place in (folder, folder.resolve().parent) if folder.is_dir() else (folder.resolve().parent,):
        tables = [path for path in sorted(place.iterdir()) if path.suffix.lower() in TABLE_ENDINGS and path != folder]
        if tables:
            return tables if len(tables) <= MOST_TABLES else []
    return []


def _choose_size(side: int) -> int:
    """Return the largest valid input of the backbone that is no larger than the images and LARGEST_SIDE."""
    valid = sorted(create_backbone("steerable_lenet", image_size=LARGEST_SIDE, width=0.1).image_sizes)
    return max((size for size in valid if size <= min(side, LARGEST_SIDE)), default=valid[0])


def _describe(report: OwnReport, counts: dict[str, int]) -> list[str]:
    lines = [f"{report.n_images} images, {len(report.left_out)} left out", *report.summary]
    lines.append("labels: " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    if report.left_out or report.faults or report.duplicates:
        number = f"{len(report.left_out)} left out, {len(report.faults)} with faults, {len(report.duplicates)} repeated"
        lines.append(f"{number}: see `equirgz data check {report.path}`")
    labelled = {name: n for name, n in counts.items() if name != UNLABELLED}
    few = [name for name, n in labelled.items() if n < 5]
    if few:
        lines.append(f"few images of {', '.join(few)}: the error of a class of under 5 says little")
    return [" ".join(line.split()) for line in lines]


def _name(folder: Path) -> str:
    """Return a name for a grid: letters, digits and _, of the folder's last part."""
    return re.sub(r"[^A-Za-z0-9]+", "_", _whole(folder).stem).strip("_").lower() or "my_images"


def _whole(path: Path) -> Path:
    return as_path(path).resolve()


def _quote(value: Any) -> str:
    """Return a value as YAML on one line: numbers plain, texts in double quotes."""
    return json.dumps(value.as_posix() if isinstance(value, Path) else value, ensure_ascii=False)
