"""README.md of results/evaluation: command, versions, and one sentence per table, all from numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.evaluation.sheets import Written
from benchmarks.evaluation.tables import Evaluation
from equirgz.grid.plan.grid import Grid
from equirgz.provenance import collect_provenance
from equirgz.records import read_json, write_bytes_atomic, write_json_atomic

FIGURES = {
    "reliability": "Reliability of the share of FRII, as trained (filled, Wilson 95 % intervals over sources) and "
    "after temperature scaling (open); grey: where the predictions lie.",
    "risk_coverage": "Error of the sources kept when the least confident are set aside.",
    "rotation": "Error, confidence, entropy and overlap index of the confident test sources as they turn; lines: means "
    "over runs, bands: from the lowest to the highest run.",
    "rotation_source": "Dropout samples of the confident test source whose answer turns most in the first network.",
    "anomalies": "Wanted sources found among the first that are looked at; lines: means over runs, bands: from the "
    "lowest to the highest run; grey: a random order and its 95 % range.",
    "pruning": "Error and negative log-likelihood of a variational network when the weights of the lowest score are "
    "set to zero.",
    "feature_map": "Principal components of the features of all MiraBest sources in the second network, by class and "
    "by angular size; grey: hybrids.",
    "search_simulated": "Simulated sources: queries and their nearest neighbours in the features of the second "
    "network, cosine similarity above each; dashed red: another class.",
    "attention_simulated": "A simulated source as it turns, and the attention maps of the last gate of the "
    "trainings, with the relative error against the turned map.",
}


def write_readme(
    out: Path,
    grids: tuple[Grid, Grid],
    evaluation: Evaluation,
    written: list[Written],
    checksum: str,
    options: argparse.Namespace,
) -> None:
    """Write ``out``/README.md and ``out``/run.json; ``grids``: that of the evaluation and that of the pruning."""
    provenance = collect_provenance()
    found = {p.run_key: _trained_by(options.work / p.run_key) for grid in grids for p in grid.points}
    versions = sorted(set(found.values()) - {provenance["version"]})
    trained = f" (networks trained and asked by {', '.join(versions)})" if versions else ""
    command = " ".join([
        "python -m benchmarks.evaluation --data-dir DATA",
        *(f"--set {override}" for override in options.overrides),
        *([f"--draws {options.draws}"] if options.draws != 300 else []),
    ])  # fmt: skip
    n_runs = len(next(iter(evaluation.by_network.values())))
    counts = {part: len(evaluation.label(part)) for part in ("train", "val", "test", "test_uncertain", "test_hybrid")}
    lines = [
        "# Evaluation of three networks on MiraBest F",
        "",
        f"{grids[0].question}",
        "",
        f"Made by `{command}`, equirgz {provenance['version']}{trained}, data {checksum}: "
        f"{', '.join(evaluation.names)}, {n_runs} runs each (split and seed differ), {counts['train']} labelled "
        f"training sources, {counts['val']} for validation; test sources: {counts['test']} confident, "
        f"{counts['test_uncertain']} uncertain, {counts['test_hybrid']} hybrid. Temperatures and conformal sets are "
        "fitted on validation sources; nothing is chosen on test sources. Every sentence below is written by the "
        "script from the numbers.",
        "",
        "## Tables",
        "",
    ]
    for table in written:
        links = ", ".join(f"[{suffix}](tables/{table.name}.{suffix})" for suffix in ("md", "csv", "tex"))
        lines.append(f"- **{table.title}** ({links}). {table.sentence}")
    lines += ["", "`tables/rotation_curves.csv` and `tables/anomaly_curves.csv` hold every point of these figures, "
              "`tables/rotation_per_source.csv` a row per confident test source and run: share of angles with error, "
              "mean and standard deviation over angles of confidence, entropy and overlap index.", "",
              "## Figures", ""]  # fmt: skip
    for name, words in FIGURES.items():
        if (out / "figures" / f"{name}.png").exists():
            lines += [f"![{name.replace('_', ' ')}](figures/{name}.png)", "", words, ""]
    lines += [
        "The attention and search panels show simulated sources, because survey pixels are not part of this "
        "repository; the same command writes them with MiraBest sources into `figures/` of its work folder.",
        "",
    ]
    write_bytes_atomic(out / "README.md", "\n".join(lines).encode())
    runs = [
        {"grid": grid.name, "labels": dict(point.labels), "run_key": point.run_key, "trained_by": found[point.run_key]}
        for grid in grids
        for point in grid.points
    ]
    write_json_atomic(
        out / "run.json", {"command": command, "data_checksum": checksum, "environment": provenance, "runs": runs}
    )


def _trained_by(folder: Path) -> str:
    """Return the code version that trained and asked the network in ``folder``, "an unknown version" without record."""
    file = folder / "provenance.json"
    return read_json(file)["version"] if file.exists() else "an unknown version"
