"""``python -m benchmarks.answers MODEL``: what the answers of a shipped model are worth, into ``results/answers``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from benchmarks.answers.ratings import measure_ratings
from benchmarks.answers.reliability import measure_reliability, out_of_fold_of
from benchmarks.encoders.card import make_table
from equirgz.answers.classify_images import classify_sources
from equirgz.answers.source_model import SourceModel
from equirgz.data.root import data_root
from equirgz.data.sets.mirabest import parse_name
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic

WORDS = """# What the answers of {name} are worth

Made by `python -m benchmarks.answers {model}`, equirgz {version}. Nothing here
chose anything. told: sources of which the rule lets something be told; shares of 1, errors in %, NLL in nat.
las_inside: share of the catalogue's sizes within the 68 % interval; las_ratio: median of answered over catalogued size.

{reliability}

Ratings: mean number of sources with a score of 4 or 5 among the first 100 that were not rated, {n} seeds, with
Student's 95 % interval (20 random ratings, then 5 rounds of 10 proposed ones).

{ratings}
{fits}"""


def main(
    model: Annotated[str, typer.Argument(help="A shipped model, or where one lies.")] = "radio_d4_small",
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where the archives lie.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables.")] = Path("results/answers"),
    fits: Annotated[Path | None, typer.Option("--fits", help="A folder of FITS named as MiraBest names them.")] = None,
) -> None:
    """Measure a model on MiraBest, RadioGalaxyDataset, FR-DEEP, NVSS and MGCLS, and the search for anomalies."""
    root, chosen = data_root(data_dir), SourceModel.load(model)
    rows, bins = measure_reliability(chosen, root)
    ratings = measure_ratings(chosen, root)
    for name, table in (("reliability", rows), ("bins", bins), ("ratings", ratings)):
        write_bytes_atomic(out / f"{name}.csv", table.to_csv(index=False, float_format="%.5g").encode())
    text = WORDS.format(
        name=(chosen.facts or {}).get("name", model), model=model, version=code_version(), n=ratings["n_seeds"][0],
        reliability=show(rows), ratings=show(ratings[["what", "mean", "half_width"]]),
        fits="" if fits is None else words_of_folder(chosen, fits),
    )  # fmt: skip
    write_bytes_atomic(out / "README.md", text.encode())
    print(text)


def show(table: pd.DataFrame) -> str:
    """Return a Markdown table, numbers to three digits, a dash for what there is not."""

    def word(value: object) -> str:
        missing = value is None or value != value
        return "–" if missing else f"{value:.3g}" if isinstance(value, float) else str(value)

    return make_table(tuple(table.columns), [tuple(map(word, row)) for row in table.itertuples(index=False)])


def words_of_folder(model: SourceModel, folder: Path) -> str:
    """Return one line on the confident sources of a folder, each answered by a read-out that has not seen it."""
    found = classify_sources(folder, model, alike=0)
    p_NK = out_of_fold_of(model, found)
    right, told = [], []
    for i, name in enumerate(found.table["id"]):
        code = int(parse_name(name)["code"])  # of MiraBest: 1xx FRI, 2xx FRII, x1x uncertain
        if code // 100 not in (1, 2) or (code // 10) % 10 == 1:
            continue
        right.append(model.class_names[p_NK[i].argmax()] == ("FRI" if code < 200 else "FRII"))
        told.append(not found.table["cannot_tell"][i])
    right_told = sum(r for r, t in zip(right, told, strict=True) if t)
    line = f"{sum(right)} of {len(right)} confident sources right, {right_told} of the {sum(told)} told"
    return f"\nOf the folder of FITS, out of fold: {line}.\n"


if __name__ == "__main__":
    typer.run(main)
