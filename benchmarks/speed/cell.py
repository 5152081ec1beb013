"""One cell of the speed comparison: one group, one image size, every engine in one process.

All engines get the same weights and the same images, and their outputs are compared first. Then they
take turns, and the ratio to native is taken inside each round, so that a busy machine slows all alike.
Run by ``python -m benchmarks.speed`` in the reference environment, which holds escnn and e2cnn.

    python -m benchmarks.speed.cell D8 151 --engines native,escnn,e2cnn --batch 8

Prints one JSON object per line, one per measured number. Engines: native; dense (native, every
convolution expanded); bf16 (native in bf16-mixed); escnn; e2cnn; plain (the LeNet without symmetry, in torch.nn
layers).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import io
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from equirgz.backbones import create_backbone
from equirgz.nn import GroupConv2d
from equirgz.nn.cpu.fourier_plan import can_factor, make_plan
from equirgz.train.memory import keep_freed_memory

SLOW_STEP_SECONDS = 20.0


def build(engine: str, group: str, size: int, device: str) -> tuple[nn.Module, float]:
    """Return the network and the seconds that its construction took (imports done before)."""
    if engine in ("escnn", "e2cnn"):
        from equirgz.backbones.reference import load_engine

        load_engine(engine)
    torch.manual_seed(0)
    start = time.perf_counter()
    if engine == "plain":
        network = create_backbone("lenet", image_size=size)
    else:
        library = "native" if engine in ("dense", "bf16") else engine
        network = create_backbone("steerable_lenet_published", group=group, image_size=size, engine=library)
    for module in network.modules():  # native makes the constants of its convolutions when they first run
        if engine == "native" and isinstance(module, GroupConv2d) and can_factor(module.group, module.basis):
            make_plan(module.group, module.basis)
    seconds = time.perf_counter() - start
    for module in network.modules():
        if engine == "dense" and isinstance(module, GroupConv2d):
            module.path = "dense"
    network = network.to(device)
    return (InBfloat16(network) if engine == "bf16" else network), seconds


class InBfloat16(nn.Module):
    """A network within autocast, as a training in bf16-mixed runs it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the features as float32."""
        with torch.autocast(x_BCHW.device.type, torch.bfloat16):
            return self.network(x_BCHW).float()


def train_step(network: nn.Module, x_BCHW: torch.Tensor) -> None:
    """One step of plain gradient descent on the mean square of the features."""
    network.zero_grad(set_to_none=True)
    network(x_BCHW).square().mean().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=1e-3)


@torch.no_grad()
def eval_forward(network: nn.Module, x_BCHW: torch.Tensor) -> None:
    """One forward pass for inference."""
    network(x_BCHW)


def seconds_of(call: Callable[[], object], device: str) -> float:
    """Return the wall time of ``call``."""
    start = time.perf_counter()
    call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_bytes(call: Callable[[], object], device: str) -> float:
    """Return how far the memory rises above its level before ``call``; NaN where nobody tells."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    except (OSError, AttributeError):
        return float("nan")
    before = _status_bytes("VmRSS")
    call()
    return _status_bytes("VmHWM") - before


def _status_bytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))


def alternate(calls: dict[str, Callable[[], object]], device: str, seconds: float) -> dict[str, np.ndarray]:
    """Return the seconds of each call in each round: at least 5 rounds, more until ``seconds`` are over."""
    rounds: dict[str, list[float]] = {name: [] for name in calls}
    start = time.perf_counter()
    while len(rounds["native"]) < 5 or (time.perf_counter() - start < seconds and len(rounds["native"]) < 101):
        for name, call in calls.items():
            rounds[name].append(seconds_of(call, device))
    return {name: np.array(values) for name, values in rounds.items()}


def measure(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the rows of the cell."""
    torch.set_num_threads(options.threads)
    device, rows = options.device, []
    x = torch.randn(options.batch, 1, options.size, options.size, generator=torch.Generator().manual_seed(1)).to(device)

    def row(engine: str, quantity: str, value: float, unit: str, **more: object) -> None:
        rows.append({"group": options.group, "image_size_px": options.size, "batch": options.batch,
                     "threads": options.threads, "device": device, "engine": engine, "quantity": quantity,
                     "value": value, "unit": unit, **more})  # fmt: skip

    networks: dict[str, nn.Module] = {}
    for engine in options.engines.split(","):
        networks[engine], seconds = build(engine, options.group, options.size, device)
        if engine not in ("dense", "bf16"):  # as native, which came first
            row(engine, "construction", seconds, "s")
        file = io.BytesIO()
        torch.save(networks[engine].train().state_dict(), file)
        row(engine, "checkpoint", file.tell() / 1e6, "MB")
    expected = networks["native"].eval()(x).detach()
    for engine, network in networks.items():
        if engine not in ("native", "plain"):
            error = float((network.eval()(x).detach() - expected).norm() / expected.norm())
            row(engine, "difference_from_native", error, "1")
            if error > (0.05 if engine == "bf16" else 1e-5):
                raise SystemExit(f"{engine} {options.group}: outputs differ by {error:.1e}")
    for engine in list(networks):
        network = networks[engine].train()
        step = seconds_of(lambda network=network: train_step(network, x), device)
        if step > SLOW_STEP_SECONDS and engine != "native":
            row(engine, "train_step", step, "s", rounds=1, status="one step only: over 20 s")
            del networks[engine]
            continue
        row(
            engine,
            "peak_memory",
            peak_bytes(lambda network=network: train_step(network, x), device) / 1e6,
            "MB",
        )
    keep_freed_memory()
    for quantity, call, mode in (("train_step", train_step, True), ("eval_forward", eval_forward, False)):
        calls = {name: (lambda n=n, call=call: call(n, x)) for name, n in networks.items()}
        for name, network in networks.items():
            network.train(mode)
            calls[name]()
        for name, values in (found := alternate(calls, device, options.seconds)).items():
            low, middle, high = np.quantile(values / found["native"], (0.25, 0.5, 0.75))
            q25, value, q75 = np.quantile(values, (0.25, 0.5, 0.75))
            row(name, quantity, value, "s", q25=q25, q75=q75, rounds=len(values), ratio=middle,
                ratio_q25=low, ratio_q75=high)  # fmt: skip
    return rows


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("group")
    parser.add_argument("size", type=int)
    parser.add_argument("--engines", default="native,dense,escnn,e2cnn,plain")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--device", default="cpu")
    warnings.simplefilter("ignore")
    for row in measure(parser.parse_args()):
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
