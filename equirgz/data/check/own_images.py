"""``equirgz data check PATH``: what one's own folder, container, image or ``data`` section holds, and what is wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from equirgz.data.catalogues.match_names import FITS_ENDINGS, PICTURE_ENDINGS
from equirgz.data.check.survey import FileFacts, summarise, survey_files, survey_images
from equirgz.data.datasets import DATASETS
from equirgz.data.formats.files import FolderOptions, drop_companions
from equirgz.data.formats.image_folder import list_images
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.notes import collect_notes
from equirgz.data.overlap.describe import describe_groups, list_same
from equirgz.data.own.folder_or_file import load_images
from equirgz.errors import DataError, EquirgzError
from equirgz.paths import as_path
from equirgz.registry import check_keywords

_SHOWN = 20


@dataclass
class OwnReport:
    """What was found under one path; ``ok`` is False where an image cannot be used, or the whole cannot be loaded.

    ``left_out`` maps a file, row or source to the reason; ``faults`` are of images that are used all the same.
    """

    path: Path
    n_images: int = 0
    summary: list[str] = field(default_factory=list)
    parts: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether every image can be used."""
        return not (self.error or self.left_out)

    def lines(self) -> list[str]:
        """Return the report."""
        out = [f"{self.path}: {self.n_images} images, {len(self.left_out)} left out"]
        out += [f"  {line}" for line in self.summary]
        for part, counts in self.parts.items():
            labels = ", ".join(f"{name} {n}" for name, n in counts.items()) or "none"
            out.append(f"  labels of {part}: {labels} ({sum(counts.values())} images)")
        out += [f"  note: {line}" for line in self.notes]
        out += _listed("left out", [f"{name}: {reason}" for name, reason in self.left_out.items()])
        out += _listed("fault", self.faults)
        out += _listed("duplicate", self.duplicates)
        if not self.duplicates and self.parts:
            out.append("  no duplicates")
        return out + ([f"  cannot be loaded: {self.error}"] if self.error else [])


def _listed(what: str, lines: list[str]) -> list[str]:
    shown = [f"  {what}: {line}" for line in lines[:_SHOWN]]
    return shown + ([f"  {what}: and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])


def check_own(
    path: Path | str,
    data_dir: Path | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **params: Any,
) -> OwnReport:
    """Report on a folder of FITS or pictures, one of these, or an .npz, HDF5 or Parquet file.

    ``params`` are those of the dataset ``folder`` (catalogue, label_column, recipe, hdu, ...). Kinds, sizes, numbers,
    pixel scales, units, NaN and positions are counted; what cannot be used or shows nothing is listed as left out;
    saturated, mis-centred, ... images as faults; equal images as duplicates; labels are counted by part. Nothing of
    what is wrong is raised, but a path that is not there (DataError) and an unknown option (InputError) are.
    """
    path = as_path(path)
    if not path.exists():
        raise DataError(f"{path}: expected a folder, an image, or an .npz, .h5 or .parquet file, got nothing there")
    check_keywords("dataset 'folder'", DATASETS.get("folder"), params)
    report = OwnReport(path)
    known = {option.name for option in fields(FolderOptions)} & set(params)
    options = FolderOptions(**{key: params[key] for key in known})
    single = path.name.lower().endswith(FITS_ENDINGS + PICTURE_ENDINGS) and path.is_file()
    facts: list[FileFacts] = []
    try:
        if single:
            facts = survey_files([path], path.parent, options)
        elif path.is_dir() and not any(path.glob("*.parquet")):
            files, companions = drop_companions(list_images(path))
            report.left_out |= {str(file.relative_to(path)): reason for file, reason in companions.items()}
            facts = survey_files(files, path, options, progress=progress)
        if not single:
            with collect_notes() as notes:
                facts = _load(report, data_dir, options, known, params, facts)
            report.notes += [line for line in notes if ": left out " not in line]
    except EquirgzError as error:
        report.error = str(error)
    report.n_images = len(facts)
    report.summary = summarise(facts) if facts else []
    report.left_out |= {fact.name: fact.error for fact in facts if fact.error}
    report.faults += [f"{fact.name}: {'; '.join(fact.faults)}" for fact in facts if fact.faults and not fact.error]
    return report


def _load(
    report: OwnReport,
    data_dir: Path | None,
    options: FolderOptions,
    known: set[str],
    params: dict[str, Any],
    facts: list[FileFacts],
) -> list[FileFacts]:
    """Load the path as a run would; fill in what loading leaves out, labels and duplicates, and return the facts."""
    given = {key: getattr(options, key) for key in known if facts or key not in ("recipe", "crop_arcsec")}
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "bad.txt"
        images = load_images(report.path, bad_list=listed, **given)
        if listed.exists():
            report.left_out |= dict(line.split("\t", 1) for line in listed.read_text().splitlines())
    facts = facts or survey_images(images, report.path.suffix.lstrip(".") or "parquet")
    data = DATASETS.create("folder", data_dir, path=str(report.path.resolve()), **params)
    report.parts, report.duplicates = describe_parts(data)
    report.notes += filter(None, [describe_groups(data)])
    return facts


def describe_parts(data: Data) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Return the class counts of every part, and a line per image that repeats another one of its part."""
    parts: dict[str, ImageSet] = {"train": data.train, **data.tests}
    if data.unlabelled is not None:
        parts["unlabelled"] = data.unlabelled
    lines = [line for part in parts.values() for line in list_same(part)]
    return {name: part.class_counts() for name, part in parts.items()}, lines
