"""Is it faster to train several seeds of a small network at once, with stacked weights, than one after the other?

    python -m benchmarks.speed.multi_seed [--out results/speed] [--seconds 20]

k networks, each with its own weights and its own batch of 32 images, take AdamW steps on one thread: one after the
other, and as one ``torch.func.vmap`` over their stacked weights (the optimiser works elementwise, so both take the
same steps). Ratios are sequential time / stacked time of alternating measurements in one process: above 1, stacking
is faster. Writes multi_seed.csv and multi_seed.md. Batch norm runs on the statistics of each network's batch alone
(its running averages cannot be updated under vmap) in both.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from equirgz.backbones import create_backbone
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic
from equirgz.train.memory import keep_freed_memory

NETWORKS = {
    "lenet": {"name": "lenet"},
    "steerable_cnn C1": {"name": "steerable_cnn", "group": "C1", "match": "params:15000"},
    "steerable_cnn D4": {"name": "steerable_cnn", "group": "D4", "match": "params:15000"},
}
COUNTS = (2, 4, 8)
IMAGE_SIZE, BATCH = 49, 32


def make_networks(options: dict, count: int) -> list[nn.Module]:
    """Return ``count`` classifiers of two classes with different weights and no running averages."""
    networks = []
    for seed in range(count):
        torch.manual_seed(seed)
        backbone = create_backbone(image_size=IMAGE_SIZE, **options)
        network = nn.Sequential(backbone, nn.Linear(backbone.num_features, 2))
        torch.func.replace_all_batch_norm_modules_(network)
        networks.append(network.train())
    return networks


def make_sequential(networks: list[nn.Module], x_KBCHW: Tensor, label_KB: Tensor) -> Callable[[], None]:
    """Return a call that takes one step of every network, one after the other."""
    optimizers = [torch.optim.AdamW(network.parameters(), 1e-3) for network in networks]

    def step() -> None:
        for network, optimizer, x_BCHW, label_B in zip(networks, optimizers, x_KBCHW, label_KB, strict=True):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(network(x_BCHW), label_B).backward()
            optimizer.step()

    return step


def make_stacked(networks: list[nn.Module], x_KBCHW: Tensor, label_KB: Tensor) -> Callable[[], None]:
    """Return a call that takes one step of all networks at once."""
    weights, buffers = stack_module_state(networks)
    optimizer = torch.optim.AdamW(weights.values(), 1e-3)

    def loss(weight: dict, buffer: dict, x_BCHW: Tensor, label_B: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(networks[0], (weight, buffer), (x_BCHW,)), label_B)

    gradients = vmap(grad(loss))

    def step() -> None:
        for name, value in gradients(weights, buffers, x_KBCHW, label_KB).items():
            weights[name].grad = value
        optimizer.step()

    return step


def measure_ratio(first: Callable[[], None], second: Callable[[], None], seconds: float) -> tuple[float, float, float]:
    """Return the median of first / second over alternating steps, and its 16th and 84th percentiles."""
    for call in (first, second):
        call()
    ratios, end = [], time.perf_counter() + seconds
    while len(ratios) < 5 or time.perf_counter() < end:
        spent = []
        for call in (first, second):
            start = time.perf_counter()
            call()
            spent.append(time.perf_counter() - start)
        ratios.append(spent[0] / spent[1])
    return tuple(float(q) for q in np.percentile(ratios, (50, 16, 84)))


def main(arguments: list[str] | None = None) -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/speed"))
    parser.add_argument("--seconds", type=float, default=20.0, help="of alternation per network and count")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    lines = []
    for name, network in NETWORKS.items():
        for count in COUNTS:
            x_KBCHW = torch.rand(count, BATCH, 1, IMAGE_SIZE, IMAGE_SIZE)
            label_KB = torch.randint(0, 2, (count, BATCH))
            steps = [make(make_networks(network, count), x_KBCHW, label_KB) for make in (make_sequential, make_stacked)]
            lines.append((name, count, *measure_ratio(*steps, options.seconds)))
            print(*lines[-1], flush=True)
    write_table(lines, options.out)


def write_table(lines: list[tuple], out: Path) -> None:
    """Write multi_seed.csv and multi_seed.md into ``out``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["network", "seeds", "ratio", "p16", "p84"])
    writer.writerows([*line[:2], *(f"{value:.4g}" for value in line[2:])] for line in lines)
    body = [f"| {name} | {k} | {ratio:.2f} ({low:.2f} to {high:.2f}) |" for name, k, ratio, low, high in lines]
    note = (
        f"Training step on one CPU thread, batch {BATCH} per network, {IMAGE_SIZE} px: time of k networks one after "
        "the other over time of one vmap over their stacked weights; median and 16th to 84th percentile. Above 1, "
        f"stacking is faster. Made by `python -m benchmarks.speed.multi_seed`, equirgz {code_version()}."
    )
    page = "\n".join(["| network | seeds | sequential / stacked |", "| :-- | --: | --: |", *body, "", note, ""])
    write_bytes_atomic(out / "multi_seed.csv", text.getvalue().encode())
    write_bytes_atomic(out / "multi_seed.md", page.encode())


if __name__ == "__main__":
    main()
