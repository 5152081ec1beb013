"""``equirgz data list`` and ``equirgz data check``: what lies in the data root, and what it leaks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.data.check.faults import find_faults
from equirgz.data.datasets import DATASETS
from equirgz.data.download import find_archive, verify
from equirgz.data.facts import SETS, SetInfo
from equirgz.data.formats.fits import load_fits
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.compare import Overlap, check_overlap, match_images
from equirgz.data.overlap.exact import match_copies
from equirgz.data.overlap.likeness import SAME_IMAGE
from equirgz.data.overlap.objects import OBJECT
from equirgz.data.root import data_root
from equirgz.data.sets.mirabest import load_mirabest, select
from equirgz.data.sky.position import match_positions
from equirgz.errors import DataError, EquirgzError, InputError, check_choice
from equirgz.paths import as_path

OBJECT_ARCSEC, FIELD_ARCSEC = 60.0, 270.0


@dataclass
class SetReport:
    """One archive: whether it is there, whether it is whole, and what it holds."""

    info: SetInfo
    found: bool
    error: str = ""
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report of this set, its counts and its faults."""
        if not self.found:
            where = self.info.filename or "not one file"
            return [f"{self.info.name}: not in the data root ({where})"]
        if self.error:
            return [f"{self.info.name}: BAD: {self.error}"]
        checked = f"md5 {self.info.md5} ok" if self.info.md5 else "no published md5"
        out = [f"{self.info.name}: {self.info.filename}, {checked}"]
        for part, counts in self.counts.items():
            text = ", ".join(f"{name} {n}" for name, n in counts.items()) or "no labels"
            out.append(f"  {part}: {sum(counts.values())} ({text})")
        return out + [f"  fault: {fault}" for fault in self.faults]


@dataclass
class CheckReport:
    """Everything ``equirgz data check`` says; ``ok`` is False when an archive is damaged or a pool leaks."""

    root: Path
    sets: list[SetReport]
    fits: dict[str, list[str]] = field(default_factory=dict)
    n_fits: int = 0
    leaks: list[str] = field(default_factory=list)
    ok: bool = True

    def lines(self) -> list[str]:
        """Return the whole report."""
        out = [f"data root: {self.root}"]
        for report in self.sets:
            if report.found:
                out += report.lines()
        missing = [report.info.name for report in self.sets if not report.found and report.info.filename]
        if self.n_fits:
            out.append(f"fits: {self.n_fits} files, {len(self.fits)} with faults")
            out += [f"  {name}: {'; '.join(faults)}" for name, faults in self.fits.items()]
        out += self.leaks
        if missing:
            out.append(f"not in the data root: {', '.join(missing)}")
        return out


def list_data(data_dir: Path | str | None = None) -> list[str]:
    """Return one line per published set (there or not, title) and per registered dataset."""
    root = data_root(data_dir)
    out = [f"data root: {root}"]
    for info in SETS.values():
        there = "found  " if (root / info.filename).is_file() else "absent "
        if not info.filename:
            there = "other  "  # comes with a package, or as files that the user names
        out.append(f"{there} {info.name}: {info.title}")
    out.append(f"datasets: {', '.join(DATASETS.names())}")
    return out


def check_data(data_dir: Path | str | None = None, *, leaks: bool = True) -> CheckReport:
    """Verify every archive in the data root, count its sources, name its faults, and look for leaks.

    Leaks: sources of MiraBest's test part (version F) in RadioGalaxyDataset and FR-DEEP, and in the
    unlabelled pool. Damaged archives are reported, not raised. Raises DataError when there is no root.
    """
    root = data_root(data_dir)
    if not root.is_dir():
        raise DataError(f"data root {root}: expected a folder, got none; make it, or give --data-dir")
    report = CheckReport(root, [])
    loaded: dict[str, dict[str, ImageSet]] = {}
    for info in SETS.values():
        one, parts = _check_set(info, root)
        report.sets.append(one)
        report.ok &= not one.error
        if parts:
            loaded[info.name] = parts
    for path in sorted((root / "fits").glob("*.fits*")) if (root / "fits").is_dir() else []:
        report.n_fits += 1
        faults = _fits_faults(path)
        if faults:
            report.fits[path.name] = faults
    if leaks and "mirabest_f" in loaded:
        report.leaks, clean = find_leaks(loaded)
        report.ok &= clean
    return report


def _check_set(info: SetInfo, root: Path) -> tuple[SetReport, dict[str, ImageSet]]:
    path = root / info.filename
    if not info.filename or not path.is_file():
        return SetReport(info, False), {}
    try:
        verify(info, path)
        parts = _load_parts(info, root)
    except EquirgzError as error:
        return SetReport(info, True, error=str(error)), {}
    report = SetReport(info, True, counts={name: part.class_counts() for name, part in parts.items()})
    ids = set().union(*(part.source_id_N.tolist() for part in parts.values())) if parts else set()
    for source, fault in info.faults.items():
        where = next((name for name, part in parts.items() if source in part.source_id_N), None)
        report.faults.append(f"{source}: {fault}" + (f" ({where})" if source in ids else ""))
    for name, part in parts.items():
        report.faults += [f"{name}: {fault}" for fault in find_set_faults(part)]
    if info.notes:
        report.faults.append(info.notes)
    return report, parts


def _load_parts(info: SetInfo, root: Path) -> dict[str, ImageSet]:
    if info.name in ("mirabest_f", "mirabest_v1"):
        train, test = load_mirabest(root, version="F" if info.name == "mirabest_f" else "v1")
        return {"train": train, "test": test}
    if info.name == "galaxy_mnist_test" or info.name == "mnist_m":
        return {}
    params = {"version": info.name.removeprefix("rgz_")} if info.name.startswith("rgz_") else {}
    if info.name == "mirabest_raw":
        from equirgz.data.sets.mirabest_raw import load_mirabest_raw

        return {"all": load_mirabest_raw(root)}
    data: Data = DATASETS.create(info.datasets[0], root, **params)
    parts = {"train" if data.train.n_classes else "unlabelled": data.train, **data.tests}
    return parts


def find_set_faults(images: ImageSet) -> list[str]:
    """Return faults seen in the pixels: images of one value, and exact duplicates inside the set."""
    flat = images.image_NHW.reshape(len(images), -1)
    blank = np.flatnonzero(flat.min(1) == flat.max(1))
    faults = [f"{images.source_id_N[i]}: all pixels equal" for i in blank]
    copies = match_copies(images)
    for i in np.unique(copies.i):
        first = copies.j[copies.i == i].min()
        if first < i:
            faults.append(f"{images.source_id_N[i]}: same pixels as {images.source_id_N[first]}")
    return faults


def _fits_faults(path: Path) -> list[str]:
    try:
        faults = find_faults(load_fits(path))
    except DataError as error:
        return [str(error)]
    stem = path.name.split(".fits")[0]
    known = SETS["mirabest_f"].faults.get(stem)
    return [*faults, f"known: {known}"] if known else faults


def find_leaks(loaded: dict[str, dict[str, ImageSet]]) -> tuple[list[str], bool]:
    """Return the lines about MiraBest F test sources in other sets, and whether the pool is clean.

    RadioGalaxyDataset and the pool are compared by position, FR-DEEP, which has none, by image in FIRST; what is
    found there is looked up in NVSS by its object.
    """
    test = loaded["mirabest_f"]["test"]
    confident_N = np.isin(test.source_id_N, select(test, "confident").source_id_N)
    leak_N = np.zeros(len(test), bool)
    out = []
    if "radio_galaxy_dataset" in loaded:
        field_N = np.zeros(len(test), bool)
        for part in loaded["radio_galaxy_dataset"].values():
            i, _, separation = match_positions(test.position_deg_N2, part.position_deg_N2, FIELD_ARCSEC)
            leak_N[i[separation <= OBJECT_ARCSEC]] = True
            field_N[i] = True
        out.append(
            f"  in RadioGalaxyDataset: {leak_N.sum()} of {len(test)} ({leak_N[confident_N].sum()} confident); "
            f"inside one of its fields (270 arcsec): {field_N.sum()}"
        )
    if "frdeep_first" in loaded:
        found_N, objects = np.zeros(len(test), bool), set()
        for part in loaded["frdeep_first"].values():
            pairs = match_images(test, part, correlation=SAME_IMAGE)
            found_N[pairs.sources_a] = True
            objects.update(part.table[OBJECT].iloc[pairs.sources_b])
        leak_N |= found_N
        out.append(f"  in FR-DEEP by image: {found_N.sum()} of {len(test)} ({found_N[confident_N].sum()} confident)")
        for part, images in loaded.get("frdeep_nvss", {}).items():
            out.append(f"  of these objects in FR-DEEP NVSS {part}: {images.table[OBJECT].isin(objects).sum()}")
    if out:
        total = f"leaks: MiraBest F test sources also in other sets: {leak_N.sum()} of {len(test)}"
        out.insert(0, f"{total}, {leak_N[confident_N].sum()} of the {confident_N.sum()} confident ones")
    clean = True
    if "pool_first150" in loaded:
        pool = loaded["pool_first150"]["unlabelled"]
        i, _, _ = match_positions(test.position_deg_N2, pool.position_deg_N2, FIELD_ARCSEC)
        clean = not len(i)
        verdict = "clean" if clean else "NOT clean"
        out.append(f"pool_first150: {verdict}: {len(set(i.tolist()))} MiraBest F test sources within 270 arcsec")
    return out, clean


def check_pair(name_a: str, name_b: str, data_dir: Path | str | None = None, **params: dict) -> list[Overlap]:
    """Return the overlaps of every part of dataset A with every part of dataset B (``data check A B``).

    Each may also be a published set, or the path of one's own images. ``params``: options of each, by name.
    """
    root = None if data_dir is None else as_path(data_dir)
    a, b = (load_side(name, root, **params.get(name, {})) for name in (name_a, name_b))
    return [check_overlap(part_a, part_b) for part_a in a.values() for part_b in b.values()]


def is_own_path(name: str) -> bool:
    """Return whether a name is the path of something of the user's, and not of a dataset or published set."""
    return name not in {*SETS, *DATASETS.names()} and as_path(name).exists()


def load_side(name: str, data_dir: Path | None = None, /, **params: Any) -> dict[str, ImageSet]:
    """Return the parts of a dataset or published set (:func:`load_published`), or of the images at a path."""
    if not is_own_path(name):
        return load_published(name, data_dir, **params)
    data = DATASETS.create("folder", data_dir, path=str(as_path(name)), **params)
    return {"train": data.train, **data.tests}


def share_params(names: Sequence[str], settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the options of every set: of ``params.KEY`` each that knows KEY gets one, of ``NAME.params.KEY`` NAME.

    Raises InputError for another key, and for one that no set knows.
    """
    taken = {name: _option_names(name) for name in names}
    params: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in settings.items():
        owner = next((name for name in names if key.startswith(f"{name}.")), None)
        option = key if owner is None else key.removeprefix(f"{owner}.")
        if not option.startswith("params."):
            raise InputError(f"--set {key}: expected params.KEY=VALUE or NAME.params.KEY=VALUE for one of two sets")
        option = option.removeprefix("params.")
        found = [name for name in ([owner] if owner else names) if option in taken[name]]
        if not found:
            check_choice(f"option of {owner or ' and '.join(names)}", option, set().union(*taken.values()))
        for name in found:
            params[name][option] = value
    return params


def _option_names(name: str) -> set[str]:
    name = "folder" if is_own_path(name) else name
    if name not in DATASETS.names():
        return set()
    return {*inspect.signature(DATASETS.get(name)).parameters} - {"data_dir"}


def load_published(name: str, data_dir: Path | None = None, /, **params: Any) -> dict[str, ImageSet]:
    """Return the parts of a registered dataset, or of a published set (verified), as published.

    Options are of a dataset. Raises InputError for an unknown name, DataError for a missing or damaged archive.
    """
    if name in SETS and name not in DATASETS.names() and not params:
        info = SETS[name]
        find_archive(name, data_dir)
        parts = _load_parts(info, data_root(data_dir))
        if parts:
            return parts
        name = info.datasets[0]  # an archive that makes up a dataset with others
    check_choice("dataset", name, {*SETS, *DATASETS.names()})
    data = DATASETS.create(name, data_dir, **params)
    return {"train": data.train, **data.tests}
