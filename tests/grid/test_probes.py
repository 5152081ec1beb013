"""The read-out ``probe``: beside the untrained network, on settled batch norm, and warned of where it loses."""

import numpy as np
import pytest
import torch

from equirgz.config import RunConfig, parse_run
from equirgz.errors import InputError
from equirgz.evaluate import embed, linear_probe
from equirgz.grid.run.cell import run_cell
from equirgz.grid.run.prepare import make_backbone, prepare_run
from equirgz.grid.run.probes import read_out_features
from equirgz.grid.run.trained import TrainedRun
from equirgz.train import settle_batch_norm

BASE = {
    "data": {"name": "synthetic_fr", "image_size": 17, "params": {"n_train": 60, "n_test": 20}},
    "backbone": {"name": "steerable_cnn", "params": {"fields": [4, 8], "kernel_sizes": [5, 3]}},
    "split": {"n_labels": 30},
    "train": {"steps": 1, "batch_size": 8},
    "evaluation": {"readouts": ["probe", "knn"], "rotation_angles": 1},
}
PRETRAIN = {"objective": {"name": "simclr"}, "train": {"steps": 2, "batch_size": 16, "augmentation": "radio_ssl"}}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_untrained_network_is_read_out_beside_the_pretrained_one():
    config = parse_run({**BASE, "pretrain": PRETRAIN})
    result = run_cell(config, None, None)
    blocks = {block["readout"]: np.array(block["probability"]) for block in result["predictions"]}
    assert set(blocks) == {"probe", "knn", "untrained_probe"}
    run = prepare_run(config)
    untrained = make_backbone(config, 1)
    settle_batch_norm(untrained, run.own_pool.x_NCHW)
    features = [embed(untrained, images.x_NCHW) for images in (run.labelled, run.data.tests["test"])]
    wanted = linear_probe(features[0], run.labelled.label_N, features[1])
    np.testing.assert_allclose(blocks["untrained_probe"], wanted, atol=1e-6)
    assert np.abs(blocks["probe"] - wanted).max() > 1e-3
    rows = {(row["readout"], row["metric"]): row["value"] for row in result["rows"] if row["split"] == "train"}
    assert rows["probe", "probe/inverse_penalty"] > 0 and rows["untrained_probe", "probe/nll"] > 0


def test_with_labels_there_is_nothing_to_compare_or_settle():
    result = run_cell(parse_run(BASE), None, None)
    assert {block["readout"] for block in result["predictions"]} == {"probe", "knn"}
    assert result["training"][0]["warnings"] == []


def test_features_that_lose_to_the_untrained_network_are_warned_of_once():
    config = parse_run({**BASE, "pretrain": PRETRAIN})
    run = prepare_run(config)
    trained = TrainedRun(config, run.task, run.backbone, None, run.labelled, run.eval_sets, 64)
    with torch.no_grad():
        for parameter in run.backbone.parameters():
            parameter.zero_()
    _, _, lines = read_out_features(trained, run.own_pool, unsupervised=True)
    assert len(lines) == 1 and "lose to the untrained network" in lines[0] and "\n" not in lines[0]
    _, _, lines = read_out_features(trained, run.own_pool, unsupervised=False)
    assert lines == []


def test_options_of_the_probe_belong_to_a_run_only_where_they_are_set():
    plain = parse_run(BASE)
    assert "probe_penalty" not in plain.model_dump()["evaluation"]
    fixed = parse_run({**BASE, "evaluation": {**BASE["evaluation"], "probe_penalty": 0.01, "settle_batch_norm": False}})
    assert fixed.run_key() != plain.run_key()
    for config in (plain, fixed):
        assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    with pytest.raises(InputError, match="probe_penalty"):
        parse_run({"evaluation": {"probe_penalty": 0}})
    with pytest.raises(InputError, match="probe_penalty"):
        parse_run({"evaluation": {"probe_penalty": "best"}})
