"""The evaluation of MiraBest F that is committed under results/evaluation, from training to README.

    python -m benchmarks.evaluation --data-dir DATA [--out results/evaluation] [--work out/evaluation]
                                    [--set steps=20 ...] [--draws 300] [--report]

Trains the nine runs of benchmarks/evaluation.yaml and the variational one of benchmarks/pruning.yaml (those that
WORK does not hold yet; a killed training goes on from its checkpoint; --set applies to both), keeps their answers in
WORK, and writes tables, figures and README.md into OUT. --report draws anew from WORK without training. Panels of
survey sources, whose pixels are not ours to publish, go to WORK/figures; OUT shows simulated sources.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Train what is missing, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("EQUIRGZ_DATA"))
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "evaluation")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "evaluation")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--draws", type=int, default=300, help="bootstrap draws; five times as many for the shift")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="tables and figures of finished runs only")
    options = parser.parse_args()

    from equirgz.errors import EquirgzError

    try:
        evaluate(options)
    except EquirgzError as error:
        sys.exit(f"benchmarks.evaluation: {' '.join(str(error).split())}")


def evaluate(options: argparse.Namespace) -> None:
    """Do what the options ask (see the module)."""
    import torch

    from benchmarks.evaluation import panels
    from benchmarks.evaluation.anomalies import anomaly_curves
    from benchmarks.evaluation.pruning import measure_pruning
    from benchmarks.evaluation.readme import write_readme
    from benchmarks.evaluation.runs import answer_all, load_other_sets
    from benchmarks.evaluation.sheets import write_tables
    from benchmarks.evaluation.tables import Evaluation
    from equirgz.backbones import load_encoder
    from equirgz.data import load_data
    from equirgz.errors import InputError
    from equirgz.grid.plan.grid import load_grid

    torch.set_num_threads(options.threads)
    start = time.perf_counter()

    def say(words: str) -> None:
        print(f"{time.perf_counter() - start:6.0f} s  {words}", file=sys.stderr, flush=True)

    grid = load_grid(ROOT / "benchmarks" / "evaluation.yaml", options.overrides)
    config = grid.points[0].config
    pruned = load_grid(ROOT / "benchmarks" / "pruning.yaml", options.overrides)
    needed = {p.run_key: "answers.npz" for p in grid.points} | {p.run_key: "pruning.json" for p in pruned.points}
    lacking = [key for key, file in needed.items() if not (options.work / key / file).exists()]
    if options.report and lacking:
        missing = f"{len(lacking)} of {len(needed)} missing"
        raise InputError(f"--report: expected finished runs in {options.work}, got {missing}; leave --report out")
    say("reading the data sets")
    data = load_data(config.data, options.data_dir)
    other = load_other_sets(config, options.data_dir)
    answers = answer_all(grid, options.data_dir, options.work, other, say)
    pruning = measure_pruning(pruned, options.data_dir, options.work, say)
    evaluation = Evaluation(answers, options.draws)
    say("tables")
    curves = anomaly_curves(evaluation)
    written = write_tables(evaluation, pruning, curves, options.out / "tables")
    say("figures")
    figures = options.out / "figures"
    panels.draw_all(evaluation, pruning, curves, figures)
    second, third = (evaluation.by_network[name] for name in evaluation.names[1:3])
    panels.draw_search(second[0], "simulated", other["simulated"], figures / "search_simulated")
    panels.draw_search(second[0], "test", data.tests["test"], options.work / "figures" / "search")
    gated = {f"run {a.run}": load_encoder(a.folder / "encoder") for a in third}
    if any(a.equivariance[-1]["what"].startswith("attention") for a in third):
        image_HW = other["simulated"].image_NHW[int((other["simulated"].label_N == 1).argmax())]
        panels.draw_attention(gated, image_HW, figures / "attention_simulated")
        panels.draw_attention(gated, data.tests["test"].image_NHW[-1], options.work / "figures" / "attention")
    write_readme(options.out, (grid, pruned), evaluation, written, data.checksum, options)
    say(f"done: {options.out}")


if __name__ == "__main__":
    main()
