"""The files under a folder, and the classes that the names of folders tell."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from equirgz.data.labels import tidy_text
from equirgz.data.notes import note


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


def label_by_folder(paths: Sequence[Path], source: Path | str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return label indices and class names of files by the folder that holds each (paths relative to ``source``).

    Without two such folders nothing has a label. Files beside the folders have none, which is said in a note.
    """
    names = ["" if path.parent == Path() else path.parent.name for path in paths]
    if len({path.parent for path in paths if path.parent != Path()}) < 2 or len(set(names) - {""}) < 2:
        return np.full(len(paths), -1), ()
    class_names = tuple(sorted({tidy_text(name) for name in names} - {""}))
    n_stray = Counter(names)[""]
    if n_stray:
        stray = paths[names.index("")]
        note(f"{source}: {n_stray} images lie beside the class folders and have no label, e.g. {stray}")
    place = {name: k for k, name in enumerate(class_names)}
    return np.array([place.get(tidy_text(name), -1) for name in names]), class_names
