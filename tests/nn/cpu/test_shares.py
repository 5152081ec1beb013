"""Sharing parts among threads: the same numbers, the settings of torch left as they were, errors raised."""

from __future__ import annotations

import threading

import pytest
import torch

from equirgz.nn.conv.group import GroupConv2d
from equirgz.nn.cpu import slabs, sliding_max
from equirgz.nn.cpu.shares import run_shares
from tests.field_types import regular


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_every_part_is_worked_on_once_by_one_thread_each(threads):
    seen, together = [], threading.Barrier(threads, timeout=60)

    def work(share):
        together.wait()
        seen.append((threading.get_ident(), torch.get_num_threads(), torch.is_grad_enabled()))
        return [2 * part for part in share]

    results = run_shares(range(7), work)
    assert [value for share in results for value in share] == [2 * part for part in range(7)]
    assert len({ident for ident, *_ in seen}) == 3 and {number for _, number, _ in seen} == {1}
    assert not any(grad for *_, grad in seen) and torch.is_grad_enabled()
    assert torch.get_num_threads() == threads


def test_a_thread_started_afterwards_has_all_threads_again(threads):
    run_shares(range(4), sum)
    found = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert found == [threads]


def test_an_error_in_any_share_is_raised_and_the_settings_come_back(threads):
    for bad in range(3):

        def work(share, bad=bad):
            if bad in share:
                raise ValueError(f"part {bad}")

        with pytest.raises(ValueError, match=f"part {bad}"):
            run_shares(range(3), work)
        assert torch.get_num_threads() == threads


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_shared_operators_equal_those_of_one_thread(threads, mode, monkeypatch):
    monkeypatch.setattr(slabs, "_SLAB_BYTES", 2**19)  # several chunks of these small images
    monkeypatch.setattr(sliding_max, "_CHUNK_BYTES", 2**14)
    layer = GroupConv2d(regular("D8", 2), regular("D8", 3), kernel_size=5, padding=2).double()
    layer.path = "fourier"
    x = torch.randn(5, 32, 17, 17, dtype=torch.float64)

    def compute():
        with mode():
            inner = x.clone().requires_grad_(mode is torch.enable_grad)
            y = sliding_max.sliding_max2d(layer(inner), 3, 1)
            if mode is torch.enable_grad:
                return [y.detach(), *torch.autograd.grad(y.square().sum(), [inner, *layer.parameters()])]
            return [y]

    shared = compute()
    torch.set_num_threads(1)
    for one, other in zip(shared, compute(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
