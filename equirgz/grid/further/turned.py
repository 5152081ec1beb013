"""Single sources, queries and attention, as the sources turn. Legend: N sources."""

from __future__ import annotations

import numpy as np
import torch

from equirgz.evaluate import embed
from equirgz.evaluate.attention_turns import attention_error
from equirgz.evaluate.input import as_input
from equirgz.evaluate.rotation import make_angles
from equirgz.evaluate.turned_samples import rotation_samples, source_rows
from equirgz.geometry.action import disk_mask, warp
from equirgz.grid.further.answers import Answers, Rows, make_row
from equirgz.retrieval.judge import judge_search
from equirgz.seeding import derive_seed

N_QUERIES = 3  # turned copies of each test source that are looked up
LEAST_TURN_DEG = 15.0
ATTENTION_ANGLES_DEG = (22.5, 45.0, 90.0)
N_ATTENTION = 32  # test sources on which attention is measured


def source_rotation_rows(answers: Answers) -> Rows:
    """Return the shares of labelled test sources that are right at all angles, wrong at all, and wrong at some; and the
    medians over the sources of what their confidence, entropy and overlap index deviate over the angles."""
    test, known_N = answers.sets["test"], answers.label_N("test") >= 0
    if not known_N.any():
        return []
    angles_deg = make_angles(answers.run.config.evaluation.rotation_angles)
    mask = answers.run.config.data.mask
    turned = rotation_samples(answers.ask, test.x_NCHW[known_N], angles_deg, mask=mask)
    found = source_rows(turned, test.label_N[known_N], test.source_id_N[known_N])
    wrong_N = np.array([row["error_share"] for row in found])
    shares = {"always_right": wrong_N == 0, "always_wrong": wrong_N == 1, "sometimes_wrong": (wrong_N % 1) > 0}
    rows = [make_row("test", f"rotation/{name}", 100 * m.mean(), len(found), "%") for name, m in shares.items()]
    for name, unit in (("confidence", "1"), ("entropy", "nat"), ("overlap", "1")):
        median = float(np.median([row[f"{name}_std"] for row in found]))
        rows.append(make_row("test", f"rotation/{name}_std", median, len(found), unit))
    return rows


def turned_query_rows(answers: Answers) -> Rows:
    """Return how well a turned test source finds itself among all of them: recall at 1 and 5, nDCG, reciprocal rank.

    Every source is turned by three angles of its own, none under 15 degrees from 0, under the shared disk mask, and
    its features are looked up in those of the sources as they are; beside it stands what a random order would find.
    """
    test = answers.sets["test"]
    x_NCHW = as_input(test.x_NCHW).float()
    n = len(x_NCHW)
    disk_HW = disk_mask(x_NCHW.shape[-1], like=x_NCHW) if answers.run.config.data.mask else 1.0
    generator = np.random.default_rng(derive_seed(0, "turned queries"))  # the same turns for every network
    angle_QN = generator.uniform(LEAST_TURN_DEG, 360 - LEAST_TURN_DEG, (N_QUERIES, n)).astype(np.float32)
    run = answers.run
    query_QNF = [
        embed(run.backbone, warp(x_NCHW, torch.as_tensor(angle_N)) * disk_HW, run.batch_size) for angle_N in angle_QN
    ]
    source_N = test.source_id_N
    turned_M = [
        f"{source} turned {angle:.3f} deg"
        for of_turn in angle_QN
        for source, angle in zip(source_N, of_turn, strict=True)
    ]
    found = judge_search(
        np.concatenate(query_QNF), answers.feature_NF("test"), (np.tile(source_N, N_QUERIES), source_N),
        ids=(turned_M, source_N), ks=(1, min(5, n)), prefix="retrieval/turned", n_draws=10,
    )  # fmt: skip
    rows = [{"readout": "features", "split": "test", **row} for row in found]
    for row in rows:
        del row["low"], row["high"]  # of one network; over seeds the tables have their own
    chance = make_row("test", "retrieval/turned/recall_at_1_chance", 1 / n, len(turned_M))
    return [*rows, chance | {"readout": "features"}]


def attention_rows(answers: Answers) -> Rows:
    """Return how far the attention maps of each gate are from turning with the source, by angle; no rows for a network
    without attention, so that a grid may compare it with others."""
    backbone = answers.run.backbone
    if not backbone.attention_maps(torch.as_tensor(answers.sets["test"].x_NCHW[:1]).to(next(backbone.parameters()))):
        return []
    x_NCHW = torch.as_tensor(answers.sets["test"].x_NCHW[:N_ATTENTION]).to(next(backbone.parameters()))
    return [
        make_row("test", f"equivariance/attention_{row['gate'] + 1}_relative_l2", row["relative_l2"], len(x_NCHW))
        | {"direction": "lower", "angle_deg": row["angle_deg"]}
        for row in attention_error(backbone, x_NCHW, ATTENTION_ANGLES_DEG)
    ]
