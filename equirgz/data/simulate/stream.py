"""Simulated sources for ever: every image is a function of survey, mixture, seed and index alone.

    stream = stream_sources("FIRST", {"FRI": 1, "FRII": 1}, seed=0)
    batch = stream.batch(start=0, n=64)     # batch.image_NHW, batch.label_N, batch.table

Images are made in blocks of 64 with a random stream of their own, so any worker can draw any part, and a training that
stops goes on with the index it had come to. Legend: N sources, H W pixels, T targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.imageset import ImageSet
from equirgz.data.simulate.mixture import Labels, Mixture, make_mixture
from equirgz.data.simulate.priors import CLASS_NAMES, Overlay, Priors, load_priors
from equirgz.data.simulate.render import Scene, component_maps, make_scene, render, survey_beams
from equirgz.data.simulate.skies import Skies, make_skies
from equirgz.data.simulate.surveys import Survey, get_survey
from equirgz.errors import require
from equirgz.records import content_hash, recipe_text
from equirgz.seeding import derive_seed

#: raised whenever the same arguments give other sources; part of the recipe of every set and card
SKY_VERSION = 2
BLOCK = 64
#: standard deviation of unit Gaussian noise that the recipes measure: what lies beyond 3 sigma is clipped, five times
CLIPPED = 0.985
#: what a network can be taught beside the class; name -> (column of the table, transformation)
TARGETS = {
    "log_las": ("las_arcsec", np.log),
    "log_flux": ("flux_mjy", np.log),
    "core_share": ("core_share", np.asarray),
    "hot_share": ("hot_share", np.asarray),
    "jet_share": ("jet_share", np.asarray),
    "fr_ratio": ("fr_ratio", np.asarray),
    "bending": ("bending_deg", lambda value: value / 180),
    "asymmetry": ("asymmetry", np.asarray),
    "inclination": ("inclination_deg", lambda value: value / 90),
}


@dataclass(frozen=True)
class Batch:
    """Images with their truth: ``image_NHW`` uint8 as archives hold them, ``label_N``, and columns of ``truth``."""

    image_NHW: np.ndarray
    label_N: np.ndarray
    truth: dict[str, np.ndarray]
    start: int

    def __len__(self) -> int:
        return len(self.label_N)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per source: index, class, family, las_arcsec, flux_mjy, shares, fr_ratio, ..., beam and rms."""
        return pd.DataFrame(self.truth)

    def targets(self, names: tuple[str, ...] = tuple(TARGETS)) -> np.ndarray:
        """Return the physical targets (N, T), float32, NaN where a source has none (see ``TARGETS``)."""
        columns = []
        for name in names:
            column, change = TARGETS[name]
            with np.errstate(divide="ignore", invalid="ignore"):
                value = change(self.truth[column])
            columns.append(np.where(np.isfinite(value), value, np.nan))
        return np.stack(columns, 1).astype(np.float32)


@dataclass(frozen=True)
class SourceStream:
    """All simulated sources of one survey, mixture and seed; see :func:`stream_sources`."""

    survey: Survey
    priors: Priors
    weight_F: np.ndarray
    label_F: np.ndarray
    class_names: tuple[str, ...]
    seed: int
    size_px: int
    field_px: int
    n_sigma: float
    name: str
    recipe: str

    def batch(self, start: int, n: int) -> Batch:
        """Return the images ``start`` to ``start + n - 1``: the same whoever asks, in whatever parts."""
        require(start >= 0 and n >= 1, "stream of sources", expected="start >= 0 and n >= 1", got=(start, n))
        parts = []
        for block in range(start // BLOCK, (start + n - 1) // BLOCK + 1):
            whole = self.block(block)
            low, high = max(start - block * BLOCK, 0), min(start + n - block * BLOCK, BLOCK)
            parts.append(whole if (low, high) == (0, BLOCK) else _cut(whole, slice(low, high)))
        if len(parts) == 1:
            return parts[0]
        truth = {key: np.concatenate([part.truth[key] for part in parts]) for key in parts[0].truth}
        images = np.concatenate([part.image_NHW for part in parts])
        return Batch(images, np.concatenate([part.label_N for part in parts]), truth, start)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield batches for ever from index ``start`` on; a training that goes on gives the index it had come to."""
        while True:
            yield self.batch(start, size)
            start += size

    def block(self, block: int) -> Batch:
        """Return the 64 images of one block (the last one asked for is kept)."""
        return _make_block(_Key(self), block)

    def scene(self, block: int) -> tuple[np.ndarray, Skies, Scene]:
        """Return the families, the skies and the scene of one block."""
        # the same sources for every survey: the sky has a random stream of its own
        sky = np.random.Generator(np.random.SFC64(derive_seed(self.seed, self.name, "sky", block)))
        place = (sky.permutation(BLOCK) + sky.random(BLOCK)) / BLOCK
        family_N = np.searchsorted(np.cumsum(self.weight_F), place * self.weight_F.sum(), side="right")
        family_N = np.minimum(family_N, np.flatnonzero(self.weight_F)[-1])
        survey = self.survey
        skies = make_skies(family_N, self.priors, sky, size_scale=survey.size_scale, flux_scale=survey.flux_scale)
        seen = np.random.Generator(np.random.SFC64(derive_seed(self.seed, self.name, "survey", block)))
        return family_N, skies, make_scene(skies, survey, self.priors.companions, self.field_px, seen)

    def component_maps(self, start: int, n: int) -> np.ndarray:
        """Return noiseless maps of core, jets, lobes and hot spots, (N, 4, H, W) in mJy/beam, in the images' places."""
        parts = []
        for block in range(start // BLOCK, (start + n - 1) // BLOCK + 1):
            maps = component_maps(self.scene(block)[2], self.survey, self.size_px)
            parts.append(maps[max(start - block * BLOCK, 0) : min(start + n - block * BLOCK, BLOCK)])
        return np.concatenate(parts)

    def image_set(self, n: int, start: int = 0, name: str | None = None) -> ImageSet:
        """Return ``n`` sources from ``start`` on as an ImageSet, whose table is the truth."""
        batch = self.batch(start, n)
        name = self.name if name is None else name
        return ImageSet(
            name=name,
            image_NHW=batch.image_NHW,
            label_N=batch.label_N,
            source_id_N=np.array([f"{name}_s{self.seed}_{i:07d}" for i in range(start, start + n)]),
            class_names=self.class_names,
            pixel_scale_arcsec=self.survey.pixel_scale_arcsec,
            table=batch.table,
            recipe=f"{self.recipe} from {start} n={n}",
            of_sky=False,
        )


class _Key:
    """A stream as a key of the cache: equal recipes make equal images."""

    def __init__(self, stream: SourceStream) -> None:
        self.stream = stream

    def __hash__(self) -> int:
        return hash(self.stream.recipe)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.stream.recipe == self.stream.recipe


@lru_cache(maxsize=2)
def _make_block(key: _Key, block: int) -> Batch:
    stream = key.stream
    family_N, skies, scene = stream.scene(block)
    image_NHW, scale_N = finish(scene, stream.survey, stream.size_px, stream.field_px, stream.n_sigma)
    kind_N = stream.priors.class_F[family_N]
    names = np.array(CLASS_NAMES, dtype=object), np.array(stream.priors.families, dtype=object)
    beam = np.array([beam.fwhm_arcsec for beam in survey_beams(stream.survey)], np.float32)
    truth = {
        "index": np.arange(block * BLOCK, (block + 1) * BLOCK),
        "class": names[0][kind_N],
        "family": names[1][family_N],
        **skies.truth,
        "beam_arcsec": beam[scene.beam_N],
        "rms_mjy_per_beam": scene.rms_N,
        "scale_mjy_per_beam": scale_N,
    }
    return Batch(image_NHW, stream.label_F[family_N], truth, block * BLOCK)


def _cut(batch: Batch, part: slice) -> Batch:
    truth = {key: value[part] for key, value in batch.truth.items()}
    return replace(batch, image_NHW=batch.image_NHW[part], label_N=batch.label_N[part], truth=truth,
                   start=batch.start + part.start)  # fmt: skip


def finish(scene: Scene, survey: Survey, size_px: int, field_px: int, n_sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, size, size) uint8 as archives hold them: clipped below n_sigma rms, disk, range to 0..255.

    The disk and the range are those of the field (``field_px``), whose middle the image is. A source that reaches
    beyond the image is rendered in the whole field; of the other sources there only the peaks are. The second array
    (N,) is what 255 means, mJy/beam (0: nothing in the field is above the noise).
    """
    half = size_px / 2
    reach_N = np.maximum(np.abs(scene.x_px_NP), np.abs(scene.y_px_NP))
    large_N = ((reach_N > half) & (scene.flux_NP > 0)).any(1) if size_px < field_px else np.zeros(len(reach_N), bool)
    out, scale_N = np.empty((len(reach_N), size_px, size_px), np.uint8), np.zeros(len(reach_N), np.float32)
    for chosen, size in ((np.flatnonzero(~large_N), size_px), (np.flatnonzero(large_N), field_px)):
        if len(chosen):
            some = _pick(scene, chosen)
            image = render(some, survey, size)
            beyond = _peak_beyond(some, size / 2, field_px / 2) if size < field_px else np.zeros(len(chosen))
            scale_N[chosen] = clip_and_scale(image, CLIPPED * n_sigma * some.rms_N, field_px / 2, beyond)
            first = (size - size_px) // 2
            out[chosen] = image[:, first : first + size_px, first : first + size_px]
    return out, scale_N


def _pick(scene: Scene, chosen: np.ndarray) -> Scene:
    return Scene(**{key: value[chosen] for key, value in vars(scene).items()})


def _peak_beyond(scene: Scene, inner_px: float, outer_px: float) -> np.ndarray:
    """Return the brightest other source of every field that lies outside the image and inside the disk, mJy/beam."""
    x, y = scene.other_x_px_NQ, scene.other_y_px_NQ
    outside = (np.maximum(np.abs(x), np.abs(y)) > inner_px) & (np.hypot(x, y) < outer_px)
    return np.where(outside, scene.other_flux_NQ, 0).max(1, initial=0)


def clip_and_scale(
    image_NHW: np.ndarray, threshold_N: np.ndarray, radius_px: float, beyond_N: np.ndarray
) -> np.ndarray:
    """Clip and mask images in place and scale them to 0..255; return the value (N,) that became 255."""
    axis = np.arange(image_NHW.shape[-1]) - (image_NHW.shape[-1] - 1) / 2
    outside = np.hypot(axis[:, None], axis[None]) > radius_px
    image_NHW[image_NHW <= threshold_N.astype(np.float32)[:, None, None]] = 0
    if outside.any():
        image_NHW[:, outside] = 0
    peak_N = np.maximum(image_NHW.max((1, 2)), beyond_N).astype(np.float32)
    image_NHW /= np.where(peak_N > 0, peak_N, 1)[:, None, None]
    image_NHW *= 255
    return peak_N


def stream_sources(
    survey: str | Survey | Mapping[str, Any] = "FIRST",
    mixture: Mixture | None = None,
    seed: int = 0,
    *,
    size_px: int = 81,
    field_px: int | None = None,
    n_sigma: float = 3.0,
    priors: Overlay | None = None,
    labels: Labels | None = None,
    name: str = "synthetic_radio",
) -> SourceStream:
    """Return the endless stream of simulated sources of one survey, mixture and seed.

    Parameters
    ----------
    survey : a name of :func:`list_surveys`, a :class:`Survey`, or ``{name: ..., option: value}``.
    mixture : weight of each class or family, as in ``{"FRI": 1, "bent_wide": 0.5}``; None: all labels alike.
    labels : classes in the order of their labels, or ``{"FRI": ["FRI", "bent"], "FRII": ["FRII"]}``
        (:func:`~equirgz.data.simulate.mixture.make_mixture`); None: the classes of the mixture. Others get -1.
    size_px : side of the images; ``field_px`` (None: 150, or more for larger images) of the field whose disk and
        range the recipe takes, as MiraBest's.
    n_sigma : pixels at or below n_sigma times the rms become 0.
    priors : other numbers for some quantities, ``{family or class or "all": {quantity: numbers}}``.
    name : of the stream; another name gives other sources.

    Raises InputError for unknown names and options outside their physical range.
    """
    if isinstance(survey, Mapping):
        options = dict(survey)
        chosen = get_survey(str(options.pop("name", "FIRST")), **options)
    else:
        chosen = survey if isinstance(survey, Survey) else get_survey(survey)
    field = max(150, size_px) if field_px is None else field_px
    require(isinstance(size_px, int) and 8 <= size_px <= 1024, "size_px", expected="8 to 1024 pixels", got=size_px)
    require(
        isinstance(field, int) and size_px <= field <= 1024, "field_px", expected=f"{size_px} to 1024 pixels", got=field
    )
    require(0 <= n_sigma <= 100, "n_sigma", expected="0 to 100", got=n_sigma)
    table = load_priors(priors)
    weight_F, label_F, class_names = make_mixture(table, mixture, labels)
    made_of = content_hash({
        "numbers": {key: value.tolist() for key, value in table.numbers.items()},
        "weights": weight_F.tolist(), "labels": label_F.tolist(), "companions": table.companions,
    })  # fmt: skip
    seen_by = recipe_text("Survey", chosen)
    recipe = (
        f"{name} v{SKY_VERSION} seed={seed} {seen_by} {class_names} {size_px} of {field} px {n_sigma:g} sigma {made_of}"
    )
    return SourceStream(
        chosen, table, weight_F, label_F, class_names, int(seed), size_px, field, float(n_sigma), name, recipe
    )
