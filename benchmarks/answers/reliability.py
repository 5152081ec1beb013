"""How far the answers of a model can be trusted: errors, calibration and doubts, set by set of real sources.

Sources that the model was fitted on are answered by the read-out without their fold, and other sets are rid of them.
Nothing here chooses anything. Legend: N sources, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.answers.classify_images import classify_sources
from equirgz.answers.inputs import Given
from equirgz.answers.source_model import SourceModel
from equirgz.data import ImageSet
from equirgz.data.datasets import DATASETS
from equirgz.data.overlap.leaks import refuse_leaks
from equirgz.data.overlap.objects import load_object_images
from equirgz.errors import DataError
from equirgz.metrics import compute_metrics
from equirgz.metrics.calibration.reliability_bins import reliability_table

BEAMS = {"FIRST": 5.4, "NVSS": 45.0, "MGCLS": 7.8}  # arcsec, surveys.yaml
METRICS = ("error/rate", "nll/mean", "calibration/ece")


def iterate_sets(root: Path | None, fitted: ImageSet) -> Iterator[tuple[str, ImageSet, dict[str, float]]]:
    """Yield name, images with the labels of two classes (-1: another) and what the user would say of them."""
    confident = DATASETS.create("mirabest_confident", root)
    yield "MiraBest confident, training sources out of fold", confident.train, {"beam_arcsec": BEAMS["FIRST"]}
    yield "MiraBest confident, test sources", confident.tests["test"], {"beam_arcsec": BEAMS["FIRST"]}
    uncertain = DATASETS.create("mirabest_uncertain", root)
    for part in (uncertain.train, *uncertain.tests.values()):
        yield f"MiraBest uncertain, {part.name.split('/')[1]}", part, {"beam_arcsec": BEAMS["FIRST"]}
    for name, words in (("radio_galaxy_dataset", "RadioGalaxyDataset"), ("frdeep_first", "FR-DEEP FIRST")):
        data = DATASETS.create(name, root)
        parts = [data.train, *data.tests.values()]
        options = {"first": load_object_images([*parts, fitted], root), "held": "fitted", "drop": True}
        for part in parts:
            try:
                part = refuse_leaks(part, {"fitted": fitted}, **options)
            except DataError:  # all of it
                continue
            yield f"{words}, {part.name.rpartition('/')[2]}", part, {"beam_arcsec": BEAMS["FIRST"]}
    nvss = DATASETS.create("frdeep_nvss", root).train
    yield "FR-DEEP NVSS, as its header says", nvss, {"beam_arcsec": BEAMS["NVSS"]}
    as_first = {"beam_arcsec": BEAMS["FIRST"], "pixel_scale_arcsec": 1.8}
    yield "FR-DEEP NVSS, if the user calls it FIRST", nvss, as_first
    mgcls = DATASETS.create("mgcls_extended", root).train
    yield "MGCLS, brought to the scale of FIRST", mgcls.subset(np.arange(0, len(mgcls), 4)), as_first


def measure_reliability(model: SourceModel, root: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of all sets, and the bins of stated against observed probability of those with labels."""
    fitted = DATASETS.create("mirabest_confident", root).train
    rows, bins = [], []
    for name, images, told in iterate_sets(root, fitted):
        row, lines = measure_set(model, images, Given(**told))
        rows.append({"set": name, **row})
        bins += [{"set": name, **line} for line in lines]
    return pd.DataFrame(rows), pd.DataFrame(bins)


def measure_set(model: SourceModel, images: ImageSet, given: Given) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return one row of a set, and its bins of reliability."""
    try:
        found = classify_sources(images, model, given, alike=0)
    except DataError as error:
        return {"n": len(images), "refused": len(images), "why": str(error).partition("; take")[0]}, []
    row_of = {name: i for i, name in enumerate(images.source_id_N)}
    place_N = np.array([row_of[name] for name in found.table["id"]])
    truth = np.array([*images.class_names, ""])[images.label_N[place_N]]
    known = [list(model.class_names).index(name) if name in model.class_names else -1 for name in truth]
    label_N = np.array(known)
    p_NK = out_of_fold_of(model, found)
    doubt_N = found.table["cannot_tell"].to_numpy()
    row: dict[str, Any] = {"n": len(images), "refused": len(images) - len(found), "cannot_tell": float(doubt_N.mean())}
    for flag in ("unresolved", "faint", "unlike_anything_seen", "undecided"):
        row[flag] = float(found.table["flags"].str.contains(flag).mean())
    scored_N = (label_N >= 0) & np.isfinite(p_NK).all(1)
    for other in sorted(set(truth) - set(model.class_names) - {""}):
        row[f"cannot_tell_{other}"] = float(doubt_N[truth == other].mean())
    for words, chosen_N in (("all", scored_N), ("told", scored_N & ~doubt_N)):
        row[f"n_{words}"] = int(chosen_N.sum())
        if chosen_N.any():
            for metric in compute_metrics(p_NK[chosen_N], label_N[chosen_N], list(METRICS)):
                row[f"{metric['metric']}_{words}"] = metric["value"]
    if "las_arcsec" in images.table and images.name.startswith("mirabest"):
        las_N = images.table["las_arcsec"].to_numpy(float)[place_N]
        good_N = las_N > 0
        low, high, middle = (found.table[f"las_arcsec{end}"].to_numpy()[good_N] for end in ("_low", "_high", ""))
        row["las_inside"] = float(((low <= las_N[good_N]) & (las_N[good_N] <= high)).mean())
        row["las_ratio"] = float(np.median(middle / las_N[good_N]))
    return row, reliability_table(p_NK[scored_N], label_N[scored_N], 5) if scored_N.sum() > 20 else []


def out_of_fold_of(model: SourceModel, found: Any) -> np.ndarray:
    """Return the probabilities of what was classified, of fitted sources by the read-out without their fold."""
    p_NK = found.table[[f"p_{name}" for name in model.class_names]].to_numpy().copy()
    by_name = model.seen_by_name()
    place_N = np.array([by_name.get(name, -1) for name in found.table["id"]])
    known_N = place_N >= 0
    if known_N.any():
        fold_N = np.asarray(model.seen["fold"])[place_N[known_N]]
        p_NK[known_N] = model.classes.out_of_fold(found.h_NF[known_N], fold_N)
    return p_NK
