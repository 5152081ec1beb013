"""What a run measures where ``evaluation.further`` asks: against counts on the stored predictions, and refusals."""

from __future__ import annotations

import typing
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from equirgz.config import RunConfig
from equirgz.config.run import Further
from equirgz.data import load_data
from equirgz.errors import InputError
from equirgz.evaluate import embed
from equirgz.evaluate.anomaly import compute_anomaly
from equirgz.grid.further.anomalies import rate
from equirgz.grid.further.measures import FURTHER
from equirgz.grid.further.needs import OF_ROWS, OF_TASK
from equirgz.grid.further.pruned import free_share
from equirgz.grid.further.turned import turned_query_rows
from equirgz.grid.run.cell import run_cell
from equirgz.records import ROW_COLUMNS

BASE = {
    "data": {"name": "synthetic_fr", "image_size": 17, "params": {"n_train": 40, "n_test": 24},
             "extra_tests": {"noisy": {"name": "synthetic_fr", "n_train": 2, "n_test": 20, "seed": 7}}},
    "backbone": {"name": "steerable_attention", "group": "C4", "width": 0.35},
    "split": {"n_val": 16},
    "train": {"steps": 3, "batch_size": 8},
    "evaluation": {"rotation_angles": 4},
}  # fmt: skip


def make_config(**evaluation) -> RunConfig:
    return RunConfig.model_validate(BASE | {"evaluation": BASE["evaluation"] | evaluation})


@pytest.fixture(scope="module")
def found():
    names = [name for name in FURTHER if name != "pruning" and name not in (*OF_TASK, *OF_ROWS)]
    return run_cell(make_config(further=names), None, None)


def values(result, prefix: str) -> dict[tuple[str, str], float]:
    return {(r["split"], r["metric"]): r["value"] for r in result["rows"] if r["metric"].startswith(prefix)}


def answers(result, split: str) -> tuple[np.ndarray, np.ndarray]:
    block = next(b for b in result["predictions"] if (b["readout"], b["split"]) == ("network", split))
    return np.array(block["probability"]), np.array(block["target"])


def test_the_names_of_the_yaml_are_those_that_can_be_measured():
    assert set(typing.get_args(Further)) == set(FURTHER)


def test_rows_have_the_columns_of_all_rows_and_each_stands_once(found):
    assert all(set(row) == set(ROW_COLUMNS) for row in found["rows"])
    places = [(r["split"], r["readout"], r["metric"], r["angle_deg"]) for r in found["rows"]]
    assert len(set(places)) == len(places)


def test_unset_they_are_no_part_of_a_run_and_change_nothing_else(found):
    plain = make_config()
    assert "further" not in plain.model_dump(mode="json")["evaluation"]
    result = run_cell(plain, None, None)
    told = {(r["split"], r["readout"], r["metric"], r["angle_deg"]): r["value"] for r in found["rows"]}
    for row in result["rows"]:
        assert told[row["split"], row["readout"], row["metric"], row["angle_deg"]] == row["value"]


def test_conformal_sets_are_those_of_the_validation_sources(found):
    (p_val, y_val), (p, y) = answers(found, "val"), answers(found, "test")
    scores = sorted(1 - p_val[np.arange(len(y_val)), y_val])
    limit = scores[int(np.ceil(17 * 0.9)) - 1]
    sets = 1 - p <= limit + 1e-9
    of_test = values(found, "conformal/")
    assert of_test["test", "conformal/coverage"] == pytest.approx(sets[np.arange(len(y)), y].mean())
    assert of_test["test", "conformal/mean_size"] == pytest.approx(sets.sum(1).mean())


def test_class_shares_are_counted_and_sum_to_one(found):
    p, y = answers(found, "test")
    shares = values(found, "class_share/")
    for k, name in enumerate(("FRI", "FRII")):
        assert shares["test", f"class_share/labelled_{name}"] == pytest.approx((y == k).mean())
        assert shares["test", f"class_share/counted_{name}"] == pytest.approx((p.argmax(1) == k).mean())
    for how in ("estimated", "counted", "labelled"):
        total = sum(value for (split, metric), value in shares.items() if split == "test" and f"/{how}_" in metric)
        assert total == pytest.approx(1)


def test_sources_are_right_or_wrong_at_all_angles_or_at_some(found):
    shares = values(found, "rotation/")
    kinds = [shares["test", f"rotation/{kind}"] for kind in ("always_right", "always_wrong", "sometimes_wrong")]
    assert sum(kinds) == pytest.approx(100)
    errors = [r["value"] for r in found["rows"] if r["metric"] == "rotation/error"]
    assert kinds[1] - 1e-9 <= min(errors) and max(errors) <= kinds[1] + kinds[2] + 1e-9


class Told:
    """A run whose encoder is a function of the images: what turned queries need, and nothing else."""

    def __init__(self, encoder, n: int = 20) -> None:
        images = load_data(RunConfig.model_validate(BASE | {"data": BASE["data"] | {"params": {"n_test": n}}}).data)
        self.sets = {"test": images.tests["test"]}
        self.run = SimpleNamespace(backbone=encoder, batch_size=8, config=RunConfig.model_validate(BASE))

    def feature_NF(self, name: str) -> np.ndarray:
        return embed(self.run.backbone, self.sets[name].x_NCHW, 8)


class Moments(torch.nn.Module):
    """Light in rings about the centre (it stays as a source turns) or in columns (it does not)."""

    def __init__(self, rings: bool) -> None:
        super().__init__()
        axis = torch.arange(17.0) - 8
        place = torch.hypot(axis[:, None], axis[None]) if rings else axis[None].expand(17, 17) + 8
        self.register_buffer("weight_FP", torch.stack([torch.exp(-((place - r) ** 2)).ravel() for r in range(9)]))

    def forward(self, x_BCHW):
        return x_BCHW.flatten(1) @ self.weight_FP.T


def test_turned_sources_find_themselves_by_what_turning_keeps():
    rows = [{r["metric"]: r["value"] for r in turned_query_rows(Told(Moments(rings)))} for rings in (True, False)]
    invariant, other = (row["retrieval/turned/recall_at_1"] for row in rows)
    assert invariant > 0.7 and invariant > other + 0.3
    assert rows[0]["retrieval/turned/recall_at_1_chance"] == pytest.approx(1 / 20)
    assert all(row["retrieval/turned/mean_reciprocal_rank"] >= row["retrieval/turned/recall_at_1"] for row in rows)


def test_every_kind_has_rows(found):
    wanted = ("anomaly/found_at_20_rated", "equivariance/attention_1", "cluster/purity", "retrieval/precision_at_5")
    for prefix in (*wanted, "ood/auroc_energy", "ood/auroc_distance", "retrieval/turned/ndcg"):
        assert values(found, prefix), prefix
    chance = values(found, "anomaly/")["noisy_test", "anomaly/found_at_20_chance"]
    assert chance == pytest.approx(20 * 20 / 44)


def test_an_active_search_finds_a_blob_that_the_forest_does_not_rank_first():
    generator = np.random.default_rng(0)
    feature = np.concatenate([generator.normal(0, 1, (80, 2)), generator.normal([1.5, 1.5], 0.1, (12, 2))])
    wanted = np.arange(92) >= 80
    order = rate(feature, wanted, 40)
    assert len(set(order.tolist())) == 40
    assert wanted[order].sum() > wanted[np.argsort(-compute_anomaly(feature))[:40]].sum()


def test_pruning_of_a_variational_network():
    config = make_config(further=["pruning"]).model_dump(mode="json")
    config |= {"objective": {"name": "variational"}, "backbone": {"name": "lenet", "width": 0.5}}
    config["data"] |= {"image_size": 29, "extra_tests": {}}
    found = values(run_cell(RunConfig.model_validate(config), None, None), "pruning/")
    assert len(found) == 3 * (1 + 2 * 2)
    assert all(0 <= v <= 0.95 for (_, metric), v in found.items() if "free_share" in metric)


@pytest.mark.parametrize(
    ("nll", "share"), [([1.0, 1.01, 1.5, 1.0], 0.1), ([1.0, 1.5, 1.0, 1.0], 0.0), ([1.0, 0.9, 0.8, 1.0], 0.3)]
)
def test_the_free_share_ends_at_the_first_rise(nll, share):
    curve = [{"share": 0.1 * i, "nll/mean": value} for i, value in enumerate(nll)]
    assert free_share(curve) == pytest.approx(share)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluation": {"further": ["conformal"]}, "split": {}}, "expected validation sources to fit it on, got none"),
        ({"evaluation": {"further": ["pruning"]}}, "expected weights with a distribution, got supervised"),
    ],
)
def test_what_a_run_lacks_is_said_before_it_trains(change, message):
    with pytest.raises(InputError, match=message):
        run_cell(RunConfig.model_validate(BASE | change), None, None)
