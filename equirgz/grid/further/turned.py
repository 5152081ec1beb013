"""Single sources, and attention, as the sources turn. Legend: N sources."""

from __future__ import annotations

import numpy as np
import torch

from equirgz.evaluate.attention_turns import attention_error
from equirgz.evaluate.rotation import make_angles
from equirgz.evaluate.turned_samples import rotation_samples, source_rows
from equirgz.grid.further.answers import Answers, Rows, make_row

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
