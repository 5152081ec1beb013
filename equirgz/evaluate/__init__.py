"""Evaluation of trained networks: predictions, embeddings, probes, rotation, equivariance.

Everything here reads a network and arrays and gives arrays; how the network was trained is not its
business, and it never imports the trainer.
"""

from __future__ import annotations

from equirgz.evaluate.equivariance import equivariance_error, make_smooth_images
from equirgz.evaluate.predict import embed, predict, predict_samples
from equirgz.evaluate.probe import choose_penalty, knn, linear_probe
from equirgz.evaluate.rotation import rotation_curve, rotation_rows

__all__ = [
    "choose_penalty",
    "embed",
    "equivariance_error",
    "knn",
    "linear_probe",
    "make_smooth_images",
    "predict",
    "predict_samples",
    "rotation_curve",
    "rotation_rows",
]
