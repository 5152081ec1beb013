"""``splits.csv`` and ``splits/``: which labelled sources each run of a grid was trained on and validated with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equirgz.data.splits.labelled import write_manifest

COLUMNS = ("run_key", "split", "dataset", "split_seed", "n_labels", "n_val")


def write_splits(folder: Path, cells: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write ``splits/HASH.json``, once for each split of the finished runs; return the lines of ``splits.csv``.

    A manifest holds the source ids (see :func:`equirgz.data.splits.labelled.make_manifest`), so that a split can be checked
    and used elsewhere. Runs that recorded none are left out.
    """
    lines = []
    for run_key in sorted(cells):
        manifest = cells[run_key].get("split")
        if not manifest:
            continue
        file = folder / "splits" / f"{manifest['hash']}.json"
        if not file.exists():
            write_manifest(file, manifest)
        lines.append({"run_key": run_key, "split": manifest["hash"], **{key: manifest[key] for key in COLUMNS[2:]}})
    return lines
