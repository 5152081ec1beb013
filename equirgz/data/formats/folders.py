"""The files under a folder, and the classes that the names of folders tell."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.data.catalogues.labels import refuse_no_name, tidy_text
from equirgz.data.notes import note

#: words for the parts of a set; values are the parts
PARTS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
    "unlabelled": "unlabelled",
    "unlabeled": "unlabelled",
}


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield the files under a folder, at any depth; hidden ones and hidden folders (a leading dot) are no part of it.

    Links to folders are followed, each folder once: one that is met again (a second link, or a link to a folder that
    holds it) is left out, which is said in a note. Links that lead nowhere count as files, so that they are reported.
    """
    top = os.path.realpath(folder)
    seen = {top: folder}
    again: list[str] = []

    def walk(here: Path) -> Iterator[Path]:
        links, inner = [], []
        for entry in sorted(os.scandir(here), key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else inner).append(Path(entry.path))
            elif entry.is_file() or entry.is_symlink():
                yield Path(entry.path)
        for path in (*inner, *links):  # a folder itself comes before links to it
            real = os.path.realpath(path)
            if real in seen or top.startswith(real + os.sep):
                again.append(f"{path.relative_to(folder)} is {seen.get(real, real)}")
                continue
            seen[real] = path
            yield from walk(path)

    yield from walk(folder)
    if again:
        note(f"{folder}: left out {len(again)} links to folders that are read already, e.g. {again[0]}")


def label_by_folder(
    paths: Sequence[Path], source: Path | str, missing: Iterable[Any] = ()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return label indices and class names of files by the folder that holds each (paths relative to ``source``).

    Folders that name a part (train, valid, test: :data:`PARTS`) are no classes: what they hold, or what holds them,
    is. Without two classes nothing has a label. Files beside the class folders have none, nor have those in folders
    that the user lists as ``missing``. All of this is said in a note. Raises DataError for a class folder ``nan``.
    """
    folders = [[tidy_text(name) for name in path.parent.parts if name.lower() not in PARTS] for path in paths]
    words = {tidy_text(word) for word in missing}
    names = [inner[-1] if inner and inner[-1] not in words else "" for inner in folders]
    class_names = tuple(sorted(set(names) - {""}))
    if len(class_names) < 2:
        if len({path.parent for path in paths}) > 1:
            note(f"{source}: no class folders: no two of other names than {', '.join(PARTS)} hold the images")
        return np.full(len(paths), -1), ()
    refuse_no_name(class_names, f"{source}: class folders")
    above = sorted({inner[-2] for inner in folders if len(inner) > 1})
    if len(above) > 1:
        inner, outer = ", ".join(class_names[:5]), ", ".join(above[:5])
        note(f"{source}: classes are the folders that hold the images ({inner}), not those above ({outer})")
    n_stray = Counter(names)[""]
    if n_stray:
        stray = paths[names.index("")]
        note(f"{source}: {n_stray} images lie beside the class folders and have no label, e.g. {stray}")
    place = {name: k for k, name in enumerate(class_names)}
    return np.array([place.get(name, -1) for name in names]), class_names


def part_by_folder(paths: Sequence[Path]) -> list[str] | None:
    """Return the part (train, valid, test, ...) that a folder around each file names, "" for none; None without any."""
    parts = [next((name.lower() for name in path.parent.parts if name.lower() in PARTS), "") for path in paths]
    return parts if any(parts) else None
