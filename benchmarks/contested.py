"""``python -m benchmarks.contested``: committed answers beside published ones, and the sources that all call otherwise.

The published ones are the majority of ten fine-tuned networks of the foundation model (arXiv 2602.18923, 2509.11988),
matched to MiraBest F by position: ``published_predictions_mirabest.csv`` in the data root (columns source_id, split,
predicted, vote_fraction), which the package does not hold. Two files are written: how often each row of a committed
grid and the published majority err on the sources that both answer (exact McNemar test, bootstrap interval over
sources), and the sources on which no network agrees with the catalogue, with what is known to be wrong with them.
Nothing here chooses anything. Legend: S sources, R runs, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from benchmarks.answers.__main__ import show
from equirgz.data import ImageSet
from equirgz.data.datasets import DATASETS
from equirgz.data.root import data_root
from equirgz.data.sets.mirabest import FAULTS
from equirgz.errors import DataError, InputError
from equirgz.metrics.compare.bootstrap import bootstrap_interval
from equirgz.metrics.compare.paired import adjust_holm
from equirgz.metrics.compare.source_tests import mcnemar_test
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic
from equirgz.report.rows.results import open_results

GRIDS = ("foundation_cv", "cross_validation", "mirabest_d4", "foundation")
PUBLISHED = "published_predictions_mirabest.csv"
NAMING = ("backbone", "group", "start", "pretraining", "tuning", "method", "n_labels")
SPLITS = {"test": "MiraBest's test", "train": "MiraBest's training"}
CROP_ARCSEC, BEAM_ARCSEC = 81 * 1.8, 5.4
WORDS = """# Committed answers beside published ones

Made by `python -m benchmarks.contested --data-dir DATA`, equirgz {version},
from the committed predictions of {grids}.
Published: majority of ten fine-tuned networks of the foundation model (arXiv 2602.18923), among whose labels were
MiraBest's training sources, so that its error there flatters it. Ours: the most probable class of the mean
probability over seeds, each source answered by networks that have not seen it. Errors in %; difference: ours minus
published, with a 95 % bootstrap interval over sources; alone: wrong in ours only, in the published only; p of McNemar's
exact test, after Holm over the table.

{paired}

## Sources that all call otherwise

{n_all} of {n} confident sources are called otherwise than in MiraBest by every row that is tested on them: {names}.
Published: its majority and the share of its votes, a dash where it has none. Known: the faults that the data set
names, sources larger than the crop of 81 px, and a brightest pixel farther out than half the size and a beam.

{listed}
"""


def load_answers(folder: Path) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield the axes of a row of a grid of two classes, and its sources with target and answer.

    The answer is the most probable class of the mean probability over the row's runs.
    """
    results = open_results(folder)
    frame = results.predictions
    if frame is None or not {"target", "p0", "p1"} <= set(frame.columns):
        raise InputError(str(folder), expected="predictions of two classes", got="none")
    frame = frame[
        (frame["readout"] == "network") & (frame["split"] == "test") & (frame["data"] == "mirabest_confident")
    ]
    axes = [name for name in NAMING if name in frame]
    for values, of in frame.groupby(axes, sort=False, dropna=False):
        mean = of.groupby("source_id").agg(target=("target", "first"), p1=("p1", "mean"), runs=("p1", "size"))
        yield dict(zip(axes, values, strict=True)), mean.assign(answer=(mean["p1"] > 0.5).astype(int))


def load_published(path: Path) -> pd.DataFrame:
    """Return the published answers by source_id: split, answer (1 for FRII) and vote_fraction; DataError for others."""
    try:
        frame = pd.read_csv(path)
    except OSError as error:
        raise DataError(f"{path}: expected the published predictions, got {error.strerror}") from error
    missing = {"source_id", "split", "predicted", "vote_fraction"} - set(frame.columns)
    if missing or not set(frame["predicted"]) <= {"FRI", "FRII"} or frame["source_id"].duplicated().any():
        got = f"no column {', '.join(sorted(missing))}" if missing else "other classes, or a source twice"
        raise DataError(f"{path}: expected FRI or FRII per source, got {got}")
    return frame.assign(answer=(frame["predicted"] == "FRII").astype(int)).set_index("source_id")


def pair(ours: pd.DataFrame, published: pd.DataFrame, split: str) -> dict[str, Any] | None:
    """Return both errors on the sources of ``split`` that both answer, their difference and its test; None for none."""
    theirs = published[published["split"] == split].add_suffix("_published")
    both = ours.merge(theirs, left_index=True, right_index=True)
    if both.empty:
        return None
    wrong_S, theirs_S = (both[name].to_numpy() != both["target"].to_numpy() for name in ("answer", "answer_published"))
    test = mcnemar_test(wrong_S, theirs_S)
    found = bootstrap_interval(lambda a, b: 100 * float(np.mean(a) - np.mean(b)), wrong_S * 1.0, theirs_S * 1.0)
    return {"sources": SPLITS[split], "n": test.n, "ours": 100 * wrong_S.mean(), "published": 100 * theirs_S.mean(),
            "difference": found.value, "low": found.low, "high": found.high, "only_ours": test.only_first,
            "only_published": test.only_second, "p": test.p_value}  # fmt: skip


def list_contested(rows: list[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """Return the sources that every row (two at least) that answers them calls otherwise than the catalogue."""
    wrong = pd.concat([frame.assign(wrong=frame["answer"] != frame["target"]) for _, frame in rows])
    by_source = wrong.groupby("source_id").agg(
        target=("target", "first"), wrong=("wrong", "sum"), rows=("wrong", "size")
    )
    return by_source[(by_source["wrong"] == by_source["rows"]) & (by_source["rows"] > 1)].sort_index()


def describe(contested: pd.DataFrame, published: pd.DataFrame, root: Path | None) -> pd.DataFrame:
    """Return the contested sources with catalogue class, size, published votes and known faults; no pixels."""
    data = DATASETS.create("mirabest_confident", root)
    outside = brightest_outside([data.train, data.tests["test"]])
    part = dict.fromkeys(data.train.source_id_N, "training") | dict.fromkeys(data.tests["test"].source_id_N, "test")
    lines = []
    for name, row in contested.iterrows():
        las = float(name.rsplit("_", 1)[1])
        theirs = published.loc[name] if name in published.index else None
        known = [FAULTS[name]] if name in FAULTS else []
        known += [f"larger than the crop ({CROP_ARCSEC:.0f} arcsec)"] if las > CROP_ARCSEC else []
        known += ["brightest pixel outside the source"] if name in outside else []
        lines.append({
            "source": name, "MiraBest": ("FRI", "FRII")[int(row["target"])], "part": part[name], "las_arcsec": las,
            "rows": int(row["rows"]), "published": "–" if theirs is None else theirs["predicted"],
            "votes": np.nan if theirs is None else float(theirs["vote_fraction"]), "known": "; ".join(known) or "–",
        })  # fmt: skip
    return pd.DataFrame(lines)


def brightest_outside(sets: list[ImageSet]) -> set[str]:
    """Return the sources whose brightest pixel lies farther from the centre than half their size and a beam (5.4")."""
    found = set()
    for images in sets:
        side = images.image_size
        place_N = images.image_NHW.reshape(len(images), -1).argmax(1)
        radius_N = np.hypot(place_N // side - side / 2, place_N % side - side / 2) * images.pixel_scale_arcsec
        las_N = images.table["las_arcsec"].to_numpy(float)
        found |= set(images.source_id_N[radius_N > las_N / 2 + BEAM_ARCSEC])
    return found


def main(
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where MiraBest and the published answers are.")
    ] = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of the committed grids.")] = Path("results"),
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables.")] = Path("results/contested"),
) -> None:
    """Pair committed answers with the published ones, and list what all call otherwise than MiraBest."""
    root = data_root(data_dir)
    published = load_published(root / PUBLISHED)
    lines, tested = [], []
    for grid in GRIDS:
        for axes, frame in load_answers(results / grid):
            name = ", ".join(str(value) for value in axes.values())
            tested.append((f"{grid}: {name}", frame))
            for split in SPLITS if len(frame) > 500 else ("test",):
                found = pair(frame, published, split)
                if found is not None:
                    lines.append({"grid": grid, "row": name, **found})
    paired = pd.DataFrame(lines)
    paired["p_holm"] = adjust_holm(paired["p"].tolist())
    contested = list_contested(tested)
    listed, version = describe(contested, published, root), code_version()
    for name, table in (("paired", paired), ("contested", listed)):
        write_bytes_atomic(
            out / f"{name}.csv", table.assign(version=version).to_csv(index=False, float_format="%.4g").encode()
        )
    shown = paired.assign(
        difference=[f"{row.difference:+.1f} [{row.low:.1f}, {row.high:.1f}]" for row in paired.itertuples()],
        alone=[f"{row.only_ours} : {row.only_published}" for row in paired.itertuples()],
    )[["grid", "row", "sources", "n", "ours", "published", "difference", "alone", "p_holm"]]
    n = len(set().union(*(frame.index for _, frame in tested)))
    text = WORDS.format(
        version=version, grids=", ".join(GRIDS), paired=show(shown), n_all=len(listed), n=n,
        names=f"{len(tested)} rows", listed=show(listed),
    )  # fmt: skip
    write_bytes_atomic(out / "README.md", text.encode())
    print(text)


if __name__ == "__main__":
    typer.run(main)
