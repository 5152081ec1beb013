"""The three measurements: parity with float64, steps of every engine in turn, one run of a grid."""

from __future__ import annotations

import copy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.gpu.precisions import LIMITS, computing_in
from benchmarks.speed.cell import alternate, build, train_step
from equirgz.backbones import create_backbone
from equirgz.report import load_results

ROOT = Path(__file__).resolve().parents[2]


def usable_engines(notes: list[str]) -> list[str]:
    """Return the engines that can be built here; those that cannot are named in ``notes``.

    native and dense are one thing on a GPU: cuDNN's convolution with the expanded filters.
    """
    found = ["native", "plain"]
    for engine in ("escnn", "e2cnn"):
        try:
            build(engine, "C4", 33, "cpu")
            found.append(engine)
        except Exception as error:
            notes.append(f"{engine} was left out: {_line_of(error)}")
    return found


def _line_of(error: Exception) -> str:
    return " ".join(str(error).split()).split(";")[0][:200]


def measure_parity(device: str, groups: list[str], size: int) -> list[dict]:
    """Return how far features, weight gradients and turned features are from float64 on the CPU, by precision."""
    rows = []
    x = torch.rand(4, 1, size, size, generator=torch.Generator().manual_seed(1))
    for group in groups:
        torch.manual_seed(0)
        exact = create_backbone("steerable_cnn", group=group, image_size=size, width=0.5).double()
        network = copy.deepcopy(exact).float().to(device)
        expected, expected_turned = _outputs(exact, x.double())
        for precision, limit in LIMITS.items():
            with computing_in(precision, device):
                found, turned = _outputs(network, x.to(device))
            errors = {name: _relative(found[name], expected[name]) for name in found}
            errors["features of turned images"] = _relative(turned, expected_turned)
            rows += [
                {"group": group, "precision": precision, "what": what, "error": error, "limit": limit}
                for what, error in errors.items()
            ]
    return rows


def _outputs(network: nn.Module, x: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    network.eval().zero_grad(set_to_none=True)
    h_BF = network(x)
    h_BF.double().square().mean().backward()
    gradient = torch.cat([p.grad.double().flatten() for p in network.parameters() if p.grad is not None])
    with torch.no_grad():
        turned = network(x.rot90(1, (2, 3)))
    return {"features": h_BF.detach(), "weight gradients": gradient}, turned


def _relative(value: torch.Tensor, expected: torch.Tensor) -> float:
    difference = value.detach().cpu().double() - expected.detach()
    return float(difference.norm() / expected.detach().norm())


def measure_steps(
    device: str, engines: list[str], group: str, size: int, batch: int, seconds: float, notes: list[str]
) -> list[dict]:
    """Return the time of a training step of the published LeNet, engines in turn, for every precision."""
    rows = []
    x = torch.randn(batch, 1, size, size, generator=torch.Generator().manual_seed(1)).to(device)
    networks = {engine: build(engine, group, size, device)[0].train() for engine in engines}
    for precision in LIMITS:
        with computing_in(precision, device):
            calls = {}
            for engine, network in networks.items():
                try:
                    for _ in range(2):
                        train_step(network, x)
                except RuntimeError as error:
                    notes.append(f"{engine} {group} in {precision} was left out: {_line_of(error)}")
                    continue
                calls[engine] = lambda network=network: train_step(network, x)
            for engine, values in (found := alternate(calls, device, seconds)).items():
                low, middle, high = np.quantile(values / found["native"], (0.25, 0.5, 0.75))
                rows.append({"group": group, "image_size_px": size, "batch": batch, "precision": precision,
                             "engine": engine, "train_step_s": float(np.median(values)), "ratio": middle,
                             "ratio_q25": low, "ratio_q75": high, "rounds": len(values)})  # fmt: skip
    return rows


def run_mirabest(device: str, data_dir: Path | None, smoke: bool, limit_s: float, notes: list[str]) -> dict:
    """Run D4 of benchmarks/mirabest_d4.yaml once; without the data, the same network on the simulator."""
    settings = ["group=[D4]", "replicate=[0]", "n_labels=[729]"]
    if smoke or data_dir is None:
        reason = "a rehearsal" if smoke else "no --data-dir was given"
        notes.append(f"mirabest_d4 ran on simulated sources: {reason}")
        settings[2] = "n_labels=[60]"
        settings += ["data.name=synthetic_fr", "data.params={n_train: 60, n_test: 30}", "data.crop=null"]
    if smoke:
        settings += ["train.steps=2", "evaluation.views=1", "data.image_size=33", "train.optimizer.warmup_steps=0"]
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "equirgz", "bench", "run", str(ROOT / "benchmarks" / "mirabest_d4.yaml")]
        command += ["--out", out, "--jobs", "1", "--engine", "inline", "--device", device]
        command += [part for setting in settings for part in ("--set", setting)]
        command += ["--data-dir", str(data_dir)] if data_dir is not None else []
        start = time.perf_counter()
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit_s)
        except subprocess.TimeoutExpired:
            notes.append(f"mirabest_d4 was stopped: not done in {limit_s:.0f} s")
            return {}
        seconds = time.perf_counter() - start
        if done.returncode:
            notes.append(f"mirabest_d4 failed: {' '.join(done.stderr.split())[-300:]}")
            return {}
        rows: pd.DataFrame = load_results(out)
        chosen = rows[(rows.metric == "error/rate") & (rows.split == "test")]
        return {"wall_s": seconds, "test_error_percent": float(chosen.value.iloc[0]), "n_test": int(chosen.n.iloc[0])}
