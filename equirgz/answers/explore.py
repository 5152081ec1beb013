"""The page of classified sources: where each lies on the map, and which look alike. Legend: N sources, F features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from equirgz.answers.classify_images import Classified, subset
from equirgz.answers.linear_readouts import nearest
from equirgz.answers.rules import FLAGS, words_of
from equirgz.errors import check_choice
from equirgz.evaluate.feature_space import map_features
from equirgz.paths import as_path
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic

if TYPE_CHECKING:
    from equirgz.report.page.explorer import SourceMap

NEIGHBOURS = 6


def write_explorer(found: Classified, path: Path | str, title: str, without: Sequence[str] = ()) -> tuple[Path, str]:
    """Write the page of ``found``; return its path and, where it does not show all sources, one line that says so.

    ``without``: "class" (the answer) or columns of the table, which are taken out of the features for a second map
    (:func:`equirgz.residual.of_table.find_residual`, which says what it refuses).
    """
    from equirgz.report.page.explorer import choose_sources, make_explorer

    chosen_M, line = choose_sources(len(found))
    shown = subset(found, chosen_M) if line else found
    reference = found.model.simulated or found.model.real
    z_NF = shown.h_NF if reference is None else reference.whitened(shown.h_NF)
    maps = [_map_of("all that the network sees", shown.h_NF, z_NF)]
    facts = [
        ("sources", f"{len(found)}; {found.summary()[0].partition(': ')[2]}" + (f"; {line}" if line else "")),
        ("model", f"{found.model!r}, equirgz {code_version()}"),
        ("rule", words_of(found.model.rule)),
    ]
    if without:
        second, said = _map_without(shown, without)
        maps.append(second)
        facts += said
    text = make_explorer(
        shown.table, shown.image_NSS, maps, title=title, class_names=found.model.class_names,
        flags=FLAGS, facts=facts, tags=found.model.tag_names if "tags" in found.table else (),
    )  # fmt: skip
    path = as_path(path)
    write_bytes_atomic(path, text.encode())
    return path, line


def _map_of(name: str, h_NF: np.ndarray, z_NF: np.ndarray) -> SourceMap:
    """Return the map of features ``h_NF``, with the look-alikes of ``z_NF``."""
    from equirgz.report.page.explorer import SourceMap

    place_N2 = map_features(h_NF) if len(h_NF) > 2 else np.arange(len(h_NF))[:, None] * np.ones(2)
    return SourceMap(name, place_N2, nearest(z_NF, z_NF, NEIGHBOURS, same=True)[0])


def _map_without(shown: Classified, without: Sequence[str]) -> tuple[SourceMap, list[tuple[str, str]]]:
    """Return the map of what is left of the features without columns of the table, and what probes read off both."""
    from equirgz.evaluate.embedding_table import EmbeddingTable
    from equirgz.residual.of_table import find_residual
    from equirgz.residual.readings import describe

    numbers = shown.table.select_dtypes("number")
    columns = ["class", *numbers.columns]
    for name in without:
        check_choice("--without", name, columns)
    label_N = shown.table["class"].map(list(shown.model.class_names).index).to_numpy(np.int64)
    ids = shown.table["id"].astype(str)
    left = find_residual(
        EmbeddingTable(shown.h_NF, ids, label_N, numbers[[n for n in without if n != "class"]]), without
    )
    name = f"without {' and '.join(without)}"
    read = "; ".join(f"{known}: {describe(*pair)}" for known, pair in left.known.items())
    z_NP = left.table.feature_NF
    return _map_of(name, z_NP, z_NP), [(f"map {name}", f"read off held-out sources, before -> after: {read}")]
