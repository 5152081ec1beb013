"""Probes: what the features of a network know, read out with the labelled sources alone.

Legend: N sources, F features.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from equirgz.data import ImageSet
from equirgz.evaluate import choose_penalty, embed
from equirgz.evaluate.probe import Penalty
from equirgz.evaluate.read_out import read_out
from equirgz.grid.run.blocks import Block
from equirgz.grid.run.prepare import make_backbone
from equirgz.grid.run.trained import Rows, TrainedRun, make_block
from equirgz.records import finite_or_none
from equirgz.train.batch_norm import settle_batch_norm

logger = logging.getLogger("equirgz")
PROBES = ("probe", "knn", "linear_probe")
UNTRAINED = "untrained_probe"  # the read-out ``probe`` of the network as it was before any training


def read_out_features(run: TrainedRun, plain: ImageSet, *, unsupervised: bool) -> tuple[list[Block], Rows, list[str]]:
    """Return the blocks of the probes asked for, rows on how they were chosen, and lines of warning.

    With the read-out ``probe`` and features ``unsupervised``, learnt without labels: batch norm is settled in place
    on ``plain`` images, unless ``evaluation.settle_batch_norm`` is off, and the untrained network of the same seed
    is read out likewise, as ``untrained_probe``. A line warns where its features tell the labelled sources'
    classes as well, by the nll of the sources left out in turn (:func:`equirgz.evaluate.choose_penalty`): no test
    source is looked at.
    """
    wanted = [name for name in run.config.evaluation.readouts if name in PROBES]
    if not wanted:
        return [], [], []
    careful = "probe" in wanted and unsupervised
    settle = careful and run.config.evaluation.settle_batch_norm
    if settle:
        settle_batch_norm(run.backbone, plain.x_NCHW)
    feature = _embed(run, run.backbone)
    blocks, rows, chosen = [], [], {}
    for name in wanted:
        found, chosen[name] = _read_out(run, name, feature)
        blocks += found
    if careful:
        device = next(run.backbone.parameters()).device
        untrained = make_backbone(run.config, run.backbone.in_channels).to(device)
        if settle:
            settle_batch_norm(untrained, plain.x_NCHW)
        found, chosen[UNTRAINED] = _read_out(run, UNTRAINED, _embed(run, untrained))
        blocks += found
    for name, penalty in chosen.items():
        rows += [] if penalty is None else _penalty_rows(name, penalty, len(run.labelled))
    return blocks, rows, _compare(chosen.get("probe"), chosen.get(UNTRAINED))


def _embed(run: TrainedRun, backbone: Any) -> dict[str, np.ndarray]:
    sets = {"labelled": run.labelled, **run.eval_sets}
    return {name: embed(backbone, images.x_NCHW, run.batch_size) for name, images in sets.items()}


def _read_out(run: TrainedRun, name: str, feature: dict[str, np.ndarray]) -> tuple[list[Block], Penalty | None]:
    """Return one probe's blocks, a split each, and the penalty that it chose, if it did."""
    h_NF, target_N, penalty = feature["labelled"], run.task.targets(run.labelled), None
    kind = "knn" if name == "knn" else "linear_probe"
    options = {"inverse_penalty": 1.0} if run.task.categorical and kind == "linear_probe" else {}
    if name in ("probe", UNTRAINED) and run.task.categorical:
        options["inverse_penalty"] = run.config.evaluation.probe_penalty
        if options["inverse_penalty"] == "cv":
            penalty = choose_penalty(h_NF, target_N)
            options["inverse_penalty"] = penalty.inverse_penalty
    answers = {split: read_out(kind, run.task, h_NF, target_N, feature[split], **options) for split in run.eval_sets}
    return [make_block(run, name, split, answer_N) for split, answer_N in answers.items()], penalty


def _penalty_rows(readout: str, penalty: Penalty, n: int) -> Rows:
    found = (
        ("inverse_penalty", penalty.inverse_penalty, "1", "none"),
        ("nll", penalty.nll, "nat", "lower"),
        ("error", 100 * penalty.error, "%", "lower"),
    )
    common = {"readout": readout, "split": "train", "n": n}
    return [
        {**common, "metric": f"probe/{name}", "unit": unit, "direction": direction, "value": finite_or_none(value)}
        for name, value, unit, direction in found
    ]


def _compare(probe: Penalty | None, untrained: Penalty | None) -> list[str]:
    if probe is None or untrained is None or not probe.nll >= untrained.nll:
        return []
    line = (
        "features learnt without labels lose to the untrained network on labelled sources left out in turn: "
        f"nll {probe.nll:.3f} and {untrained.nll:.3f} nat, error {probe.error:.3f} and {untrained.error:.3f}; look at "
        "the views (equirgz views), the rank of the features and the number of updates"
    )
    logger.warning(line)
    return [line]
