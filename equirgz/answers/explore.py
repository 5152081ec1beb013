"""The page of classified sources: where each lies on the map, and which look alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equirgz.answers.classify_images import Classified, subset
from equirgz.answers.linear_readouts import nearest
from equirgz.answers.rules import FLAGS, words_of
from equirgz.evaluate.feature_space import map_features
from equirgz.paths import as_path
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic

NEIGHBOURS = 6


def write_explorer(found: Classified, path: Path | str, title: str) -> tuple[Path, str]:
    """Write the page of ``found``; return its path and, where it does not show all sources, one line that says so."""
    from equirgz.report.page.explorer import choose_sources, make_explorer

    chosen_M, line = choose_sources(len(found))
    shown = subset(found, chosen_M) if line else found
    reference = found.model.simulated or found.model.real
    z_NF = shown.h_NF if reference is None else reference.whitened(shown.h_NF)
    place_N2 = map_features(shown.h_NF) if len(shown) > 2 else np.arange(len(shown))[:, None] * np.ones(2)
    neighbour_Nk = nearest(z_NF, z_NF, NEIGHBOURS, same=True)[0]
    facts = [
        ("sources", f"{len(found)}; {found.summary()[0].partition(': ')[2]}" + (f"; {line}" if line else "")),
        ("model", f"{found.model!r}, equirgz {code_version()}"),
        ("rule", words_of(found.model.rule)),
    ]
    text = make_explorer(
        shown.table, place_N2, shown.image_NSS, neighbour_Nk,
        title=title, class_names=found.model.class_names, flags=FLAGS, facts=facts,
        tags=found.model.tag_names if "tags" in found.table else (),
    )  # fmt: skip
    path = as_path(path)
    write_bytes_atomic(path, text.encode())
    return path, line
