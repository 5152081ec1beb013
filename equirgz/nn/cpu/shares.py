"""Share independent parts of one computation among threads, each of which computes with one thread.

Where a computation is a long loop of small operators, splitting every operator among the threads
(as torch does) costs more than it gains: the threads meet after each. Here they meet once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


def run_shares(parts: Sequence[Part], work: Callable[[Sequence[Part]], Result]) -> list[Result]:
    """Return ``work(share)`` of each share of ``parts``: one share per torch thread, in order.

    The shares are a function of the number of parts and of ``torch.get_num_threads()``. ``work`` runs
    without gradients and without autocast, and must write to memory of its own. With one thread or
    one part it simply runs here, as it does inside another share. An exception in any share is
    raised here, after all have ended.
    """
    threads = torch.get_num_threads()
    count = min(threads, len(parts))
    if count < 2:
        with torch.autocast("cpu", enabled=False):
            return [work(parts)]
    shares = [parts[len(parts) * i // count : len(parts) * (i + 1) // count] for i in range(count)]
    results: list = [None] * count
    errors: list[BaseException] = []
    inference = torch.is_inference_mode_enabled()

    def run(i: int) -> None:
        try:
            torch.set_num_threads(1)
            with torch.inference_mode(inference), torch.no_grad(), torch.autocast("cpu", enabled=False):
                results[i] = work(shares[i])
        except BaseException as error:
            errors.append(error)

    others = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(1, count)]
    try:
        for thread in others:
            thread.start()
        run(0)
    finally:
        for thread in others:
            thread.join()
        torch.set_num_threads(threads)  # of this thread, and what threads to come begin with
    if errors:
        raise errors[0]
    return results
