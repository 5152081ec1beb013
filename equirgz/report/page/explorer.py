"""One self-contained page to look at classified sources: a map with thumbnails, look-alikes, filters, labels, ratings.

It needs no network and no server. What is labelled and rated there leaves it as CSV. Legend: N sources, H W pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from equirgz.errors import InputError, require
from equirgz.report.page.sprites import make_sprite, make_thumbnails

MOST = 20_000  # sources that a page holds
BYTES_EACH = 1100  # of a source on the page, measured on 10 000 simulated ones


@dataclass(frozen=True)
class SourceMap:
    """Where every source lies on one map (``place_N2``, any scale), and the indices of those that look most alike there
    (``neighbour_Nk``, nearest first). ``name`` is what the reader chooses it by."""

    name: str
    place_N2: np.ndarray
    neighbour_Nk: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return the map as the page holds it: places in the unit square."""
        low_2, high_2 = self.place_N2.min(0), self.place_N2.max(0)
        unit_N2 = np.round((self.place_N2 - low_2) / np.where(high_2 > low_2, high_2 - low_2, 1), 5)
        x, y = unit_N2.T.tolist()
        return {"name": self.name, "x": x, "y": y, "neighbours": self.neighbour_Nk.tolist()}


def choose_sources(n: int, seed: int = 0) -> tuple[np.ndarray, str]:
    """Return which of ``n`` sources a page shows, in order, and one line where these are not all, else ""."""
    if n <= MOST:
        return np.arange(n), ""
    chosen_M = np.sort(np.random.default_rng(seed).choice(n, MOST, replace=False))
    weight = f"{n * BYTES_EACH / 1e6:.0f} MB"
    return chosen_M, f"the page of {n} sources would weigh about {weight}; it shows {MOST} of them, drawn at random"


def make_explorer(
    table: pd.DataFrame,
    image_NHW: np.ndarray,
    maps: Sequence[SourceMap],
    *,
    title: str,
    class_names: tuple[str, ...],
    flags: Mapping[str, str],
    facts: list[tuple[str, str]] = (),
    tags: Sequence[str] = (),
) -> str:
    """Return the page as text.

    Parameters
    ----------
    table : of :func:`equirgz.classify`: ``id``, ``class``, ``flags``, ``cannot_tell`` and any other columns.
    image_NHW : bytes, row 0 south; their middle becomes the thumbnail.
    maps : the first is shown; where there are more, a menu changes to them.
    flags : name and meaning of what may be flagged; ``facts``: terms and texts below the title.
    tags : what may stand in the table's column ``tags`` (";" between them), each with a button that filters by it.

    Raises InputError where lengths disagree, for no map, and for tags without that column.
    """
    require(len(maps) > 0, "explorer", expected="at least one map", got="none")
    lengths = {len(table), len(image_NHW)} | {len(part) for m in maps for part in (m.place_N2, m.neighbour_Nk)}
    if lengths != {len(table)} or not len(table):
        raise InputError("explorer", expected="one place, image and row of neighbours per source", got=sorted(lengths))
    if tags and "tags" not in table:
        raise InputError("explorer", expected="a column tags", got=", ".join(map(str, table.columns)))
    sprite, columns = make_sprite(make_thumbnails(image_NHW))
    data = {
        "columns": {str(name): _column(values) for name, values in table.items()},
        "maps": [one.to_json() for one in maps],
        "classes": list(class_names),
        "flags": dict(flags),
        "perRow": columns,
        "title": title,
    }
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return environment.get_template("explorer.html").render(
        title=title,
        facts=facts,
        data=text,
        sprite=sprite,
        class_names=class_names,
        tags=tags,
        n=len(table),
        maps=[one.name for one in maps],
    )


def _column(values: pd.Series) -> list[Any]:
    if values.dtype.kind == "f":
        return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values.to_numpy(float)]
    if values.dtype.kind in "biu":
        return values.tolist()
    return ["" if value is None or value != value else str(value) for value in values]
