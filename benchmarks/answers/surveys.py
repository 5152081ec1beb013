"""``python -m benchmarks.answers.surveys``: encoders for NVSS and MGCLS, trained and tried on real images of both.

Each is what ``equirgz pretrain --survey NAME`` makes; no real source trains it or chooses anything. Cards and one table
go into ``results/answers/surveys``, weights stay in ``runs/surveys``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from benchmarks.answers.__main__ import show
from benchmarks.answers.reliability import measure_set
from equirgz.answers.inputs import Given
from equirgz.answers.source_model import SourceModel
from equirgz.answers.survey_encoder import pretrain_for_survey, read_survey
from equirgz.data import ImageSet
from equirgz.data.datasets import DATASETS
from equirgz.data.root import data_root
from equirgz.errors import check_choice
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic

#: name of the model -> (survey, options over it, what it answers about)
MODELS: dict[str, tuple[str, dict[str, float], str]] = {
    "nvss": ("NVSS", {}, "frdeep_nvss"),
    "nvss_plain_sizes": ("NVSS", {"size_scale": 1.0}, "frdeep_nvss"),
    "mgcls": ("MGCLS", {}, "mgcls_extended"),
}
WORDS = """# Encoders for other surveys

Made by `python -m benchmarks.answers.surveys --steps {steps}`, equirgz {version}: each model by
`equirgz pretrain --survey NAME --steps {steps}` ({options}), from simulated sources
alone, and then asked about real images, which chose nothing. Errors in %, NLL in nat; told: sources of which the rule
lets something be told. {nvss}Cutouts of MGCLS have no
class, and grow with their source: their scale is not that of the survey.

{table}
"""


def real_images(name: str, root: Path | None) -> tuple[ImageSet, dict[str, float]]:
    """Return images of a survey, and what a user says of them."""
    data = DATASETS.create(name, root)
    if name == "frdeep_nvss":
        return data.train.joined(data.tests["test"], "frdeep_nvss"), {"beam_arcsec": read_survey("NVSS").beam_arcsec}
    survey, images = read_survey("MGCLS"), data.train
    told = {"beam_arcsec": survey.beam_arcsec, "pixel_scale_arcsec": survey.pixel_scale_arcsec}
    return images.subset(np.arange(0, len(images), 4)), told


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(MODELS)}; default: all.")] = None,
    steps: Annotated[int, typer.Option("--steps", help="Updates of each.")] = 1000,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where the archives lie.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for cards and table.")] = Path("results/answers/surveys"),
    work: Annotated[Path, typer.Option("--work", help="Folder for weights.")] = Path("runs/surveys"),
) -> None:
    """Train encoders for surveys, and ask them about real images."""
    rows, majority = [], ""
    for name in names or MODELS:
        survey, options, asked = MODELS[check_choice("model", name, MODELS)]
        model = pretrain_for_survey(read_survey(survey, **options), work / name, steps=steps, say=print)
        images, told = real_images(asked, data_root(data_dir))
        rows.append({"model": name, "images": asked, **measure_set(model, images, Given(**told))[0]})
        if asked == "frdeep_nvss":
            majority = f"{100 * np.bincount(images.label_N).max() / len(images):.1f}"
        write_bytes_atomic(out / f"{name}.md", (work / f"{name}.md").read_bytes())
    if majority:
        images, _ = real_images("frdeep_nvss", data_root(data_dir))
        as_first = Given(beam_arcsec=5.4, pixel_scale_arcsec=1.8)
        row = measure_set(SourceModel.load("radio_d4_small"), images, as_first)[0]
        rows.append({"model": "radio_d4_small, told that it is FIRST", "images": "frdeep_nvss", **row})
    table = pd.DataFrame(rows)
    write_bytes_atomic(out / "real.csv", table.to_csv(index=False, float_format="%.5g").encode())
    options = "; ".join(f"{name}: {', '.join(f'{k}={v:g}' for k, v in MODELS[name][1].items()) or 'as named'}"
                        for name in names or MODELS)  # fmt: skip
    text = WORDS.format(
        steps=steps,
        version=code_version(),
        options=options,
        nvss=majority and f"Of all sources of FR-DEEP NVSS {majority} % are of one class. ",
        table=show(table),
    )
    write_bytes_atomic(out / "README.md", text.encode())
    print(text)


if __name__ == "__main__":
    typer.run(main)
