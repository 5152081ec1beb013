"""``python -m benchmarks.answers.real_tags``: what tags learnt of simulated sources say of real ones.

Training sources of MiraBest F, of which neither encoder nor tags have seen any; the test set is not read. Bent are the
sources that its experts call wide-angle or head tails, large and small those of its sizes, by the limits of the tags.
Other sources may be bent and not called tails, so that precision is a lower bound there. Half a minute of one core.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from equirgz.answers.linear_readouts import SAID
from equirgz.answers.source_model import TURNS, SourceModel
from equirgz.answers.tagging import regressors
from equirgz.data import load_data
from equirgz.data.imageset import ImageSet
from equirgz.data.root import data_root
from equirgz.metrics.compare.bootstrap import bootstrap_interval
from equirgz.metrics.interval import wilson_interval
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic

RAW = {"image_size": 150, "crop": None, "stretch": "linear", "mask": False, "normalise": False}
TAILS = ("102", "104", "112", "114")  # confident and uncertain, wide-angle and head tails
LARGE_ARCSEC, SMALL_ARCSEC = 90.0, 25.0


def real_tags(images: ImageSet) -> dict[str, np.ndarray]:
    """Return which sources bear a tag by MiraBest's catalogue, NaN where it does not say."""
    las_N = images.table["las_arcsec"].to_numpy(float)
    las_N = np.where(las_N > 0, las_N, np.nan)
    sized = {
        "large": np.where(np.isnan(las_N), np.nan, las_N > LARGE_ARCSEC),
        "small": np.where(np.isnan(las_N), np.nan, las_N < SMALL_ARCSEC),
    }
    return {"bent": images.table["code"].astype(str).isin(TAILS).to_numpy(float), **sized}


def ranked_right(p_N: np.ndarray, is_N: np.ndarray) -> float:
    """Return the chance that a bearer has the higher probability than another source (area under the ROC curve)."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_N, p_N)) if 0 < is_N.sum() < len(is_N) else float("nan")


def table(model: SourceModel, images: ImageSet) -> list[str]:
    """Return the lines of a Markdown table."""
    p_NT = model.tags.probability(regressors(model, images, TURNS))
    lines = ["| tag | bear it | precision | recall | area under the ROC curve |", "| :-- | --: | --: | --: | --: |"]
    for tag, is_N in real_tags(images).items():
        if tag not in model.tag_names:
            continue
        known_N = np.isfinite(is_N)
        p_N, is_N = p_NT[known_N, model.tag_names.index(tag)], is_N[known_N] == 1
        right, said, bearing = int(((p_N >= SAID) & is_N).sum()), int((p_N >= SAID).sum()), int(is_N.sum())
        cells = [f"{right / n:.2f} ({low:.2f} to {high:.2f})" for n in (said, bearing)
                 for low, high in [wilson_interval(right, n)]]  # fmt: skip
        area = bootstrap_interval(ranked_right, p_N, is_N, n_draws=300, lowest=0.0, highest=1.0)
        cells.append(f"{area.value:.2f} ({area.low:.2f} to {area.high:.2f})")
        lines.append(f"| {tag} | {bearing} of {len(is_N)} | " + " | ".join(cells) + " |")
    return lines


def main(
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where MiraBest lies.")] = None,
    name: Annotated[str, typer.Option("--model", help="The model whose tags are told.")] = "radio_d4_small",
    out: Annotated[Path, typer.Option("--out", help="Folder of tags.md.")] = Path("results/answers"),
) -> None:
    """Measure tags on real sources."""
    images = load_data("mirabest_all", data_root(data_dir), **RAW).train
    text = "\n".join([
        f"Tags of `{name}`, learnt of simulated sources, on {len(images)} training sources of MiraBest F "
        "(`python -m benchmarks.answers.real_tags`).", "",
        *table(SourceModel.load(name), images), "",
        "With 95 % intervals over sources. Bent: wide-angle and head tails of the catalogue; others may be bent too, "
        f"so that precision is a lower bound. equirgz {code_version()}.", "",
    ])  # fmt: skip
    write_bytes_atomic(out / "tags.md", text.encode())
    print(text)


if __name__ == "__main__":
    typer.run(main)
