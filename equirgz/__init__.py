"""equirgz: rotation-aware image backbones on radio galaxies, compared fairly.

The names below are the public interface; each is imported on first use, so that ``import equirgz``
costs no import of torch.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036  # of a copy that pip, which would refuse, did not install
    raise ImportError("equirgz: expected Python 3.11 or newer, got {}.{}; install it there".format(*sys.version_info))

__version__ = "0.1.0.dev0"

_EXPORTS = {
    "create_backbone": "equirgz.backbones",
    "list_backbones": "equirgz.backbones",
    "load_encoder": "equirgz.backbones",
    "save_encoder": "equirgz.backbones",
    "load_pretrained": "equirgz.backbones",
    "list_pretrained": "equirgz.pretrained",
    "load_data": "equirgz.data",
    "load_results": "equirgz.report",
    "EquirgzClassifier": "equirgz.train.estimators.classifier",
    "EquirgzRegressor": "equirgz.train.estimators.regressor",
    "finetune": "equirgz.train.estimators.classifier",
    "classify": "equirgz.answers.classify_images",
}
__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        try:
            return getattr(importlib.import_module(_EXPORTS[name]), name)
        except ModuleNotFoundError as error:
            from equirgz.errors import explain_import

            told = explain_import(error, f"equirgz.{name}")
            if told is None:
                raise
            raise told from error
    raise AttributeError(f"module 'equirgz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
