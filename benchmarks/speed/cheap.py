"""Networks that are cheap by design: training steps that take turns with what they replace.

    python -m benchmarks.speed.cheap [--size 65] [--batch 16] [--threads 2] [--seconds 30] [--out FILE.csv]

Pairs, of which the first is divided by the second. The ratio is taken inside each round, so that slow drifts of the
machine do not enter. Other work beside it does: it need not slow both alike, least of all with several threads, which
wait for each other. Time on a quiet machine, or with one thread.

* steerable_transformer D4, attention over pairs (position, element), against steerable_vit D4 of equal
  parameters and depth, attention over positions: how many times as long the former takes;
* steerable_convnext and steerable_vit of D8 against the plain one of the same channels (fields x |G|).

Prints one line per pair, and writes rows with the medians and the quantiles of 25 and 75 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.speed.cell import seconds_of, train_step
from equirgz.backbones import create_backbone
from equirgz.train.memory import keep_freed_memory


def pairs(size: int) -> dict[str, tuple[nn.Module, nn.Module]]:
    """Return name -> (the network whose time is divided, the one that it is divided by)."""
    transformer = create_backbone("steerable_transformer", group="D4", image_size=size)
    parameters = sum(p.numel() for p in transformer.parameters())
    vit = create_backbone("steerable_vit", group="D4", image_size=size, match=f"params:{parameters}")
    found = {"steerable_transformer D4 / steerable_vit D4 of equal parameters": (transformer, vit)}
    for name, per_width in (
        ("steerable_convnext", ({"fields": (8, 16, 32)}, {"fields": (128, 256, 512)})),
        ("steerable_vit", ({"fields": 24}, {"fields": 384})),
    ):
        steerable, plain = (
            create_backbone(name, group=group, image_size=size, **options)
            for group, options in zip(("D8", "C1"), per_width, strict=True)
        )
        found[f"{name} D8 / C1 of the same channels"] = (steerable, plain)
    return found


def measure(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return one row per pair."""
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(options.batch, 1, options.size, options.size, generator=generator)
    rows = []
    for name, networks in pairs(options.size).items():
        seconds: list[list[float]] = []
        for network in networks:
            train_step(network.train(), x)  # what is made once
        start = time.perf_counter()
        while len(seconds) < 5 or (time.perf_counter() - start < options.seconds and len(seconds) < 101):
            seconds.append([seconds_of(lambda n=network: train_step(n, x), "cpu") for network in networks])
        times = np.array(seconds)
        low, middle, high = np.quantile(times[:, 0] / times[:, 1], (0.25, 0.5, 0.75))
        counts = [sum(p.numel() for p in network.parameters()) for network in networks]
        rows.append({
            "pair": name, "image_size_px": options.size, "batch": options.batch, "threads": options.threads,
            "parameters": counts[0], "parameters_other": counts[1], "step_s": np.median(times[:, 0]),
            "step_s_other": np.median(times[:, 1]), "ratio": middle, "ratio_q25": low, "ratio_q75": high,
            "rounds": len(times),
        })  # fmt: skip
        sys.stdout.write(f"{name}: {middle:.2f} ({low:.2f}-{high:.2f}), {len(times)} rounds\n")
        sys.stdout.flush()
    return rows


def main() -> None:
    """Read the options, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=65)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0, help="of alternation per pair")
    parser.add_argument("--out", type=Path, help="CSV file for the rows")
    options = parser.parse_args()
    table = pd.DataFrame(measure(options))
    if options.out:
        table.to_csv(options.out, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
