"""Fair matching: the width at which two networks cost the same."""

import time

import pytest
import torch

from equirgz import create_backbone, list_backbones
from equirgz.backbones import BACKBONES, measure_cost
from equirgz.backbones.match import _cost
from equirgz.errors import InputError

KEY = {"params": "parameters", "flops": "multiply_adds", "activations": "activation_bytes"}


def cost(backbone, quantity):
    return measure_cost(backbone)[KEY[quantity]]


@pytest.mark.parametrize("quantity", ["params", "flops", "activations"])
@pytest.mark.parametrize(
    ("name", "group", "target"),
    [
        ("steerable_lenet", "C2", "lenet"),
        ("steerable_cnn", "C4", "attention_lenet"),
        ("steerable_cnn", "D2", "steerable_cnn"),
        ("steerable_transformer", "C4", "steerable_cnn"),
    ],
)
def test_matched_within_a_quarter(name, group, target, quantity):
    goal = cost(create_backbone(target, "D4" if target.startswith("steer") else "C1", image_size=33), quantity)
    try:
        matched = create_backbone(name, group, image_size=33, match=f"{quantity}:{target}")
    except InputError as refused:
        pytest.fail(str(refused))
    assert abs(cost(matched, quantity) - goal) <= 0.25 * goal


def test_a_number_is_a_target_and_the_nearest_width_is_taken():
    matched = create_backbone("steerable_lenet", "C4", image_size=33, match="params:20_000")
    width = matched.config["width"]
    reached = cost(matched, "params")
    assert abs(reached - 20_000) < 5_000
    for other in (0.97 * width, 1.03 * width, 0.9 * width, 1.1 * width):
        near = cost(create_backbone("steerable_lenet", "C4", image_size=33, width=other), "params")
        assert abs(near - 20_000) >= abs(reached - 20_000)


def test_matching_itself_gives_itself():
    plain = create_backbone("lenet", image_size=33)
    assert cost(create_backbone("lenet", image_size=33, match="params:lenet"), "params") == cost(plain, "params")


@pytest.mark.parametrize("name", list_backbones())
def test_costs_of_trial_networks_are_those_of_real_ones(name):
    arguments = {"width": 0.5, "image_size": 33}
    real = measure_cost(BACKBONES.create(name, **arguments))
    assert {key: _cost(name, key, arguments) for key in real} == real


def test_matching_draws_no_random_numbers():
    """One seed gives one network, whether its width is told or matched."""
    torch.manual_seed(0)
    matched = create_backbone("steerable_cnn", "D4", image_size=33, match="flops:lenet")
    torch.manual_seed(0)
    told = create_backbone("steerable_cnn", "D4", image_size=33, width=matched.config["width"])
    assert all(torch.equal(a, b) for a, b in zip(matched.parameters(), told.parameters(), strict=True))


@pytest.mark.parametrize("name", ["steerable_cnn", "steerable_resnet18", "steerable_transformer"])
@pytest.mark.parametrize("quantity", ["params", "flops"])
def test_targets_out_of_reach_are_refused_without_building_giants(name, quantity):
    start = time.process_time()
    with pytest.raises(InputError, match="does not reach at any width below 64; choose a smaller target"):
        create_backbone(name, "D8", image_size=65, match=f"{quantity}:1000000000000000")
    assert time.process_time() - start < 20


def test_the_config_rebuilds_the_matched_network_without_matching():
    matched = create_backbone("steerable_cnn", "C4", image_size=33, match="params:30000")
    assert "match" not in matched.config
    assert measure_cost(create_backbone(**matched.config)) == measure_cost(matched)


def test_options_of_the_backbone_count():
    """The target is met with the depth, kernel or fields that were asked for."""
    for depth in (1, 3):
        matched = create_backbone("steerable_transformer", "C2", image_size=33, match="params:40000", depth=depth)
        assert abs(cost(matched, "params") - 40_000) <= 10_000
        assert len(matched.transformer) == depth


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ("parms:lenet", "did you mean 'params'"),
        ("params:lennet", "did you mean 'lenet'"),
        ("params", "expected QUANTITY:TARGET"),
        ("params:", "expected QUANTITY:TARGET"),
        ("params:0", "at least 1"),
        ("params:3", "larger target"),
        ("params:999999999999", "smaller target"),
    ],
)
def test_bad_targets(match, message):
    with pytest.raises(InputError, match=message):
        create_backbone("steerable_lenet", "C1", image_size=17, match=match)


def test_width_and_match_exclude_each_other():
    with pytest.raises(InputError, match="width and match"):
        create_backbone("steerable_lenet", "C4", image_size=33, width=1.0, match="params:lenet")
