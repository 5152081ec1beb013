"""``python -m benchmarks.transfer``: what frozen features of shipped encoders tell of real sources, set by set.

A logistic regression reads them, its penalty chosen by cross-validation among the sources that it is told of: simulated
ones, so no real label at all; those of MiraBest; or those of the set itself. What is tested holds no source that it
was told of (by position, object and image). The features of the same network untrained stand beside them. Nothing here
chooses anything; the test set of MiraBest has been read for other networks before.
Legend: N labelled sources, M tested ones, F features, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from benchmarks.answers.__main__ import show
from equirgz.backbones import Backbone, load_encoder
from equirgz.backbones.storage import build_backbone
from equirgz.config import DataConfig, SplitConfig, load_yaml
from equirgz.data import Data, ImageSet, load_data, split_data
from equirgz.data.root import data_root
from equirgz.errors import InputError
from equirgz.evaluate import embed
from equirgz.evaluate.probe import linear_probe
from equirgz.metrics import compute_metrics
from equirgz.metrics.interval import student_interval, wilson_interval
from equirgz.provenance import code_version
from equirgz.records import gzip_bytes, write_bytes_atomic

RADIO = Path(__file__).parent / "encoders" / "radio.yaml"
ENCODERS = ("radio_d4_small", "radio_d8_small", "radio_d4_base")
COUNTS, SEEDS, FOLDS = (10, 25, 50, 145, None), (0, 1, 2), 5
N_SIMULATED = 4000
METRICS = ("error/rate", "nll/mean", "calibration/ece")
WORDS = """# What frozen features tell of real sources

Made by `python -m benchmarks.transfer --data-dir DATA`, equirgz {version}. Errors in % with Wilson's 95 % interval
over the tested sources, NLL in nat; 49 px of 81. Told: of which sources the logistic regression learnt the classes.

{transfer}

All 833 confident sources of MiraBest by {folds}-fold cross-validation, {seeds} seeds: error in %, mean ± half-width of
Student's 95 % interval over label sets and folds.

{counts}
"""


@dataclass(frozen=True)
class Trial:
    """Labelled sources by name, and tested ones by name; of the same classes."""

    told: str
    labelled: ImageSet
    tested: dict[str, ImageSet]


def load_sets(root: Path | None) -> tuple[Iterator[Trial], Data]:
    """Return what is told and tested, one after another, and the confident sources of MiraBest."""
    fields = load_yaml(RADIO)["data"]
    params = fields.pop("params")

    def load(name: str, **changes: Any) -> Data:
        return load_data(DataConfig(**fields | {"name": name} | changes), root)

    others: dict[str, dict[str, Any]] = {"radio_galaxy_dataset": {}, "frdeep_first": {}}
    mirabest = load("mirabest_confident", extra_tests=others, drop_leaks=True)

    def trials() -> Iterator[Trial]:
        simulated = load("synthetic_radio", params=params | {"n_train": N_SIMULATED, "n_test": 0, "seed": 1})
        everything = {"MiraBest confident, training": mirabest.train} | _named(mirabest.tests)
        yield Trial("simulated sources", simulated.train, everything)
        yield Trial("MiraBest, 729 training", mirabest.train, _named(mirabest.tests))
        classes = load("radio_galaxy_dataset", drop_leaks=True)
        yield Trial(
            "RadioGalaxyDataset, training", classes.train, {"RadioGalaxyDataset, 4 classes": classes.tests["test"]}
        )
        shift = load("frdeep_first_to_nvss", drop_leaks=True)
        names = {"test": "FR-DEEP FIRST, test", "test_shift": "FR-DEEP NVSS, test"}
        yield Trial("FR-DEEP FIRST, training", shift.train, {names[key]: images for key, images in shift.tests.items()})

    return trials(), mirabest


def _named(tests: dict[str, ImageSet]) -> dict[str, ImageSet]:
    """Return the tested sets that have classes, under the names of their sets."""
    words = {"test": "MiraBest confident, test", "test_uncertain": "MiraBest uncertain, test",
             "radio_galaxy_dataset": "RadioGalaxyDataset", "frdeep_first": "FR-DEEP FIRST"}  # fmt: skip
    parts: dict[str, list[tuple[str, ImageSet]]] = {}
    for key, images in tests.items():
        name = next(word for start, word in sorted(words.items(), reverse=True) if key.startswith(start))
        known = images.subset(np.flatnonzero(images.label_N >= 0))
        if len(known):
            parts.setdefault(name, []).append((key, known))
    found = {}
    for name, several in parts.items():
        for key, images in several:
            found[name if len(several) == 1 else f"{name}, {key.rpartition('_')[2]}"] = images
    return found


def read_trial(backbone: Backbone, trial: Trial) -> tuple[list[dict[str, Any]], list[pd.DataFrame]]:
    """Return a row for each tested set, and the probabilities of its sources."""
    labelled = trial.labelled
    h_NF, n_classes = embed(backbone, labelled.x_NCHW), len(labelled.class_names)
    rows, answers = [], []
    h_MF = {name: embed(backbone, images.x_NCHW) for name, images in trial.tested.items()}
    p_MK = linear_probe(h_NF, labelled.label_N, np.concatenate(list(h_MF.values())), n_classes=n_classes)
    start = 0
    for name, images in trial.tested.items():
        p, start = p_MK[start : start + len(images)], start + len(images)
        value = {row["metric"]: row["value"] for row in compute_metrics(p, images.label_N, list(METRICS))}
        right = len(images) * (1 - value["error/rate"] / 100)
        low, high = (100 * (1 - end) for end in reversed(wilson_interval(right, len(images))))
        rows.append({"told": trial.told, "tested": name, "n": len(images), "error": value["error/rate"], "low": low,
                     "high": high, "nll": value["nll/mean"], "ece": value["calibration/ece"]})  # fmt: skip
        columns = {f"p{k}": p[:, k] for k in range(n_classes)}
        ids = {"source_id": images.source_id_N, "target": images.label_N}
        answers.append(pd.DataFrame({"told": trial.told, "tested": name, **ids, **columns}))
    return rows, answers


def read_counts(backbone: Backbone, mirabest: Data, root: Path | None) -> list[dict[str, Any]]:
    """Return the errors by cross-validation over all confident sources, a row for each number of labels and seed."""
    known = [mirabest.train, mirabest.tests["test"]]
    feature = {
        name: h for images in known for name, h in zip(images.source_id_N, embed(backbone, images.x_NCHW), strict=True)
    }
    config, rows = DataConfig(**{**load_yaml(RADIO)["data"], "name": "mirabest_confident", "params": {}}), []
    plain = load_data(config, root)
    for count in COUNTS:
        for seed in SEEDS:
            wrong, n = 0, 0
            for fold in range(FOLDS):
                split = SplitConfig(n_labels=count, n_folds=FOLDS, fold=fold, split_seed=seed)
                data, chosen = split_data(plain, config, split)
                labelled, test = data.train.subset(chosen.train_index), data.tests["test"]
                h_NF, h_MF = (np.stack([feature[name] for name in part.source_id_N]) for part in (labelled, test))
                p_MK = linear_probe(h_NF, labelled.label_N, h_MF, n_classes=2)
                wrong, n = wrong + int((p_MK.argmax(1) != test.label_N).sum()), n + len(test)
            rows.append({"labels": count or "all", "seed": seed, "n": n, "error": 100 * wrong / n})
    return rows


def summarise(counts: pd.DataFrame) -> pd.DataFrame:
    """Return a line per network, a column per number of labels."""
    lines = []
    for network, of in counts.groupby("network", sort=False):
        line = {"network": network}
        for labels, errors in of.groupby("labels", sort=False)["error"]:
            found = student_interval(errors.to_numpy())
            line[f"{labels} labels"] = f"{found.mean:.1f} ± {found.half_width:.1f}"
        lines.append(line)
    return pd.DataFrame(lines)


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Encoders of FIRST, or their files; default: {', '.join(ENCODERS)}.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where the archives lie.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables.")] = Path("results/foundation_transfer"),
) -> None:
    """Measure frozen features on MiraBest, RadioGalaxyDataset and FR-DEEP, told nothing real or something."""
    root = data_root(data_dir)
    encoders = {Path(name).stem: load_encoder(name).float() for name in names or ENCODERS}
    for name, encoder in encoders.items():
        taught = (encoder.facts.get("preprocessing") or {}).get("pixel_scale_arcsec")
        if taught is None or abs(taught - 81 * 1.8 / 49) > 0.01 or "FIRST" not in encoder.facts.get("summary", ""):
            raise InputError(name, expected="an encoder of simulated FIRST sources, 49 px of 81", got=encoder.facts)
    first = next(iter(encoders.values()))
    networks = encoders | {"untrained D4": build_backbone(first.config).eval()}
    trials, mirabest = load_sets(root)
    rows, answers = [], []
    for trial in trials:
        for name, backbone in networks.items():
            found, told = read_trial(backbone, trial)
            rows += [{"network": name, **row} for row in found]
            answers += [frame.assign(network=name) for frame in told]
    counts = pd.DataFrame([
        {"network": name, **row} for name, backbone in networks.items() for row in read_counts(backbone, mirabest, root)
    ])  # fmt: skip
    table, version = pd.DataFrame(rows), code_version()
    for name, frame in (("rows", table), ("counts", counts)):
        text = frame.assign(version=version).to_csv(index=False, float_format="%.5g")
        write_bytes_atomic(out / f"{name}.csv", text.encode())
    every = pd.concat(answers)
    every = every[["network", *(column for column in every if column != "network")]]
    write_bytes_atomic(out / "predictions.csv.gz", gzip_bytes(every.to_csv(index=False, float_format="%.4g").encode()))
    shown = table.assign(**{"error": [
        f"{row.error:.1f} [{row.low:.1f}, {row.high:.1f}]" for row in table.itertuples()
    ]}).drop(columns=["low", "high"])  # fmt: skip
    text = WORDS.format(
        version=version, transfer=show(shown), counts=show(summarise(counts)), folds=FOLDS, seeds=len(SEEDS)
    )
    write_bytes_atomic(out / "README.md", text.encode())
    print(text)


if __name__ == "__main__":
    typer.run(main)
