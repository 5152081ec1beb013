"""Evaluation of trained networks: predictions, embeddings, probes, rotation, equivariance.

Everything here reads a network and arrays and gives arrays; how the network was trained is not its
business, and it never imports the trainer.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "predict": "equirgz.evaluate.predict",
    "predict_samples": "equirgz.evaluate.predict",
    "embed": "equirgz.evaluate.predict",
    "linear_probe": "equirgz.evaluate.probe",
    "knn": "equirgz.evaluate.probe",
    "equivariance_error": "equirgz.evaluate.equivariance",
    "make_smooth_images": "equirgz.evaluate.equivariance",
    "rotation_curve": "equirgz.evaluate.rotation",
    "rotation_rows": "equirgz.evaluate.rotation",
}
__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'equirgz.evaluate' has no attribute {name!r}")
