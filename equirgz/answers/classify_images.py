"""Classes, sizes, look-alikes and doubts of images without labels, as a table.

Legend: N sources, F features, K classes, S pixels of the field.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.answers.inputs import Given, Seen, first_sampling, see
from equirgz.answers.rules import FLAGS, TELLING, apply_rule
from equirgz.answers.sightings import Sighting
from equirgz.answers.source_model import TURNS, SourceModel
from equirgz.answers.tagging import check_tells, measured_tags, rank_table, read_search, tag_columns
from equirgz.data.imageset import ImageSet
from equirgz.errors import DataError, InputError
from equirgz.pretrained import AUTO, FIRST_CHOICE, list_classifiers

ALIKE = 3


@dataclass(frozen=True)
class Classified:
    """The answers: one row per source in ``table``, features and images in its order, and what was left out."""

    table: pd.DataFrame
    h_NF: np.ndarray
    image_NSS: np.ndarray
    left_out: dict[str, str]
    model: SourceModel

    def __len__(self) -> int:
        return len(self.table)

    def summary(self) -> list[str]:
        """Return lines for a terminal: how many of each class, what cannot be told and why, what was left out."""
        told = self.table[~self.table["cannot_tell"]]
        counts = [f"{(told['class'] == name).sum()} {name}" for name in self.model.class_names]
        lines = [f"{len(self)} sources: {', '.join(counts)}, {len(self) - len(told)} cannot tell"]
        flags = Counter(flag for text in self.table["flags"] for flag in text.split(";") if flag)
        lines += [f"  {flags[flag]:6d} {flag}: {words}" for flag, words in FLAGS.items() if flag in flags]
        if "tags" in self.table:
            said = Counter(tag for text in self.table["tags"] for tag in text.split(";") if tag)
            lines += [
                f"  {said[tag]:6d} {tag}: precision {precision:.2f}, recall {recall:.2f} on simulated sources"
                for tag, precision, recall in measured_tags(self.model)[["tag", "precision", "recall"]].to_numpy()
            ]
        if self.left_out:
            lines.append(f"{len(self.left_out)} left out")
        return lines


def load_model(model: SourceModel | Path | str = AUTO, beam_arcsec: float | None = None) -> SourceModel:
    """Return a model: as it is, of a path or shipped name, or "auto": the shipped one of the nearest beam.

    Of several shipped models of one beam, and where no beam is known, it is the usual one (``radio_d4_small``).
    Raises DataError where none is shipped, InputError or DataError for what is none.
    """
    if isinstance(model, SourceModel):
        return model
    if str(model) != AUTO:
        return SourceModel.load(model)
    names = sorted(list_classifiers(), key=lambda name: name != FIRST_CHOICE)
    if not names:
        mend = "give one with --model: equirgz finetune and equirgz pretrain make one"
        raise DataError("classify", expected="a model inside the package", got="none in this version", mend=mend)
    models = [SourceModel.load(name) for name in names]
    if beam_arcsec is None:
        return models[0]
    return min(models, key=lambda m: abs(np.log(m.sky.beam_arcsec / beam_arcsec)))


def classify(
    images: Any,
    model: SourceModel | Path | str = AUTO,
    *,
    pixel_scale_arcsec: float | None = None,
    beam_arcsec: float | None = None,
    catalogue: Path | str | None = None,
    turns: int = TURNS,
    alike: int = ALIKE,
    tags: bool = False,
    search: str = "",
) -> pd.DataFrame:
    """Return a table of answers about radio sources, one row each; what was left out is its ``attrs["left_out"]``.

    Parameters
    ----------
    images : a folder of FITS or pictures, files, a container, an ImageSet, or arrays (N, H, W); with ``catalogue`` a
        mosaic or several, of which the catalogued sources are cut.
    model : a model, where one was saved, the name of a shipped one, or "auto": the shipped one of the nearest beam.
    pixel_scale_arcsec, beam_arcsec : where headers do not say them, or say them wrong.
    turns : of every image that are averaged, of those that the network does not make equal.
    alike : how many of the labelled sources that look most alike are named.
    tags : whether columns of plain-English tags are added.
    search : words of tags, such as "bent one-sided with a bright core, no hot spots"; the sources that they describe
        best come first, and a column ``search`` has their score (:func:`equirgz.tags.find.rank_by_tags`).

    Columns: ``id``, ``file``, ``ra_deg``, ``dec_deg``; ``class`` and ``p_CLASS``, with the temperature of held-out
    sources; ``entropy`` (nat); ``las_arcsec``, ``core_share`` and ``bending_deg``, each with ``_low`` and ``_high`` of
    its 68 % interval; ``unlike``, the distance from real or simulated sources that were seen, whichever is less, over
    what 1 % of them exceed, and both; ``snr``, the peak over the noise; ``beams``, the size beyond that of a point
    source as bright; ``cannot_tell``, ``flags`` (:data:`equirgz.answers.rules.FLAGS`, with ";" between them) and
    ``notes`` in words; ``alike_1`` ... names of labelled sources with their classes. With tags: ``tags``, those of a
    probability of 0.5 or more, ";" between them, and ``tag_NAME``, the probability of each (none of noise alone).
    NaN: not known.

    Raises DataError where no image can be used, or scale or beam of none are known; InputError for bad options, a model
    that tells no tags, and a search that names none of its tags.

    >>> import equirgz                                                     # doctest: +SKIP
    >>> equirgz.classify("my_images")[["id", "class", "p_FRI"]]            # doctest: +SKIP
    """
    given = Given(pixel_scale_arcsec, beam_arcsec, catalogue)
    found = classify_sources(images, model, given, turns=turns, alike=alike, tags=tags, search=search)
    found.table.attrs["left_out"] = found.left_out
    return found.table


def classify_sources(
    images: Any,
    model: SourceModel | Path | str = AUTO,
    given: Given | None = None,
    *,
    turns: int = TURNS,
    alike: int = ALIKE,
    tags: bool = False,
    search: str = "",
) -> Classified:
    """Return the answers of :func:`classify` with features and images; a search that says nothing is refused first."""
    if alike < 0:
        raise InputError("alike", expected="0 or more", got=alike)
    given = given or Given()
    if not isinstance(model, SourceModel) and str(model) == AUTO:
        sampling = first_sampling(images, given)
        model = load_model(model, None if sampling is None else sampling[1])
    model = load_model(model)
    if tags:
        check_tells(model)
    if search:
        read_search(search, model)
    found = answer(see(images, model.sky, given), model, turns=turns, alike=alike, tags=tags or bool(search))
    if not search:
        return found
    order_N, score_N = rank_table(found.table, search, model)
    found = subset(found, order_N)
    found.table.insert(1, "search", score_N)
    return found


def answer(seen: Seen, model: SourceModel, *, turns: int = TURNS, alike: int = ALIKE, tags: bool = False) -> Classified:
    """Return the answers of a model about what it sees."""
    images = as_set(seen.sightings, model)
    h_NF, measure_NM = model.features(images, turns), model.measure(images)
    p_NK = model.classes.probability(h_NF)
    snr_N = np.array([sighting.snr for sighting in seen.sightings])
    size_N = np.exp(measure_NM[:, 0])
    # what a point source shows above the clip: FWHM sqrt(log2(peak / clip))
    with np.errstate(invalid="ignore"):
        point_N = model.sky.beam_arcsec * np.sqrt(np.log2(np.maximum(snr_N / model.sky.n_sigma, 1)))
    beams_N = (size_N - point_N) / model.sky.beam_arcsec
    unlike = {
        name: reference.score(h_NF)
        for name, reference in (("unlike_real", model.real), ("unlike_simulated", model.simulated))
        if reference is not None
    }
    unlike_N = np.min(list(unlike.values()), axis=0) if unlike else np.full(len(h_NF), np.nan)
    blank_N = ~images.image_NHW.any((1, 2))
    raised = apply_rule(
        model.rule, beams_N=beams_N, snr_N=snr_N, unlike_N=unlike_N, probability_N=p_NK.max(1)
    )  # fmt: skip
    raised["larger_than_window"] = size_N > model.sky.pixel_scale_arcsec * (model.preprocessing.get("crop") or np.inf)
    flags = [
        [flag for flag in FLAGS if flag in sighting.flags or raised.get(flag, np.zeros(len(h_NF), bool))[i]]
        for i, sighting in enumerate(seen.sightings)
    ]
    noise_N = np.array(["noise_only" in found for found in flags])
    p_NK, unlike_N = np.where(blank_N[:, None], np.nan, p_NK), np.where(blank_N, np.nan, unlike_N)
    table = pd.DataFrame({
        "id": images.source_id_N,
        "file": [sighting.file for sighting in seen.sightings],
        "ra_deg": images.position_deg_N2[:, 0],
        "dec_deg": images.position_deg_N2[:, 1],
        "class": np.where(blank_N, "", np.array(model.class_names)[np.nan_to_num(p_NK).argmax(1)]),
        **{f"p_{name}": p_NK[:, k] for k, name in enumerate(model.class_names)},
        "entropy": -(p_NK * np.log(np.maximum(p_NK, 1e-300))).sum(1),
        **_numbers(model, h_NF, measure_NM, blank_N),
        **(tag_columns(model, np.concatenate([h_NF, measure_NM], 1), blank_N | noise_N) if tags else {}),
        "unlike": unlike_N,
        **{name: np.where(blank_N, np.nan, value) for name, value in unlike.items()},
        "snr": snr_N,
        "beams": beams_N,
        "cannot_tell": [bool(set(TELLING) & set(found)) for found in flags],
        "flags": [";".join(found) for found in flags],
        "notes": ["; ".join(sighting.words) for sighting in seen.sightings],
        **_alike(model, h_NF, alike),
    })  # fmt: skip
    return Classified(table, h_NF, images.image_NHW, seen.left_out, model)


def as_set(sightings: list[Sighting], model: SourceModel) -> ImageSet:
    """Return sightings as images without labels; ids that come twice get a number."""
    counts: Counter[str] = Counter()
    ids = []
    for sighting in sightings:
        counts[sighting.source_id] += 1
        twice = counts[sighting.source_id] > 1
        ids.append(f"{sighting.source_id}_{counts[sighting.source_id]}" if twice else sighting.source_id)
    return ImageSet(
        "classified",
        np.stack([sighting.image_SS for sighting in sightings]),
        np.full(len(sightings), -1),
        np.array(ids, str),
        pixel_scale_arcsec=model.sky.pixel_scale_arcsec,
        position_deg_N2=np.array([sighting.position_deg for sighting in sightings], float),
        own_ids=True,
    )


def _numbers(
    model: SourceModel, h_NF: np.ndarray, measure_NM: np.ndarray, blank_N: np.ndarray
) -> dict[str, np.ndarray]:
    if model.numbers is None:
        return {}
    found = model.numbers.answers(np.concatenate([h_NF, measure_NM], 1), model.number_names)
    return {name: np.where(blank_N, np.nan, value) for name, value in found.items()}


def _alike(model: SourceModel, h_NF: np.ndarray, k: int) -> dict[str, list[str]]:
    """Return the names, and classes in brackets, of the labelled sources that look most alike."""
    if model.real is None or model.seen is None or not k:
        return {}
    index_Nk = model.real.alike(h_NF, k)
    words = [
        f"{name} ({model.class_names[label]})"
        for name, label in zip(model.seen["name"], model.seen["label"], strict=True)
    ]
    return {f"alike_{j + 1}": [words[i] for i in index_Nk[:, j]] for j in range(index_Nk.shape[1])}


def subset(found: Classified, index_M: np.ndarray) -> Classified:
    """Return the answers about the sources ``index_M``, in that order."""
    table = found.table.iloc[index_M].reset_index(drop=True)
    return replace(found, table=table, h_NF=found.h_NF[index_M], image_NSS=found.image_NSS[index_M])
