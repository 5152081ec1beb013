"""A model small enough to be fitted in seconds, on simulated sources alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import equirgz
from equirgz.answers.fit import fit_source_model
from equirgz.answers.source_model import Sky
from equirgz.data.simulate.stream import stream_sources

STEPS = {"crop": 81, "stretch": "sqrt", "mask": True, "rms": 0.1, "pixel_scale_arcsec": 1.8}


@pytest.fixture(scope="session")
def sources():
    """320 simulated sources of FIRST with their truth, images of 150 px."""
    stream = stream_sources("FIRST", labels={"FRI": ["FRI", "bent"], "FRII": ["FRII"]}, size_px=150, name="tests")
    return stream.image_set(320)


@pytest.fixture(scope="session")
def model(sources):
    """A model of random filters with read-outs: half the sources count as real ones."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        encoder = equirgz.create_backbone("steerable_cnn", group="C4", image_size=33, width=0.5)
        torch.nn.init.normal_(next(encoder.parameters()))
    real, simulated = sources.subset(np.arange(160)), sources.subset(np.arange(160, 320))
    return fit_source_model(encoder, Sky(), STEPS, simulated, real, facts={"name": "tiny"})
