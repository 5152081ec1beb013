"""Votes of simulated volunteers on several questions, some of them missing: a task for the hybrid objective.

Votes are columns ``vote_Q_A`` of a set's table (question Q, answer A), NaN where a question was not
asked. Legend: N sources, A answers of all questions, K answers of one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.simulate.synthetic import synthetic_fr
from equirgz.errors import InputError
from equirgz.registry import explained_by
from equirgz.seeding import derive_seed

#: raised whenever the same arguments give other votes; part of the checksum
VOTES_VERSION = 1
SIZE_EDGES_ARCSEC = (30.0, 60.0)
QUESTIONS = (2, 3)  # FRI or FRII; below 30, 30 to 60, above 60 arcsec
HARD_ARCSEC = 20.0


def morphology_error(las_arcsec_N: np.ndarray, confusion: float) -> np.ndarray:
    """Return the share of wrong votes on FRI or FRII: ``confusion + (1/2 - confusion) exp(-las / 20 arcsec)``.

    Volunteers guess where a source is not resolved, and err with ``confusion`` where it is large.
    """
    return confusion + (0.5 - confusion) * np.exp(-np.asarray(las_arcsec_N) / HARD_ARCSEC)


def answer_probabilities(truth_N: np.ndarray, error_N: np.ndarray, n_answers: int) -> np.ndarray:
    """Return p_NK: 1 - error for the true answer, the error shared evenly among the others."""
    p_NK = np.repeat((error_N / (n_answers - 1))[:, None], n_answers, 1)
    p_NK[np.arange(len(truth_N)), truth_N] = 1 - error_N
    return p_NK


def cast_votes(p_NK: np.ndarray, mean_votes: float, missing: float, generator: np.random.Generator) -> np.ndarray:
    """Return votes_NK: ``1 + Poisson(mean_votes - 1)`` volunteers each, NaN with probability ``missing``."""
    n_N = 1 + generator.poisson(mean_votes - 1, len(p_NK))
    votes_NK = generator.multinomial(n_N, p_NK).astype(np.float64)
    votes_NK[generator.random(len(p_NK)) < missing] = np.nan
    return votes_NK


def add_votes(images: ImageSet, mean_votes: float, confusion: float, missing: float, seed: int) -> ImageSet:
    """Return simulated FRI and FRII with votes on both questions; their true labels stay."""
    las_N = images.table["las_arcsec"].to_numpy(np.float64)
    truths = (images.label_N, np.digitize(las_N, SIZE_EDGES_ARCSEC))
    errors = (morphology_error(las_N, confusion), np.full(len(las_N), confusion))
    columns = {}
    for q, (n_answers, truth_N, error_N) in enumerate(zip(QUESTIONS, truths, errors, strict=True)):
        generator = np.random.default_rng(derive_seed(seed, images.name, "votes", q))
        votes_NK = cast_votes(answer_probabilities(truth_N, error_N, n_answers), mean_votes, missing, generator)
        columns |= {f"vote_{q}_{a}": votes_NK[:, a] for a in range(n_answers)}
    recipe = f"{images.recipe}|votes v{VOTES_VERSION} {mean_votes} {confusion} {missing} {seed}"
    return replace(images, table=pd.concat([images.table, pd.DataFrame(columns)], axis=1), recipe=recipe)


@DATASETS.register("synthetic_votes")
@explained_by(synthetic_fr)
def synthetic_votes(
    data_dir: Path | None = None,
    /,
    n_train: int = 1000,
    n_test: int = 400,
    n_unlabelled: int = 0,
    seed: int = 0,
    mean_votes: float = 10.0,
    confusion: float = 0.1,
    missing: float = 0.3,
    survey: dict[str, Any] | None = None,
) -> Data:
    """Simulated FRI and FRII (as ``synthetic_fr``) with volunteers' votes on class and angular size.

    Train with ``objective: {name: hybrid, params: {questions: [2, 3]}}``, and the test set is measured against the
    true class; with ``task: {name: votes, params: {questions: [2, 3]}}``, and it is measured against votes.

    Parameters
    ----------
    mean_votes : volunteers that answer each question on average, 1 or more.
    confusion : their least share of wrong answers, 0 to 0.5.
    missing : share of the sources for which a question is missing, 0 <= share < 1.
    """
    if not mean_votes >= 1 or not 0 <= missing < 1 or not 0 <= confusion <= 0.5:
        raise InputError(
            "synthetic_votes",
            expected="mean_votes >= 1, 0 <= missing < 1 and 0 <= confusion <= 0.5",
            got=f"{mean_votes}, {missing} and {confusion}",
        )
    data = synthetic_fr(data_dir, n_train=n_train, n_test=n_test, n_unlabelled=n_unlabelled, seed=seed, survey=survey)
    voted = {
        name: add_votes(images, mean_votes, confusion, missing, seed)
        for name, images in {"train": data.train, **data.tests}.items()
    }
    return Data(voted.pop("train"), voted, data.unlabelled)
