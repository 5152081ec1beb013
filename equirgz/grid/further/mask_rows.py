"""Masks as the galaxy turns, the lengths and the light of what they show, and single volunteers beside them.

Legend: S samples, N sources, K parts, H W pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import spearmanr

from equirgz.data.preprocess import disk
from equirgz.evaluate.predict import turn_back
from equirgz.evaluate.turned_samples import rotation_samples
from equirgz.grid.further.answers import Answers, Rows, make_row
from equirgz.metrics.masks import count_pixels, intersection_over_union, measure_length

ANGLES_DEG = (22.5, 45.0, 90.0)
POWERS = {"linear": 1, "sqrt": 2}  # that make brightness of stretched pixels


def mask_rows(answers: Answers) -> Rows:
    """Return the rows of the test set.

    ``masks/rotation_error`` per angle: ``|p(x) - g^-1 p(g x)| / |p(x)|`` inside the disk, over all sources. Per part,
    where the set's table has them: from ``PART_length_arcsec`` of the truth Spearman's rho of the lengths of predicted
    masks (0 where none) and the median of their ratio; from ``volunteer_iou_PART``, the mean IoU of single volunteers
    with the truth, its mean over sources and the share of sources where the prediction is nearer; from
    ``majority_iou_PART`` its mean. Of images whose pixels are brightness (``data.stretch`` linear, or sqrt, squared
    again): ``masks/flux_ratio/PART``, the light inside of predicted over that inside of true masks, its median over
    sources that have both, and ``flux_spearman``, the rank correlation of both (0 where nothing is predicted).
    """
    return [*_rotation_rows(answers), *_length_rows(answers), *_volunteer_rows(answers), *_flux_rows(answers)]


def _rotation_rows(answers: Answers) -> Rows:
    x_NCHW = answers.sets["test"].x_NCHW
    inside_HW = disk(x_NCHW.shape[-1])
    p_NKHW, rows = answers.probability_NK("test") * inside_HW, []
    for angle_deg in ANGLES_DEG:
        turned_SN = rotation_samples(answers.ask, x_NCHW, [angle_deg], mask=answers.run.config.data.mask)[0]
        again_NKHW = turn_back(torch.from_numpy(turned_SN), angle_deg).numpy().mean(0) * inside_HW
        scale = np.linalg.norm(p_NKHW)
        error = np.linalg.norm(again_NKHW - p_NKHW) / scale if scale > 0 else None
        rows.append(
            make_row("test", "masks/rotation_error", error, len(x_NCHW), direction="lower") | {"angle_deg": angle_deg}
        )
    return rows


def _length_rows(answers: Answers) -> Rows:
    test, p_NKHW, rows = answers.sets["test"], answers.probability_NK("test"), []
    for k, part in enumerate(answers.run.task.parts):
        column = f"{part}_length_arcsec"
        if column not in test.table:
            continue
        true_N = test.table[column].to_numpy(np.float64)
        has_N = np.isfinite(true_N)
        length_N = test.pixel_scale_arcsec * np.array([measure_length(p_HW >= 0.5) for p_HW in p_NKHW[has_N, k]])
        n, found_N = int(has_N.sum()), length_N > 0
        rho = spearmanr(true_N[has_N], length_N)[0] if n > 2 and np.ptp(length_N) > 0 else None
        ratio = float(np.median((length_N / true_N[has_N])[found_N])) if found_N.any() else None
        rows.append(make_row("test", f"masks/length_spearman/{part}", rho, n, direction="higher"))
        rows.append(make_row("test", f"masks/length_ratio/{part}", ratio, int(found_N.sum())))
    return rows


def _flux_rows(answers: Answers) -> Rows:
    power = POWERS.get(answers.run.config.data.stretch)
    test, p_NKHW, rows = answers.sets["test"], answers.probability_NK("test"), []
    if power is None or test.x_NCHW.shape[1] != 1:
        return rows
    light_NHW = np.clip(test.x_NCHW[:, 0], 0, None).astype(np.float64) ** power
    for k, part in enumerate(answers.run.task.parts):
        inside = (np.nan_to_num(test.map_NKHW[:, k]) >= 0.5, p_NKHW[:, k] >= 0.5)
        true_N, said_N = ((light_NHW * mask_NHW).sum((1, 2)) for mask_NHW in inside)
        has_N = true_N > 0
        true_N, said_N, n = true_N[has_N], said_N[has_N], int(has_N.sum())
        rho = spearmanr(true_N, said_N)[0] if n > 2 and np.ptp(said_N) > 0 else None
        ratio = float(np.median((said_N / true_N)[said_N > 0])) if (said_N > 0).any() else None
        rows.append(make_row("test", f"masks/flux_spearman/{part}", rho, n, direction="higher"))
        rows.append(make_row("test", f"masks/flux_ratio/{part}", ratio, int((said_N > 0).sum())))
    return rows


def _volunteer_rows(answers: Answers) -> Rows:
    test, rows = answers.sets["test"], []
    iou_NK = intersection_over_union(count_pixels(answers.probability_NK("test"), test.map_NKHW))
    for k, part in enumerate(answers.run.task.parts):
        if f"volunteer_iou_{part}" in test.table:
            single_N = test.table[f"volunteer_iou_{part}"].to_numpy(np.float64)
            has_N = np.isfinite(single_N)
            n, nearer_N = int(has_N.sum()), (np.nan_to_num(iou_NK[:, k]) > single_N)[has_N]
            mean = float(single_N[has_N].mean()) if n else None
            share = 100 * float(nearer_N.mean()) if n else None
            rows.append(make_row("test", f"masks/volunteer_iou/{part}", mean, n, direction="higher"))
            rows.append(make_row("test", f"masks/nearer_than_volunteers/{part}", share, n, "%", "higher"))
        if f"majority_iou_{part}" in test.table:
            majority_N = test.table[f"majority_iou_{part}"].dropna().to_numpy(np.float64)
            mean = float(majority_N.mean()) if len(majority_N) else None
            rows.append(make_row("test", f"masks/majority_iou/{part}", mean, len(majority_N), direction="higher"))
    return rows
