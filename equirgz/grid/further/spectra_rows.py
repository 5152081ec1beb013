"""What an encoder of spectra keeps when another spectrograph sees the same object, beside resampling and PCA.

Legend: N spectra, L pixels, F features.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from equirgz.data.spectra.resampled_pca import ResampledPca, common_range
from equirgz.errors import InputError
from equirgz.evaluate.predict import evaluating
from equirgz.evaluate.read_out import read_out
from equirgz.grid.further.answers import Answers, Rows, make_row
from equirgz.grid.run.blocks import Block, score
from equirgz.objectives.selfsupervised.row_views import hide_spans
from equirgz.retrieval.engine import normalise
from equirgz.retrieval.judge import judge_search
from equirgz.seeding import derive_seed

HIDDEN, SPAN = 0.15, 16  # share of the pixels that a reconstruction does not see, and pixels in a row
N_OBJECTS = 200  # among which an object is looked up
BASELINE = "resampled_pca"
Features = Callable[[str], np.ndarray]


def spectra_rows(answers: Answers) -> Rows:
    """Return the rows of the test sets, whose column ``object`` says which spectra show one object.

    Of each grid: ``spectra/chi2_hidden`` and ``chi2_shown``, the mean of ``w (f - model)^2`` over pixels that the model
    did not see and that it saw, 1 for a perfect model. Of each grid but the first: ``spectra/cosine``, the mean cosine
    of an object's features on this and on the first grid, less the mean of the labelled spectra's; ``cosine_others``,
    that of two objects, which says what the number is worth; ``retrieval/grids/...``, whether an object on the first
    grid is most like itself among 200 on this one. Read-out ``resampled_pca`` has the same rows of as many principal
    components of resampled spectra, learnt from all spectra that the training saw, and the errors of a linear probe.
    """
    sets = answers.sets
    splits = ["test", *answers.others]
    if any("object" not in sets[split].table for split in splits):
        raise InputError("evaluation.further: spectra", expected="test sets with a column object", got="none")
    rows = _reconstruction_rows(answers, splits) if hasattr(answers.run.objective, "reconstruct") else []
    rows += _across_rows(answers, answers.feature_NF, "features")
    seen = [sets["train"], *([] if answers.run.unlabelled is None else [answers.run.unlabelled])]
    n_components = min(answers.feature_NF("train").shape[1], len(sets["train"]) - 1)
    wavelengths = common_range([images.x_NCHW for images in (*seen, *(sets[split] for split in splits))])
    pca = ResampledPca(np.concatenate([images.x_NCHW for images in seen]), n_components, wavelengths)
    component = {name: pca.transform(sets[name].x_NCHW) for name in ("train", *splits)}
    rows += _across_rows(answers, component.__getitem__, BASELINE)
    for split in splits:
        shown_NL, hidden_NL = _hide(sets[split].x_NCHW, split)
        _, chi2_NL = pca.reconstruct(sets[split].x_NCHW, shown_NL)
        rows += _chi2_rows(split, BASELINE, np.isfinite(chi2_NL), chi2_NL, shown_NL, hidden_NL)
        rows += score(_probe(answers, component, split))
    return rows


def _probe(answers: Answers, component: dict[str, np.ndarray], split: str) -> Block:
    task, images = answers.run.task, answers.sets[split]
    target_N = task.targets(answers.sets["train"])
    answer_N = read_out("linear_probe", task, component["train"], target_N, component[split])
    return Block(BASELINE, split, images.source_id_N, task, task.keep(answer_N, task.targets(images)))


def _hide(row_N31L: np.ndarray, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels are shown and which are hidden, (N, L) each; the same for every network."""
    seen_NL = torch.as_tensor(row_N31L[:, 1, 0] > 0)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive_seed(0, "hidden pixels", split))
        hidden_NL = hide_spans(seen_NL, HIDDEN, SPAN)
    return (seen_NL & ~hidden_NL).numpy(), hidden_NL.numpy()


def _reconstruction_rows(answers: Answers, splits: list[str]) -> Rows:
    objective, rows = answers.run.objective, []
    parameter = next(objective.parameters())
    for split in splits:
        x_NCHW = torch.as_tensor(answers.sets[split].x_NCHW).to(parameter)
        shown_NL, hidden_NL = _hide(answers.sets[split].x_NCHW, split)
        shown = torch.as_tensor(shown_NL).to(parameter.device)
        size = answers.run.batch_size
        with evaluating(objective):
            parts = [
                objective.reconstruct(*batch)[1] for batch in zip(x_NCHW.split(size), shown.split(size), strict=True)
            ]
        chi2_NL = torch.cat(parts).double().cpu().numpy()
        rows += _chi2_rows(split, "network", np.ones_like(shown_NL), chi2_NL, shown_NL, hidden_NL)
    return rows


def _chi2_rows(
    split: str, readout: str, inside_NL: np.ndarray, chi2_NL: np.ndarray, shown_NL: np.ndarray, hidden_NL: np.ndarray
) -> Rows:
    rows = []
    for name, which_NL in (("hidden", hidden_NL & inside_NL), ("shown", shown_NL & inside_NL)):
        value = float(chi2_NL[which_NL].mean()) if which_NL.any() else None
        rows.append(make_row(split, f"spectra/chi2_{name}", value, len(chi2_NL)) | {"readout": readout})
    return rows


def _across_rows(answers: Answers, feature: Features, readout: str) -> Rows:
    mean_F, rows = feature("train").mean(0), []
    for split in answers.others:
        first, second = (answers.sets[name].table["object"].astype(str).to_numpy() for name in ("test", split))
        both, first_n, second_n = np.intersect1d(first, second, return_indices=True)
        if len(both) < 2:
            continue
        both, first_n, second_n = both[:N_OBJECTS], first_n[:N_OBJECTS], second_n[:N_OBJECTS]
        query_nF, gallery_nF = feature("test")[first_n] - mean_F, feature(split)[second_n] - mean_F
        cosine_nn = normalise(query_nF) @ normalise(gallery_nF).T
        others = (cosine_nn.sum() - np.trace(cosine_nn)) / (len(both) * (len(both) - 1))
        found = [
            make_row(split, "spectra/cosine", float(np.diag(cosine_nn).mean()), len(both), direction="higher"),
            make_row(split, "spectra/cosine_others", float(others), len(both)),
            make_row(split, "retrieval/grids/recall_at_1_chance", 1 / len(both), len(both)),
        ]
        ids = tuple(answers.sets[name].source_id_N[place] for name, place in (("test", first_n), (split, second_n)))
        for row in judge_search(
            query_nF, gallery_nF, (both, both), ids=ids, ks=(1, min(5, len(both))), prefix="retrieval/grids", n_draws=10
        ):
            del row["low"], row["high"]  # of one network; over seeds the tables have their own
            found.append({"split": split, **row})
        rows += [{**row, "readout": readout} for row in found]
    return rows
