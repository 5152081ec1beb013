"""Several sets without labels, used as one: who is in it, and how much of a batch each set fills.

Legend: M sources.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from equirgz.config import DataConfig
from equirgz.data.imageset import ImageSet
from equirgz.data.notes import note
from equirgz.errors import InputError

#: column of ``table``: the set that a source of several joined ones comes from
POOL = "pool"


def list_pools(config: DataConfig) -> dict[str, dict[str, Any]]:
    """Return the sets used without labels, each under a name of its own: registered ``name`` and ``params``."""
    if config.unlabelled is None:
        return {}
    if isinstance(config.unlabelled, str):
        return {config.unlabelled: {"name": config.unlabelled, "params": config.unlabelled_params}}
    found: dict[str, dict[str, Any]] = {}
    for pool in config.unlabelled:
        name, n = pool.name, 2
        while name in found:
            name, n = f"{pool.name} {n}", n + 1
        found[name] = {"name": pool.name, "params": pool.params, "share": pool.share}
    return found


def join_pools(pools: dict[str, ImageSet]) -> ImageSet:
    """Return the preprocessed sets in a row, without labels; ``table`` says in its column ``pool`` whose a source is.

    A source whose id an earlier set has is left out of the later one, with a note; one's own ids are put behind the
    name of their set. Positions are NaN where a set has none. Of the tables only text is kept, such as what marks
    leaks; it is empty where a set has none.
    """
    taken: set[str] = set()
    parts = []
    for name, images in pools.items():
        if images.own_ids:
            own = np.array([f"{name}/{source}" for source in images.source_id_N])
            images = replace(images, source_id_N=own)
        twice_M = np.array([source in taken for source in images.source_id_N], bool)
        if twice_M.any():
            note(f"{name}: left out {int(twice_M.sum())} sources that an earlier set of data.unlabelled holds")
            images = images.subset(~twice_M)
        taken |= set(images.source_id_N.tolist())
        parts.append(_as_part(name, images))
    parts = [images for images in parts if len(images)]
    joined = parts[0]
    for images in parts[1:]:
        joined = joined.joined(images, "+".join(pools))
    joined = replace(joined, table=joined.table.fillna(""))
    alike = all(np.isclose(images.pixel_scale_arcsec, joined.pixel_scale_arcsec, rtol=0.02) for images in parts)
    return replace(
        joined,
        pixel_scale_arcsec=joined.pixel_scale_arcsec if alike else float("nan"),
        of_sky=any(images.of_sky for images in parts),
        own_ids=any(images.own_ids for images in pools.values()),
    )


def _as_part(name: str, images: ImageSet) -> ImageSet:
    position_M2 = images.position_deg_N2
    if position_M2 is None:
        position_M2 = np.full((len(images), 2), np.nan)
    table = images.table.assign(**{POOL: name})
    text = [column for column in table if pd.api.types.is_string_dtype(table[column])]
    return replace(
        images.without_labels(), class_names=(), map_NKHW=None, map_names=(), position_deg_N2=position_M2,
        table=table[text], own_ids=False,
    )  # fmt: skip


def measure_shares(config: DataConfig, unlabelled: ImageSet) -> list[tuple[int, float]]:
    """Return (sources, share of a batch) of the consecutive parts of a joined set; [] where it is drawn as one.

    Raises InputError where a set with a share has no source left.
    """
    if not isinstance(config.unlabelled, tuple) or config.unlabelled[0].share is None:
        return []
    found = []
    for name, pool in list_pools(config).items():
        n = int((unlabelled.table[POOL] == name).sum())
        if n == 0:
            mend = "leave it out of data.unlabelled"
            raise InputError(f"data.unlabelled {name}", expected="sources left of it", got="none", mend=mend)
        found.append((n, float(pool["share"])))
    return found
