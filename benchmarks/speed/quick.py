"""The speed comparison in under four minutes: what takes turns with what, and medians of ratios.

    python -m benchmarks.speed --quick [--threads 2] [--seconds 6] [--minutes 4] [--out results/speed]

In one process, of the reference environment where there is one (``.venv-reference``, with escnn and e2cnn). The entries
of a part take turns, one call each a round, and the ratio to the first is taken inside each round, so that a busy
machine slows all alike. Parts:

* two views of images of bytes against Pillow (:mod:`benchmarks.speed.augment`), turned bilinearly and by nearest
  pixels;
* the published LeNet at 151 px, training step, D4, D8, D16, D32: native with the compiled kernels, without, with every
  convolution expanded, in bf16-mixed, escnn, e2cnn (not D32, which they build for minutes);
* steerable_resnet18 D4 at 65 px: the same without the libraries, and the plain resnet18 of the same width;
* networks that are cheap by design (:mod:`benchmarks.speed.cheap`).

The kernels are those of the installation, else built for the occasion where there is a compiler. What cannot be run,
or would end after ``--minutes``, is left out in a line that says so. Writes quick.csv and quick.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.speed.cell import InBfloat16, build, seconds_of, train_step
from benchmarks.speed.cheap import pairs
from equirgz.backbones import create_backbone
from equirgz.kernels import load_kernels
from equirgz.nn import GroupConv2d
from equirgz.provenance import collect_provenance
from equirgz.records import write_bytes_atomic
from equirgz.train.memory import keep_freed_memory

ROOT = Path(__file__).resolve().parents[2]
LENET_BATCH = {"D4": 8, "D8": 4, "D16": 2, "D32": 1}
LIBRARIES = ("escnn", "e2cnn")
Call = Callable[[], object]
Part = Callable[[], dict[str, Call]]  # makes the entries of a part, the first is what the others are divided by


def find_kernels(folder: Path) -> str:
    """Return the library of the installation, or one built into ``folder``, as a path; "off" where there is none."""
    own = sorted((ROOT / "equirgz" / "nn" / "cpu").glob("_kernels*"))
    if not own:
        command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(folder), "--build-temp"]
        subprocess.run([*command, str(folder / "temp")], cwd=ROOT, capture_output=True, check=False)
        own = sorted(folder.rglob("_kernels*.so"))
    return str(own[0]) if own else "off"


def use_kernels(library: str) -> None:
    """Use this library, or none for "off", from now on."""
    if os.environ.get("EQUIRGZ_KERNELS") != library:
        os.environ["EQUIRGZ_KERNELS"] = library
        load_kernels.cache_clear()


def step(network: nn.Module, x_BCHW: torch.Tensor, library: str) -> Call:
    """Return a training step of ``network`` with these kernels."""

    def call() -> None:
        use_kernels(library)
        train_step(network, x_BCHW)

    return call


def ways(network: nn.Module, x_BCHW: torch.Tensor, library: str, make: Callable[[], nn.Module]) -> dict[str, Call]:
    """Return the steps of a native network: kernels, no kernels, expanded, bf16."""
    dense = make()
    for module in dense.modules():
        if isinstance(module, GroupConv2d):
            module.path = "dense"
    entries = {"native": step(network, x_BCHW, library)}
    entries |= {"native, no kernels": step(network, x_BCHW, "off")} if library != "off" else {}
    return entries | {
        "expanded": step(dense, x_BCHW, "off"),
        "bf16-mixed": step(InBfloat16(make()), x_BCHW, library),
    }


def lenet(group: str, library: str, libraries: tuple[str, ...]) -> dict[str, Call]:
    """Return training steps of the published LeNet at 151 pixels."""
    x_BCHW = torch.randn(LENET_BATCH[group], 1, 151, 151, generator=torch.Generator().manual_seed(1))
    entries = ways(
        build("native", group, 151, "cpu")[0], x_BCHW, library, lambda: build("native", group, 151, "cpu")[0]
    )
    for name in libraries if group != "D32" else ():
        entries[name] = step(build(name, group, 151, "cpu")[0].train(), x_BCHW, "off")
    return entries


def resnet(library: str) -> dict[str, Call]:
    """Return training steps of steerable_resnet18 D4 at 65 pixels."""
    x_BCHW = torch.randn(8, 1, 65, 65, generator=torch.Generator().manual_seed(1))
    make = lambda: create_backbone("steerable_resnet18", group="D4", image_size=65).train()  # noqa: E731
    plain = create_backbone("resnet18", image_size=65).train()
    return {**ways(make(), x_BCHW, library, make), "plain resnet18": step(plain, x_BCHW, "off")}


def make_parts(library: str, libraries: tuple[str, ...]) -> dict[str, Part]:
    """Return the parts by name."""
    parts: dict[str, Part] = {
        f"published LeNet {group}, 151 px": lambda g=group: lenet(g, library, libraries) for group in LENET_BATCH
    }
    parts["steerable_resnet18 D4, 65 px"] = lambda: resnet(library)
    x_BCHW = torch.randn(8, 1, 65, 65, generator=torch.Generator().manual_seed(1))
    for name in ("steerable_transformer D4 / steerable_vit D4", "steerable_convnext D8 / C1", "steerable_vit D8 / C1"):
        parts[f"cheap by design: {name}, 65 px"] = lambda name=name: _cheap(name, x_BCHW, library)
    return parts


def _cheap(name: str, x_BCHW: torch.Tensor, library: str) -> dict[str, Call]:
    first, second = next(nets for key, nets in pairs(65).items() if key.startswith(name))
    words = name.split(" / ")
    return {words[1]: step(second.train(), x_BCHW, library), words[0]: step(first.train(), x_BCHW, library)}


def take_turns(entries: dict[str, Call], seconds: float, fewest: int = 3) -> Iterator[dict[str, object]]:
    """Yield a row per entry: median time, and median and quartiles of its ratio to the first of the same round."""
    for call in entries.values():
        call()  # what is made once
    rounds: list[list[float]] = []
    start = time.perf_counter()
    while len(rounds) < fewest or (time.perf_counter() - start < seconds and len(rounds) < 101):
        rounds.append([seconds_of(call, "cpu") for call in entries.values()])
    times_RE = np.array(rounds)
    ratio_RE = times_RE / times_RE[:, :1]
    for i, name in enumerate(entries):
        low, middle, high = np.quantile(ratio_RE[:, i], (0.25, 0.5, 0.75))
        yield {"entry": name, "ms": 1e3 * np.median(times_RE[:, i]), "ratio": middle, "ratio_q25": low,
               "ratio_q75": high, "rounds": len(rounds)}  # fmt: skip


def run_parts(parts: dict[str, Part], seconds: float, minutes: float, say: Callable[[str], object]) -> list[dict]:
    """Return the rows of all parts that begin before the time is over; ``say`` hears each, and what is left out."""
    rows, start = [], time.perf_counter()
    for name, make in parts.items():
        spent = time.perf_counter() - start
        if spent > 60 * minutes:
            say(f"{name}: left out, {minutes:g} minutes are over")
            continue
        try:
            found = [{"part": name, **row} for row in take_turns(make(), seconds)]
        except Exception as error:  # one part must not cost the others
            say(f"{name}: left out, {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        rows += found
        say(f"{spent:4.0f} s  {name}: " + ", ".join(f"{row['entry']} {row['ratio']:.2f}" for row in found[1:]))
    return rows


def measure_views(library: str, threads: int, say: Callable[[str], object]) -> list[dict]:
    """Return rows of two views against Pillow: how many times as many images a second."""
    rows = []
    for own in ("bilinear", "nearest"):
        for kernels in dict.fromkeys((library, "off")):
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.speed.augment", "--images", "512", "--rounds"]
            command += ["5", "--threads", str(threads), "--own", own]
            environment = os.environ | {"EQUIRGZ_KERNELS": kernels}
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            entry = f"{own}, {'no ' if kernels == 'off' else ''}kernels"
            if done.returncode:
                say(f"two views, {entry}: left out, {(done.stderr.strip().splitlines() or ['no message'])[-1][:200]}")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            say(f"two views, {entry}: {found['ratio']:.1f} times Pillow with nearest turns")
            rows.append({"part": "two views, images a second over Pillow's with nearest turns", "entry": entry,
                         "ms": 1e3 / found["equirgz_images_per_s"],
                         **{k: found[k] for k in ("ratio", "ratio_q25", "ratio_q75", "rounds")}})  # fmt: skip
    return rows


def write(rows: list[dict], left_out: list[str], threads: int, library: str, out: Path) -> str:
    """Write quick.csv and quick.md; return the latter."""
    use_kernels(library)
    provenance, kernels = collect_provenance(), load_kernels()
    table = pd.DataFrame(rows)
    lines = [
        "| part | entry | ms | time over the first, or images over Pillow's | rounds |",
        "| :-- | :-- | --: | --: | --: |",
    ]
    lines += [
        f"| {r['part']} | {r['entry']} | {r['ms']:.3g} "
        f"| {r['ratio']:.2f} ({r['ratio_q25']:.2f} to {r['ratio_q75']:.2f}) | {r['rounds']} |"
        for r in rows
    ]
    where = f"{provenance['device']['processor']}, {threads} threads, torch {torch.__version__}"
    text = "\n".join([
        *lines, "", "Medians of the ratios of alternating rounds, quartiles; `python -m benchmarks.speed --quick`.",
        f"{where}, kernels: {kernels or 'of torch'}, equirgz {provenance['version']}.", *left_out, "",
    ])  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write_bytes_atomic(out / "quick.csv", table.to_csv(index=False, float_format="%.5g", lineterminator="\n").encode())
    write_bytes_atomic(out / "quick.md", text.encode())
    return text


def main() -> None:
    """Read the options, measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0, help="of alternation per part")
    parser.add_argument("--minutes", type=float, default=4.0, help="after which no part begins")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    left_out: list[str] = []

    def say(line: str) -> None:
        left_out.extend([line] * ("left out" in line))
        sys.stderr.write(line + "\n")

    with tempfile.TemporaryDirectory() as folder:
        library = find_kernels(Path(folder))
        libraries = tuple(name for name in LIBRARIES if _is_there(name))
        left_out += [f"{name}: left out, not installed" for name in LIBRARIES if name not in libraries]
        rows = measure_views(library, options.threads, say)
        rows += run_parts(make_parts(library, libraries), options.seconds, options.minutes - 0.5, say)
        sys.stdout.write(write(rows, left_out, options.threads, library, options.out))


def _is_there(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


if __name__ == "__main__":
    main()
