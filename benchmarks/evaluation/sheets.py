"""The printed tables of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.evaluation import tables
from benchmarks.evaluation.anomalies import LOOKED_AT, anomaly_rows, say_anomalies
from benchmarks.evaluation.clusters import cluster_rows, cluster_sheet, say_clusters
from benchmarks.evaluation.pruning import pruning_sheet, say_pruning
from benchmarks.evaluation.sentences import (
    SCORES,
    say_calibration,
    say_conformal,
    say_equivariance,
    say_estimates,
    say_needed,
    say_outside,
    say_pairwise,
    say_parts,
    say_representation,
    say_rotation,
    say_shares,
    say_shift,
    say_significance,
)
from benchmarks.evaluation.shifts import share_rows, shift_rows
from benchmarks.evaluation.sources import SOURCES, rotation_source_rows, rotation_source_summary, say_sources
from benchmarks.evaluation.tables import Evaluation, Rows
from equirgz.metrics.compare.classifiers import compare_pairs, needed_sources
from equirgz.report.tables.pivot import make_pivot, show_interval, show_number, show_p, write_sheet
from equirgz.report.tables.sheet import Sheet
from equirgz.report.tables.shift_table import write_shift_table

RUNS = "Means over {runs} runs; brackets: 95 % intervals over test sources (bootstrap, all runs of a source together)"
SEEDS = "Means over {runs} runs; brackets: 95 % Student t intervals over runs, none where all agree"
CALIBRATION = {
    "error/rate": ("error (%)", 1), "calibration/ece": ("ECE", 3), "calibration/ece_perfect": ("perfect ECE", 3),
    "calibration/ece_debiased": ("debiased ECE", 3), "calibration/mce": ("MCE", 2),
    "calibration/brier": ("Brier", 3), "nll/mean": ("NLL (nat)", 3), "temperature/value": ("T", 2),
}  # fmt: skip
PARTS = {
    "calibration/ece_adaptive": ("equal-mass ECE", 3), "calibration/ece_classwise": ("class-wise ECE", 3),
    "calibration/brier": ("Brier", 3), "calibration/brier_reliability": ("reliability", 3),
    "calibration/brier_resolution": ("resolution", 3), "calibration/brier_uncertainty": ("uncertainty", 3),
}  # fmt: skip
UNCERTAINTY = {
    "uncertainty/predictive_entropy": ("entropy (nat)", 3), "uncertainty/mutual_information": ("MI (nat)", 4),
    "uncertainty/overlap": ("overlap", 3), "uncertainty/overlap_published": ("overlap, published", 3),
    "uncertainty/uce_entropy": ("UCE (%)", 1), "uncertainty/uce_entropy_classwise": ("cUCE (%)", 1),
    "selective/aurc": ("AURC", 3), "selective/error_at_80": ("error of surest 80 % (%)", 1),
}  # fmt: skip
OUTSIDE = {metric: (words, 3) for metric, words in SCORES.items()} | {
    "ood/false_positive_rate_energy": ("false alarms, energy (%)", 0),
}
ESTIMATES = {
    "prior/true_share": ("share of FRII", 3), "prior/counted_share": ("answers counted", 3),
    "prior/estimated_share": ("estimated", 3),
}  # fmt: skip
ANOMALIES = {f"anomaly/found_at_{k}": (f"first {k}", 1) for k in LOOKED_AT}
CONFORMAL = {
    "conformal/coverage": ("coverage", 3), "conformal/mean_size": ("classes per set", 2),
    "conformal/single": ("share of one class", 2), "conformal/empty": ("share empty", 2),
}  # fmt: skip
ROTATION = {
    "rotation/error_mean": ("error (%)", 1), "rotation/error_range": ("its range (%)", 1),
    "rotation/flip_rate_mean": ("class flips (%)", 2), "rotation/probability_spread_mean": ("spread of p", 4),
    "rotation/entropy_mean": ("entropy (nat)", 3), "rotation/overlap_mean": ("overlap", 3),
    "rotation/overlap_range": ("its range", 4),
}  # fmt: skip
REPRESENTATION = {
    "retrieval/precision_at_1": ("P@1", 3), "retrieval/precision_at_5": ("P@5", 3),
    "retrieval/precision_at_10": ("P@10", 3), "retrieval/precision_at_10_chance": ("chance", 3),
    "knn/error": ("kNN error (%)", 1), "linear_probe/error": ("probe error (%)", 1),
    "representation/size_r2": ("R² of angle", 2), "representation/size_spearman": ("rank corr.", 2),
    "representation/physical_size_r2": ("R² of size", 2),
    "representation/physical_size_spearman": ("its rank corr.", 2),
}  # fmt: skip


@dataclass(frozen=True)
class Written:
    """A table that was written and the sentence that its numbers give."""

    name: str
    title: str
    sentence: str


def write_tables(evaluation: Evaluation, pruning: Rows, curves: Rows, out: Path) -> list[Written]:
    """Write every table as csv, md and tex into ``out``; return what was written, with a sentence each.

    ``pruning``: rows of `measure_pruning`; ``curves``: rows of `anomaly_curves`.
    """
    n_runs = len(next(iter(evaluation.by_network.values())))
    over_sources, over_seeds = RUNS.format(runs=n_runs), SEEDS.format(runs=n_runs)
    written = []

    def put(name: str, sheet: Sheet, rows: Rows, sentence: str) -> None:
        write_sheet(out / name, sheet, rows)
        written.append(Written(name, sheet.title, sentence))

    rows = tables.calibration_rows(evaluation)
    names = ["test set", "network", "scaling"]
    caption = ["Error and calibration on MiraBest F", over_sources, "ECE and MCE: 15 equal-width bins; their intervals "
               "are mirrored against the upward bias and may lie below the value; perfect ECE: "
               "what a calibrated model would show at this n and these confidences; T: temperature, fitted on "
               "validation sources of the training split, intervals over runs"]  # fmt: skip
    put("calibration", make_pivot(rows, names, CALIBRATION, caption, label="calibration"), rows, say_calibration(rows))
    caption = ["Other calibration errors, and the Brier score in parts", over_sources,
               "Brier = reliability − resolution + uncertainty + a rest from inside the 10 bins"]  # fmt: skip
    rows = [r for r in rows if r["metric"] in PARTS]
    put("calibration_parts", make_pivot(rows, names, PARTS, caption, label="calibration-parts"), rows, say_parts(rows))

    rows = tables.uncertainty_rows(evaluation)
    caption = ["Uncertainty of 32 dropout samples, and selective prediction", over_seeds, "Overlap index of the two "
               "classes, edge-corrected and as published; (c)UCE: entropy / ln 2 against the share of wrong "
               "samples"]  # fmt: skip
    sheet = make_pivot(rows, names[:2], UNCERTAINTY, caption, label="uncertainty")
    put("uncertainty", sheet, rows, say_pairwise(rows, "uncertainty/predictive_entropy", "predictive entropy", "nat"))

    rows = tables.outside_rows(evaluation)
    caption = ["AUROC with which scores tell other sources from the confident test sources",
               "Scores are means over runs; brackets: 95 % intervals over sources, the wider of Newcombe's and "
               "DeLong's; 0.5 is chance",
               "Energy of the logits, entropy and mutual information of the samples, cosine distance to the fifth "
               "nearest training source; NVSS: FR-DEEP at the same field of view; false alarms: confident sources "
               "flagged where 95 % of the others are"]  # fmt: skip
    put("outside", make_pivot(rows, ["outside", "network"], OUTSIDE, caption, label="outside"), rows, say_outside(rows))

    rows = tables.conformal_rows(evaluation)
    caption = ["Conformal sets promised to hold the class of 90 % of the sources", f"Means over {n_runs} runs; "
               "brackets: Wilson 95 % intervals over sources", "Fitted on validation sources of the confident training "
               "split: the promise is for confident sources alone"]  # fmt: skip
    put("conformal", make_pivot(rows, names[:2], CONFORMAL, caption, label="conformal"), rows, say_conformal(rows))

    angles = tables.rotation_rows_of(evaluation)
    tables.write_all(out / "rotation_curves.csv", angles)
    rows = tables.rotation_summary(angles)
    caption = ["Answers on the confident test sources as they turn", over_seeds, "Mean over angles; range: largest "
               "minus smallest over angles; class flips: sources whose class differs from that at 0°; spread: standard "
               "deviation over angles of the probability of the true class, mean over sources"]  # fmt: skip
    put("rotation", make_pivot(rows, ["network"], ROTATION, caption, label="rotation"), rows, say_rotation(rows))

    sources = rotation_source_rows(evaluation)
    tables.write_all(out / "rotation_per_source.csv", sources)
    rows = rotation_source_summary(sources)
    caption = ["Each confident test source as it turns", over_seeds, "Shares of sources by the angles at which they "
               "are wrong; std: standard deviation over angles of a source's number, median over sources"]  # fmt: skip
    sheet = make_pivot(rows, ["network"], SOURCES, caption, label="rotation-sources")
    put("rotation_sources", sheet, rows, say_sources(rows))

    rows = tables.equivariance_rows(evaluation)
    put("equivariance", equivariance_sheet(rows, over_seeds), rows, say_equivariance(rows))

    network = evaluation.names[1]
    distances, shares = shift_rows(evaluation.by_network[network][0], 5 * evaluation.n_draws)
    write_shift_table(distances, out / "shift")
    title = f"Distance between data sets in the features of the {network}"
    written.append(Written("shift", title, say_shift(distances)))
    put("class_shares", shares_sheet(shares), shares, say_shares(shares))
    rows = share_rows(evaluation)
    caption = ["Class shares that a classifier tells of sets without labels", f"Means over {n_runs} runs; brackets: "
               "lowest and highest run", "Share of FRII by label, among the answers, and as expectation "
               "maximisation estimates it from the probabilities after temperature scaling and the class shares of the "
               "training sources"]  # fmt: skip
    sheet = make_pivot(rows, ["data", "network"], ESTIMATES, caption, label="class-share-estimates")
    put("class_share_estimates", sheet, rows, say_estimates(rows))

    rows = tables.representation_rows(evaluation)
    caption = ["What the features carry", over_seeds, "P@k: share of the k nearest training sources with the class of "
               "a test source; angle, size: ridge regression of the logarithm of the angular size and of the physical "
               "size (kpc at the redshift, Planck 2018) on the features of all test sources, out of fold"]  # fmt: skip
    sheet = make_pivot(rows, ["network"], REPRESENTATION, caption, label="representation")
    put("representation", sheet, rows, say_representation(rows))

    rows = cluster_rows(evaluation)
    put("clusters", cluster_sheet(rows), rows, say_clusters(rows))
    tables.write_all(out / "anomaly_curves.csv", curves)
    rows = anomaly_rows(curves)
    caption = ["Wanted sources found among the first that are looked at", f"Means over {n_runs} runs; brackets: "
               "lowest and highest run, of the random order its 95 % range", "Isolation forest on the features, "
               "without ratings; an active search that proposes five at a time and is told which are wanted; the "
               "entropy of the network's own answer"]  # fmt: skip
    sheet = make_pivot(rows, ["wanted", "network", "order"], ANOMALIES, caption, label="anomalies")
    put("anomalies", sheet, rows, say_anomalies(rows))
    put("pruning", pruning_sheet(pruning), pruning, say_pruning(pruning))

    pairs = [{"test set": test, **row} for test, (probability, y_N) in evaluation.answers_of().items()
             for row in compare_pairs(probability, y_N)]  # fmt: skip
    put("significance", significance_sheet(pairs, n_runs), pairs, say_significance(pairs))
    needed = [{"test set": pair["test set"], **row} for pair, row in zip(pairs, needed_sources(pairs), strict=True)]
    put("needed_sources", needed_sheet(needed), needed, say_needed(needed))
    return written


def equivariance_sheet(rows: Rows, over_seeds: str) -> Sheet:
    """Return the relative error of each layer, a column per angle."""
    angles = sorted({row["angle_deg"] for row in rows})
    lines: dict[tuple[str, str], dict[float, float]] = {}
    for row in rows:
        lines.setdefault((row["network"], row["what"]), {})[row["angle_deg"]] = row["value"]
    cells = [
        [*place, *(f"{at[a]:.1e}".replace("-", "−") if a in at else "–" for a in angles)] for place, at in lines.items()
    ]
    caption = ["Relative error of equivariance", over_seeds.split(";")[0], "|h(g x) − h(x)| / |h(x)| of features, "
               "|m(g x) − g m(x)| / |m(x)| of blocks, maps and attention maps (steerable blocks and maps at elements "
               "of the group alone; the channels of plain ones turn as scalars); off multiples of 90° it holds the "
               "interpolation of images and maps"]  # fmt: skip
    header = ["network", "what", *(f"{a:g}°" for a in angles)]
    return Sheet(caption[0], 2, header, [""] * len(header), cells, caption, label="equivariance")


def shares_sheet(rows: Rows) -> Sheet:
    """Return the class shares of each pair of sets."""
    lines = [
        [row["pair"], f"{row['first_FRI']}, {row['first_FRII']}", f"{row['second_FRI']}, {row['second_FRII']}",
         show_number(row["value"]), show_p(row["p_value"])]
        for row in rows
    ]  # fmt: skip
    caption = ["Class shares of the data sets", "Numbers of FRI and FRII; distance: total variation of the shares; p: "
               "chi-squared test that they are equal"]  # fmt: skip
    header = ["data", "first: FRI, FRII", "second: FRI, FRII", "distance", "p"]
    return Sheet(caption[0], 1, header, [""] * 5, lines, caption, label="class-shares")


def significance_sheet(rows: Rows, n_runs: int) -> Sheet:
    """Return every pair of networks: difference of error, tests, effect size."""
    lines, bold = [], set()
    for i, row in enumerate(rows):
        brier = show_interval({key: row[f"brier_{name}"] for key, name in
                               (("value", "difference"), ("low", "low"), ("high", "high"))})  # fmt: skip
        lines.append([
            row["test set"], f"{row['first']} − {row['second']}",
            f"{show_number(row['difference'], 1)} ± {show_number(row['half_width'], 1)}", show_p(row["p_holm"]),
            show_number(row["effect_size"], 1), f"{row['only_first']} : {row['only_second']}",
            show_p(row["mcnemar_p_holm"]), brier, str(row["n"]),
        ])  # fmt: skip
        if row["distinct"]:
            bold.add((i, 2))
    caption = [f"Differences between networks on the same sources, {n_runs} runs each",
               "Error difference with its 95 % interval over runs and sources, p after Holm over the pairs of a test "
               "set (bold: p < 0.05), effect size over runs",
               "McNemar test of the mean predictions: sources that only the first, only the second gets wrong, p after "
               "Holm; difference of the Brier score with its paired bootstrap interval"]  # fmt: skip
    header = ["test set", "pair", "error difference (%)", "p", "effect", "only wrong", "McNemar p",
              "Brier difference", "n"]  # fmt: skip
    return Sheet(caption[0], 2, header, [""] * len(header), lines, caption, bold, label="significance")


def needed_sheet(rows: Rows) -> Sheet:
    """Return how many test sources differences would need."""
    columns = [c for c in rows[0] if c.startswith("needed_") and c != "needed_measured"]
    lines = [
        [row["test set"], f"{row['first']}, {row['second']}", show_number(row["disagreement"], 1),
         *(f"{row[c]}" for c in columns), show_number(float(row["needed_measured"]), 0), str(row["n"])]
        for row in rows
    ]  # fmt: skip
    caption = ["Test sources that a difference of error would need", "McNemar's test at power 0.8 and level 0.05, at "
               "the measured disagreement of the two networks; the last columns: for the measured difference, and what "
               "there is"]  # fmt: skip
    header = ["test set", "pair", "disagree (%)", *(f"{c.removeprefix('needed_')} %" for c in columns), "measured", "n"]
    return Sheet(caption[0], 2, header, [""] * len(header), lines, caption, label="needed-sources")
