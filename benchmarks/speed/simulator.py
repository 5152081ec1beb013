"""How many simulated images a second does one core make, and how many times as many as the first version?

    python -m benchmarks.speed.simulator [--out results/speed] [--rounds 9]

Blocks of 64 sources of both versions take turns in one process of one thread. ``synthetic_fr`` simulates maps of 300
pixels, measures their noise and cuts 150 pixels; ``stream_sources`` makes 81 or 150 pixels at once, with all the
truth. Seconds of processor time; the ratio is taken inside each round. Writes simulator.csv and simulator.md.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np

from equirgz.data.simulate.stream import BLOCK, stream_sources
from equirgz.data.simulate.synthetic import Observation, simulate
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic

CLASSES = ("FRI", "FRII", "bent", "compact")
SIZES = (81, 150)


def make_calls() -> dict[str, Callable[[], None]]:
    """Return a call for each simulator that makes the next 64 images of four classes."""
    numbers: Iterator[int] = count()

    def first() -> None:
        simulate(BLOCK, CLASSES, Observation(), next(numbers))

    calls: dict[str, Callable[[], None]] = {"synthetic_fr, 150 px": first}
    for size in SIZES:
        stream = stream_sources("FIRST", dict.fromkeys(CLASSES, 1.0), size_px=size)
        blocks = count()
        calls[f"stream_sources, {size} px"] = lambda stream=stream, blocks=blocks: stream.block(next(blocks))
    return calls


def measure(
    rounds: int, clock: Callable[[], float] = time.process_time
) -> list[tuple[str, float, float, float, float]]:
    """Return name, images a second (median) and ratio to the first (median, 16th, 84th percentile) of each."""
    calls = make_calls()
    for call in calls.values():
        call()
    spent = []
    for _ in range(rounds):
        row = []
        for call in calls.values():
            start = clock()
            call()
            row.append(clock() - start)
        spent.append(row)
    seconds = np.array(spent)
    ratios = np.percentile(seconds[:, :1] / seconds, (50, 16, 84), axis=0).T
    rates = BLOCK / np.median(seconds, 0)
    return [(name, float(rate), *map(float, ratio)) for name, rate, ratio in zip(calls, rates, ratios, strict=True)]


def write_table(lines: list[tuple[str, float, float, float, float]], out: Path) -> str:
    """Write simulator.csv and simulator.md into ``out``; return the latter."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["simulator", "images_per_second_and_core", "ratio", "p16", "p84"])
    writer.writerows([line[0], *(f"{value:.4g}" for value in line[1:])] for line in lines)
    body = [
        f"| {name} | {rate:.0f} | {middle:.1f} ({low:.1f} to {high:.1f}) |" for name, rate, middle, low, high in lines
    ]
    note = (
        "Simulated images of four classes with beam, noise and field sources, clipped and scaled, in blocks of 64; "
        "processor time of one thread, median of alternating rounds; ratio to the first line, with its 16th to 84th "
        f"percentile. Made by `python -m benchmarks.speed.simulator`, equirgz {code_version()}."
    )
    page = "\n".join(["| simulator | images / s / core | ratio |", "| :-- | --: | --: |", *body, "", note, ""])
    write_bytes_atomic(out / "simulator.csv", text.getvalue().encode())
    write_bytes_atomic(out / "simulator.md", page.encode())
    return page


def main(arguments: list[str] | None = None) -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/speed"))
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    print(write_table(measure(options.rounds), options.out))


if __name__ == "__main__":
    main()
