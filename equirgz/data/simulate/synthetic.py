"""``synthetic_fr``: simulated FRI, FRII, bent and compact sources as a FIRST-like survey would see them.

Skies come from :mod:`equirgz.data.simulate.morphology`, the beam and the noise from
:mod:`equirgz.data.simulate.observe`; the raw maps (300 x 300 pixels of 1.8 arcsec, Jy/beam) then pass through
the same recipe as real FITS cutouts: clip below 3 sigma, crop to 150 pixels, disk mask, 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.recipes import first_recipe
from equirgz.data.simulate.morphology import CLASS_NAMES, draw_sources
from equirgz.data.simulate.observe import Beam, observe
from equirgz.errors import InputError, check_choice
from equirgz.records import recipe_text
from equirgz.registry import call_checked
from equirgz.seeding import derive_seed

#: raised whenever the same arguments give other sources; part of the checksum of every simulated set
SIMULATOR_VERSION = 1
RAW_SIZE, CUT_SIZE = 300, 150
_CHUNK = 32


@dataclass(frozen=True)
class Observation:
    """One simulated survey; a second one with other numbers is a distribution shift.

    Parameters
    ----------
    beam_arcsec : full width at half maximum of the restoring beam (geometric mean of the axes).
    beam_axis_ratio : major over minor axis of the beam; 1 = round.
    beam_angle_deg : position angle of the beam's major axis, counter-clockwise from the row axis.
    noise_mjy_per_beam : rms of the noise, correlated by the beam.
    size_scale : factor on all angular sizes.
    flux_scale : factor on all flux densities.
    pixel_scale_arcsec : side of a pixel.
    field_sources : mean number of unrelated sources above 1 mJy in a raw 540-arcsec field.
    sidelobe_level : median height of the residual sidelobe spikes, relative to the source's peak.
    class_balance : fraction of the first class (two classes), or one fraction per class; None: equal.
    """

    beam_arcsec: float = 5.4
    beam_axis_ratio: float = 1.0
    beam_angle_deg: float = 0.0
    noise_mjy_per_beam: float = 0.15
    size_scale: float = 1.0
    flux_scale: float = 1.0
    pixel_scale_arcsec: float = 1.8
    field_sources: float = 2.0
    sidelobe_level: float = 0.003
    class_balance: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for key in ("beam_arcsec", "beam_axis_ratio", "size_scale", "flux_scale", "pixel_scale_arcsec"):
            if not getattr(self, key) > 0:
                raise InputError(f"synthetic_fr {key}", expected="a positive number", got=getattr(self, key))
        for key in ("noise_mjy_per_beam", "field_sources", "sidelobe_level"):
            if not getattr(self, key) >= 0:
                raise InputError(f"synthetic_fr {key}", expected="zero or more", got=getattr(self, key))
        if isinstance(self.class_balance, list):
            object.__setattr__(self, "class_balance", tuple(self.class_balance))

    def fractions(self, n_classes: int) -> np.ndarray:
        """Return the fraction of every class."""
        balance = self.class_balance
        if balance is None:
            return np.full(n_classes, 1 / n_classes)
        values = np.atleast_1d(np.asarray(balance, dtype=float))
        if len(values) == 1 and n_classes == 2:
            values = np.array([values[0], 1 - values[0]])
        if len(values) != n_classes or (values < 0).any() or not np.isclose(values.sum(), 1):
            raise InputError("synthetic_fr class_balance", expected=f"{n_classes} fractions that sum to 1", got=balance)
        return values


def draw_labels(n: int, fractions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return ``n`` labels in random order whose counts are ``fractions`` of n, rounded to sum to n."""
    edges = np.round(np.cumsum(fractions) * n).astype(int)
    counts = np.diff(np.concatenate([[0], edges]))
    return generator.permutation(np.repeat(np.arange(len(fractions)), counts))


def simulate_raw(
    label_N: np.ndarray, classes: tuple[str, ...], survey: Observation, generator: np.random.Generator
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return raw maps (N, 300, 300) in Jy/beam, float32, and a table of the true parameters."""
    kind_N = np.array([CLASS_NAMES.index(classes[k]) for k in label_N], dtype=int)
    beam = Beam(survey.beam_arcsec, survey.beam_axis_ratio, survey.beam_angle_deg)
    sources = draw_sources(kind_N, generator, size_scale=survey.size_scale, flux_scale=survey.flux_scale)
    raw_NHW = observe(
        sources,
        beam,
        survey.noise_mjy_per_beam * 1e-3,
        survey.pixel_scale_arcsec,
        RAW_SIZE,
        generator,
        field_sources=survey.field_sources,
        sidelobe_level=survey.sidelobe_level,
    )
    table = pd.DataFrame(
        {
            "kind": [CLASS_NAMES[k] for k in kind_N],
            "las_arcsec": sources.las_arcsec_N,
            "flux_jy": sources.flux_jy_N,
        }
    )
    return raw_NHW, table


def simulate(
    n: int,
    classes: tuple[str, ...],
    survey: Observation,
    seed: int,
    name: str = "synthetic_fr",
    stream: str | None = None,
) -> ImageSet:
    """Return ``n`` simulated images, 150 x 150 uint8, as the archives of real surveys hold them.

    Sources are drawn in blocks of 32 with a stream of their own, so the first images do not depend
    on how many follow. Sets of one ``stream`` (default: ``name``) and ``seed`` hold the same sources,
    also where the survey differs. A source that lies wholly below 3 sigma is kept, as in real sets.
    """
    stream = name if stream is None else stream
    for class_name in classes:
        check_choice("synthetic_fr class", class_name, CLASS_NAMES)
    label_N = draw_labels(n, survey.fractions(len(classes)), np.random.default_rng(derive_seed(seed, stream, "labels")))
    image_NHW = np.empty((n, CUT_SIZE, CUT_SIZE), np.uint8)
    tables = []
    for block, start in enumerate(range(0, n, _CHUNK)):
        generator = np.random.Generator(np.random.SFC64(derive_seed(seed, stream, "block", block)))
        labels = label_N[start : start + _CHUNK]
        raw_NHW, table = simulate_raw(labels, classes, survey, generator)
        image_NHW[start : start + len(labels)] = first_recipe(raw_NHW, size=CUT_SIZE)
        tables.append(table)
    return ImageSet(
        name=name,
        image_NHW=image_NHW,
        label_N=label_N,
        source_id_N=np.array([f"{name}_s{seed}_{i:06d}" for i in range(n)]),
        class_names=tuple(classes),
        pixel_scale_arcsec=survey.pixel_scale_arcsec,
        table=pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(),
        recipe=f"{name} v{SIMULATOR_VERSION} n={n} seed={seed} {classes} {recipe_text('Survey', survey)}",
        of_sky=False,
    )


@lru_cache(maxsize=8)
def _simulate_cached(
    n: int, classes: tuple[str, ...], survey: Observation, seed: int, name: str, stream: str | None = None
) -> ImageSet:
    return simulate(n, classes, survey, seed, name, stream)


@DATASETS.register("synthetic_fr")
def synthetic_fr(
    data_dir: Path | None = None,
    /,
    n_train: int = 1000,
    n_test: int = 400,
    n_unlabelled: int = 0,
    classes: tuple[str, ...] = ("FRI", "FRII"),
    seed: int = 0,
    survey: dict[str, Any] | None = None,
    shift: dict[str, Any] | None = None,
) -> Data:
    """Simulated sources: train, test and, with ``shift``, the test sources as a second survey sees them.

    Parameters
    ----------
    n_train : training sources, 1 or more.
    n_test : test sources, 0 or more.
    n_unlabelled : sources without labels, 0 or more; of the shifted survey where there is one.
    classes : names of the simulated morphologies, in the order of the labels.
    seed : of all sources.
    survey : fields of :class:`~equirgz.data.simulate.synthetic.Observation` that differ from their defaults.
    shift : those of a second survey beside, which sees the test sources again; they overlay ``survey``.
    """
    classes = tuple(classes)
    if min(n_train, n_test, n_unlabelled) < 0 or n_train < 1 or not classes:
        raise InputError(
            "synthetic_fr",
            expected="n_train >= 1, n_test >= 0, n_unlabelled >= 0 and a class",
            got=f"{n_train}, {n_test}, {n_unlabelled}, {classes}",
        )
    base = call_checked("synthetic_fr survey", Observation, **(survey or {}))
    other = call_checked("synthetic_fr survey", Observation, **{**(survey or {}), **shift}) if shift else None
    train = _simulate_cached(n_train, classes, base, seed, "synthetic_fr/train")
    tests = {"test": _simulate_cached(n_test, classes, base, seed, "synthetic_fr/test")} if n_test else {}
    if other is not None and n_test:
        name, stream = "synthetic_fr/test_shift", "synthetic_fr/test"
        tests["test_shift"] = _simulate_cached(n_test, classes, other, seed, name, stream)
    unlabelled = None
    if n_unlabelled:
        unlabelled = _simulate_cached(n_unlabelled, classes, other or base, seed, "synthetic_fr/unlabelled")
        unlabelled = unlabelled.without_labels()
    return Data(train, tests, unlabelled)
