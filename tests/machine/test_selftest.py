"""``equirgz selftest``: all steps pass here, and what is broken is named by its step."""

from __future__ import annotations

import pytest

from equirgz.errors import InputError
from equirgz.machine import selftest

STEPS = ["simulator", "training", "encoder", "audit", "export", "onnx", "shipped"]


def test_every_step_passes_and_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(selftest, "find_version", lambda name: None)
    found = list(selftest.run_selftest())
    assert [step for _, step, _ in found] == STEPS
    assert [state for state, _, _ in found] == ["ok"] * 5 + ["none", "ok"]
    assert found[-2][2] == "without onnx, onnxscript, onnxruntime; pip install 'equirgz[onnx]'"


def test_it_stops_at_what_is_broken(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no\nluck")

    monkeypatch.setattr("equirgz.grid.single.train_one", broken)
    *first, last = selftest.run_selftest()
    assert [state for state, _, _ in first] == ["ok"] and last == ("FAIL", "training", "RuntimeError: no luck")


def test_weights_that_did_not_come_along_are_missed(monkeypatch, tmp_path):
    monkeypatch.setattr("equirgz.pretrained.WEIGHTS", tmp_path)
    with pytest.raises(InputError, match="weights: expected encoders and models in the package, got none"):
        selftest._Steps(tmp_path, "cpu").shipped()
