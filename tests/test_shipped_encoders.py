"""The encoders that come with the package are what their cards say."""

from __future__ import annotations

import re

import pytest
import torch

import equirgz
from benchmarks.encoders.__main__ import ENCODERS, HERE
from equirgz.answers.classify_images import load_model
from equirgz.evaluate import equivariance_error
from equirgz.pretrained import WEIGHTS, find_weights, read_card, read_description

NAMES = equirgz.list_pretrained()


def test_there_are_some_and_all_have_a_command_that_makes_them():
    assert "radio_d4_small" in NAMES
    assert set(NAMES) <= set(ENCODERS)


def test_all_files_together_weigh_less_than_16_mb():
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) < 16e6


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_its_card_says(name):
    encoder, card = equirgz.load_pretrained(name), read_card(name)
    assert sum(p.numel() for p in encoder.parameters()) == read_description(name)["facts"]["parameters"]
    assert f"python -m benchmarks.encoders {name}`" in card and f"group {encoder.config['group']}," in card
    size = encoder.config["image_size"]
    x = torch.rand(4, 1, size, size, generator=torch.Generator().manual_seed(0))
    rows = equivariance_error(encoder, x, (90.0,), reflect=(False, True))
    assert max(row["relative_l2"] for row in rows if row["what"] == "features") < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_what_classify_reads_is_made_of_it(name):
    facts = load_model(name).facts
    assert facts["encoder"] == name


def test_fifty_labels_give_the_error_of_the_card(data_root):
    from benchmarks.encoders.measure import measure_encoder
    from equirgz.config import load_yaml, parse_run

    name = "radio_d4_small"
    config = parse_run(load_yaml(HERE / "radio.yaml"), name)
    rows = measure_encoder(find_weights(name), config, data_root, label_counts=(50,))
    error = next(row["value"] for row in rows if row["metric"] == "error/rate" and row["labels"] == 50)
    written = re.search(r"104 test sources \| 50 \| error/rate \| ([\d.]+)", read_card(name))
    assert error == pytest.approx(float(written[1]), abs=0.3)
    assert error < 12  # an untrained network's features err on more than 20 %
