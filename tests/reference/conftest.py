"""Fixtures of the parity tests. Nothing here is skipped: without the libraries the run fails."""

from __future__ import annotations

import pytest
import torch

from equirgz.backbones.reference import load_engine
from equirgz.backbones.reference.engines import ENGINES, Engine


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each reference library in turn."""
    return load_engine(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
