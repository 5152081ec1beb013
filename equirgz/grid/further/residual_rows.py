"""What is left of features and of pixels once the class is known, read off by probes. Legend: N sources, F features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from equirgz.data import ImageSet
from equirgz.grid.further.answers import Answers, Rows, make_row
from equirgz.residual.beside_control import leave_class_out, measure_left

#: columns of a set's table that are read off where they are there, and as what
HIDDEN: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "log_size": ("las_arcsec", np.log),
    "log_flux": ("flux_mjy", np.log),
    "bending": ("bending_deg", np.asarray),
    "bent": ("bending_deg", lambda angle_N: angle_N > 45),  # strangers
    "hue_cos": ("hue_deg", lambda angle_N: np.cos(np.deg2rad(angle_N))),
    "hue_sin": ("hue_deg", lambda angle_N: np.sin(np.deg2rad(angle_N))),
}


def residual_rows(answers: Answers) -> Rows:
    """Return the rows of the test set, read-out ``features``, and ``pixels`` of the images as they are.

    ``residual/KIND/COLUMN/HOW``: what probes read of the class and of hidden columns (:func:`measure_left`), HOW among
    the latents, their residuals, and the control told a shuffled class (:func:`leave_class_out`), beside
    ``residual/chance/COLUMN``; ``residual/round_trip/HOW`` is how far latents come back from where they were. The flow
    is fitted on the labelled training sources; probes see test sources out of fold.
    """
    train, test = answers.sets["train"], answers.sets["test"]
    columns, rows = {"class": test.label_N, **hidden_columns(test)}, []
    held = {"features": answers.feature_NF("test"), "pixels": flatten(test)}
    for readout, fitted_NF in {"features": answers.feature_NF("train"), "pixels": flatten(train)}.items():
        both, found = ((fitted_NF, train.label_N), (held[readout], test.label_N)), {}
        for left in leave_class_out(*both, seed=answers.run.config.seed):
            found |= measure_left(left, columns)
        made = [make_row("test", f"residual/{name}", value, len(test)) for name, value in found.items()]
        rows += [row | {"readout": readout} for row in made]
    return rows


def flatten(images: ImageSet) -> np.ndarray:
    """Return the pixels of each source as its features (N, F)."""
    return images.x_NCHW.reshape(len(images), -1)


def hidden_columns(images: ImageSet) -> dict[str, np.ndarray]:
    """Return the hidden columns that the set's table has, by name."""
    there = {name: how for name, how in HIDDEN.items() if how[0] in images.table}
    return {name: change(images.table[column].to_numpy(np.float64)) for name, (column, change) in there.items()}
