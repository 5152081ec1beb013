"""What the package itself answers with."""

from __future__ import annotations

import numpy as np
import pytest

import equirgz
from equirgz.answers.classify_images import load_model
from equirgz.answers.source_model import SourceModel
from equirgz.pretrained import WEIGHTS, find_classifier, list_classifiers


@pytest.mark.parametrize("name", list_classifiers())
def test_every_shipped_model_loads_and_has_a_card(name):
    model = SourceModel.load(name)
    card = find_classifier(name).with_suffix(".md").read_text()
    assert model.facts["name"] == name and f"# {name}" in card and "Nothing is told of a source" in card
    assert set(model.number_names) == {"las_arcsec", "core_share", "bending_deg"}


def test_all_of_them_weigh_little():
    assert list_classifiers() and sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) < 16e6


def test_simulated_sources_of_first_are_told_apart_without_training(sources):
    """Sources that it has not seen: half of the errors that chance makes would be 25 %, it makes about 5."""
    assert {load_model("auto", beam).facts["name"] for beam in (5.4, None)} == {"radio_d4_small"}
    few = sources.subset(np.arange(96))
    table = equirgz.classify(few, beam_arcsec=5.4, turns=1)
    told = ~table["cannot_tell"].to_numpy()
    wrong = table["class"].to_numpy() != np.array(few.class_names)[few.label_N]
    assert told.mean() > 0.7 and wrong[told].mean() < 0.25
    ratio = np.median(table["las_arcsec"] / few.table["las_arcsec"].to_numpy())
    assert 0.5 < ratio < 1.5
