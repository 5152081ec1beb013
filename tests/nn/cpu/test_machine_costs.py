"""Costs of this machine: they choose a way and change no number; those of another machine are left out."""

from __future__ import annotations

import json

import pytest
import torch

from equirgz.errors import ResultsError
from equirgz.machine.measure_costs import LAYERS, measure_costs
from equirgz.nn import GroupConv2d
from equirgz.nn.cpu.machine_costs import Costs, costs_file, load_costs, name_machine, save_costs
from tests.field_types import regular


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path))
    load_costs.cache_clear()
    yield
    load_costs.cache_clear()


def test_without_a_file_the_formula_stands(caplog):
    assert load_costs() == Costs() and not caplog.records


def test_costs_choose_the_way_and_change_no_number():
    conv, outputs = GroupConv2d(regular("D8", 2), regular("D8", 2), 5), []
    x = torch.randn(1, 32, 29, 29)
    for costs, factored in ((Costs(1e-6, 1e6), False), (Costs(1e6, 1e-6), True)):
        save_costs(costs)
        assert load_costs() == costs and conv.uses_fourier(x) == factored
        outputs.append(conv(x))
    torch.testing.assert_close(*outputs, rtol=0, atol=2e-5 * float(outputs[0].detach().abs().max()))


def test_within_autocast_the_costs_of_bfloat16_choose_and_its_rounding_is_all_that_changes():
    conv, outputs = GroupConv2d(regular("D8", 2), regular("D8", 2), 5), []
    x = torch.randn(1, 32, 29, 29, requires_grad=True)
    for half, dtype in ((1e-6, torch.bfloat16), (1e6, torch.float32)):
        save_costs(Costs(half=half))
        with torch.autocast("cpu", torch.bfloat16):
            assert conv.uses_fourier(x) == (half > 1)
            y = conv(x)
        (grad,) = torch.autograd.grad(y.float().square().sum(), x)
        assert y.dtype == dtype
        outputs.append((y.detach().float(), grad))
    exact = conv(x).detach()
    for (rounded, factored), bound in zip(zip(*outputs, strict=True), (2**-7, 2**-6), strict=True):
        assert 2**-14 < (rounded - factored).norm() / factored.norm() < bound
    torch.testing.assert_close(outputs[1][0], exact, rtol=0, atol=2e-5 * float(exact.abs().max()))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"machine": "another one", "costs": {"dense": 9.0, "fourier": 0.1, "half": 1.0}},
            "it was measured on another one; this is",
        ),
        ({"machine": None, "costs": {"dense": -1.0, "fourier": 1.0, "half": 1.0}}, "something else"),
        ({"machine": None, "costs": {"dense": float("nan"), "fourier": 1.0, "half": 1.0}}, "something else"),
        ({"machine": None, "costs": {"sparse": 1.0}}, "something else"),
        ({"machine": None, "costs": {"dense": 9.0, "fourier": 0.1}}, "something else"),
        ({"machine": None, "costs": 3}, "something else"),
        ({"costs": {}}, "something else"),
        ([], "something else"),
        ("{", "something else"),
    ],
)
def test_what_is_not_of_this_machine_is_left_out_with_one_line(content, words, caplog):
    if isinstance(content, dict) and "machine" in content:
        content["machine"] = content["machine"] or name_machine()
    costs_file().write_text(content if isinstance(content, str) else json.dumps(content))
    assert load_costs() == Costs()
    load_costs()
    assert len(caplog.records) == 1 and words in caplog.text and len(caplog.messages[0].splitlines()) == 1


def test_measuring_gives_positive_factors_and_leaves_threads_alone(monkeypatch):
    monkeypatch.setattr("equirgz.machine.measure_costs.LAYERS", LAYERS[-2:])
    threads = torch.get_num_threads()
    found = measure_costs(rounds=1)
    assert found.dense > 0 and found.fourier > 0 and found.half > 0 and torch.get_num_threads() == threads
    save_costs(found)
    assert load_costs() == found


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "file"))
    with pytest.raises(ResultsError) as caught:
        save_costs(Costs())
    assert len(str(caught.value).splitlines()) == 1
