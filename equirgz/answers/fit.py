"""From an encoder to a model that answers: read-outs of frozen features, temperature, references, intervals.

Legend: N sources, F features, E regressors, K classes, T numbers, B bins, V folds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from equirgz.answers.linear_readouts import (
    BINS,
    LEVELS,
    NEIGHBOURS,
    NUMBERS,
    ClassReadOut,
    NumberReadOut,
    Reference,
    nearest,
)
from equirgz.answers.rules import RULE
from equirgz.answers.source_model import TURNS, Sky, SourceModel
from equirgz.data.imageset import ImageSet
from equirgz.data.overlap.groups import find_own_groups
from equirgz.errors import InputError
from equirgz.evaluate.probe import choose_penalty, fit_logistic
from equirgz.metrics.calibration.temperature_scaling import fit_temperature
from equirgz.metrics.check import UndefinedMetricError

FOLDS = 5
LIMIT = 0.99  # share of a kind's own sources that lie within the limit
RIDGE = 10.0
N_SEEN = 1500  # simulated sources that are kept as reference
MIN_REAL = 100  # real sources with a number, for residuals of their own


def fit_source_model(
    encoder: nn.Module,
    sky: Sky,
    preprocessing: dict[str, Any],
    simulated: ImageSet,
    labelled: ImageSet | None = None,
    *,
    turns: int = TURNS,
    seed: int = 0,
    facts: dict[str, Any] | None = None,
) -> SourceModel:
    """Return a model whose classes are learnt on ``labelled`` sources, or, without any, on simulated ones.

    Parameters
    ----------
    encoder : stays as it is.
    sky, preprocessing : what the images show, and how they come to the encoder (``encoder.facts["preprocessing"]``).
    simulated : images of the whole field with their truth (``las_arcsec``, ``core_share``, ``bending_deg``): numbers
        are fitted on the first two thirds, and their intervals measured on the last, or on what ``labelled`` knows.
    labelled : real sources, images of the whole field. The penalty is chosen by cross-validation inside the fitting
        sources; the temperature is fitted on logits of read-outs that 5 folds gave, each without the sources that it
        answers for. Images of one source stay in one fold.
    turns : of every image that are averaged.

    Raises InputError where a class has fewer sources than there are folds.
    """
    blank = SourceModel(encoder.eval(), sky, preprocessing, simulated.class_names, _no_classes()).rounded()
    h_sim_NF = blank.features(simulated, turns)
    sources, h_NF = (simulated, h_sim_NF) if labelled is None else (labelled, blank.features(labelled, turns))
    if (sources.label_N < 0).any():
        raise InputError(f"{sources.name}: labels", expected="a class of every source", got="some without")
    classes, fold_N = fit_classes(h_NF, sources.label_N, find_own_groups(sources), seed=seed)
    names = tuple(name for name in NUMBERS if name in simulated.table)
    regressors = [np.concatenate([h_sim_NF, blank.measure(simulated)], 1), simulated.table]
    seen = None
    if labelled is not None:
        regressors += [np.concatenate([h_NF, blank.measure(labelled)], 1), labelled.table]
        seen = {"name": labelled.source_id_N.tolist(), "label": labelled.label_N.tolist(), "fold": fold_N.tolist()}
    return SourceModel(
        blank.encoder,
        sky,
        preprocessing,
        sources.class_names,
        classes,
        names,
        fit_numbers(*regressors),
        None if labelled is None else fit_reference(h_NF),
        fit_reference(h_sim_NF[:N_SEEN]),
        seen,
        dict(RULE),
        {
            **(facts or {}),
            "turns": turns,
            "labelled": sources.name,
            "n_labelled": len(sources),
            "n_simulated": len(simulated),
        },
    )


def _no_classes() -> ClassReadOut:
    empty = np.zeros((0, 0))
    return ClassReadOut(empty, np.zeros(0), np.ones(()), empty[None], empty)


def find_folds(label_N: np.ndarray, group_N: np.ndarray | None, n_folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Return the fold of every source: classes alike in all, and groups (images of one source) never divided."""
    from sklearn.model_selection import StratifiedGroupKFold

    rarest = int(np.bincount(label_N).min())
    if rarest < n_folds:
        mend = "give more labels, or leave the class out"
        raise InputError("labels", expected=f"{n_folds} or more sources of every class", got=rarest, mend=mend)
    groups_N = np.arange(len(label_N)) if group_N is None else group_N
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    fold_N = np.empty(len(label_N), int)
    for fold, (_, out) in enumerate(folds.split(label_N, label_N, groups_N)):
        fold_N[out] = fold
    return fold_N


def fit_classes(
    h_NF: np.ndarray, label_N: np.ndarray, group_N: np.ndarray | None = None, *, seed: int = 0, n_folds: int = FOLDS
) -> tuple[ClassReadOut, np.ndarray]:
    """Return the read-out of all sources, with the temperature of out-of-fold logits, and fold_N."""
    fold_N = find_folds(label_N, group_N, n_folds, seed)

    def fit(chosen_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        penalty = choose_penalty(h_NF[chosen_N], label_N[chosen_N]).inverse_penalty
        return fit_logistic(h_NF[chosen_N], label_N[chosen_N], penalty)

    weights, biases = zip(*(fit(fold_N != fold) for fold in range(n_folds)), strict=True)
    whole = ClassReadOut(*fit(np.ones(len(h_NF), bool)), np.ones(()), np.stack(weights), np.stack(biases))
    logits_NK = np.log(np.maximum(whole.out_of_fold(h_NF, fold_N), 1e-12))
    try:
        temperature = fit_temperature(logits_NK, label_N).value
    except UndefinedMetricError:  # every source right, or none better than chance: no temperature is best
        temperature = 1.0
    arrays = whole.arrays() | {"temperature": np.array(temperature)}
    return ClassReadOut.of(arrays), fold_N


def fit_numbers(
    regressor_NE: np.ndarray, truth: pd.DataFrame, real_NE: np.ndarray | None = None, real: pd.DataFrame | None = None
) -> NumberReadOut:
    """Return ridge regressions of the first two thirds with the quantiles of the residuals of the last third.

    Where ``real`` sources have a number, their residuals count in place of those of simulated ones: what is answered
    is then what their catalogue calls by that name.
    """
    known_NE = np.isfinite(regressor_NE)
    fill_E = np.where(known_NE, regressor_NE, 0).sum(0) / np.maximum(known_NE.sum(0), 1)
    regressor_NE = np.where(np.isnan(regressor_NE), fill_E, regressor_NE)
    n_fit = 2 * len(regressor_NE) // 3
    weights, biases, tables = [], [], []
    for name in (name for name in NUMBERS if name in truth):
        transform = NUMBERS[name][1]
        target_N = transform(truth[name].to_numpy(float))
        weight_E, bias = _ridge(regressor_NE[:n_fit], target_N[:n_fit])
        weights.append(weight_E)
        biases.append(bias)
        judge_NE, true_N = regressor_NE[n_fit:], target_N[n_fit:]
        if real is not None and name in real and (real[name] > 0).sum() >= MIN_REAL:
            judge_NE, true_N = np.where(np.isnan(real_NE), fill_E, real_NE), _known(real[name], transform)
        predicted_N = judge_NE @ weight_E + bias
        tables.append(_residual_quantiles(predicted_N, true_N - predicted_N))
    return NumberReadOut(fill_E, np.stack(weights), np.array(biases), *map(np.stack, zip(*tables, strict=True)))


def _known(value: pd.Series, transform: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    value_N = value.to_numpy(float)
    return np.where(value_N > 0, transform(np.where(value_N > 0, value_N, 1.0)), np.nan)


def _ridge(regressor_NE: np.ndarray, target_N: np.ndarray) -> tuple[np.ndarray, float]:
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    known_N = np.isfinite(target_N)
    scaler = StandardScaler().fit(regressor_NE[known_N])
    model = Ridge(alpha=RIDGE).fit(scaler.transform(regressor_NE[known_N]), target_N[known_N])
    weight_E = model.coef_ / scaler.scale_
    return weight_E, float(model.intercept_ - weight_E @ scaler.mean_)


def _residual_quantiles(predicted_N: np.ndarray, residual_N: np.ndarray) -> tuple[np.ndarray, ...]:
    known_N = np.isfinite(residual_N)
    predicted_N, residual_N = predicted_N[known_N], residual_N[known_N]
    edges = np.quantile(predicted_N, np.linspace(0, 1, BINS + 1))
    bin_N = np.clip(np.searchsorted(edges, predicted_N, "right") - 1, 0, BINS - 1)
    parts = [np.flatnonzero(bin_N == b) if (bin_N == b).any() else np.arange(len(bin_N)) for b in range(BINS)]
    ends = np.array([np.quantile(residual_N[part], LEVELS) for part in parts])
    return np.array([np.median(predicted_N[part]) for part in parts]), *ends.T


def fit_reference(h_NF: np.ndarray) -> Reference:
    """Return whitened features with the limit that 1 % of the sources exceed when compared with all others.

    Directions with less than 1e-6 of the largest variance are left out of the comparison.
    """
    centre_F = h_NF.mean(0)
    value_F, vector_FF = np.linalg.eigh(np.cov(h_NF.T))
    kept_F = value_F > 1e-6 * value_F.max()
    whiten_FF = vector_FF * np.where(kept_F, 1 / np.sqrt(np.where(kept_F, value_F, 1)), 0)
    seen_MF = ((h_NF - centre_F) @ whiten_FF).astype(np.float16).astype(float)  # as they are kept
    _, distance_Nk = nearest(seen_MF, seen_MF, NEIGHBOURS, same=True)
    return Reference(centre_F, whiten_FF, seen_MF, np.array(np.quantile(distance_Nk.mean(1), LIMIT)))


def out_of_fold(model: SourceModel, images: ImageSet, turns: int = TURNS) -> np.ndarray:
    """Return probability_NK of sources that the model was fitted on, each by the read-out that left its fold out.

    Sources that it has not seen are answered by the whole. Raises nothing: names decide.
    """
    h_NF, by_name = model.features(images, turns), model.seen_by_name()
    place_N = np.array([by_name.get(name, -1) for name in images.source_id_N])
    p_NK = model.classes.probability(h_NF)
    known_N = place_N >= 0
    if known_N.any():
        fold_N = np.asarray(model.seen["fold"])[place_N[known_N]]
        p_NK[known_N] = model.classes.out_of_fold(h_NF[known_N], fold_N)
    return p_NK
