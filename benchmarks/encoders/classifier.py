"""``python -m benchmarks.encoders.classifier NAME ...``: what ``equirgz classify`` reads, made of shipped encoders.

Encoders stay as they are. Classes are a logistic regression on the 729 confident training sources of MiraBest for an
encoder of FIRST, else on simulated sources of its survey; nothing is fitted, chosen or measured on a test source. Takes
two minutes each.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.encoders.__main__ import ENCODERS, HERE
from benchmarks.encoders.card import make_table
from equirgz.answers.fit import fit_source_model, out_of_fold
from equirgz.answers.rules import words_of
from equirgz.answers.source_model import Sky, SourceModel
from equirgz.answers.tagging import describe_tags, simulate_tagged, teach_tags
from equirgz.backbones import load_encoder
from equirgz.config import load_yaml, parse_setting, set_dotted
from equirgz.data import ImageSet, load_data
from equirgz.data.root import data_root
from equirgz.data.simulate.stream import stream_sources
from equirgz.data.simulate.surveys import get_survey
from equirgz.metrics import compute_metrics
from equirgz.pretrained import WEIGHTS, find_weights
from equirgz.provenance import code_version, package_versions

RAW = {"image_size": 150, "crop": None, "stretch": "linear", "mask": False, "normalise": False}
N_SIMULATED, N_FRESH, N_TAGGED = 4500, 1000, 3000
NUMBERS = ("error/rate", "nll/mean", "calibration/ece")
CARD = """# {name}

What `equirgz classify` reads: the encoder `{encoder}` with read-outs of {classes} on images of {survey}
({pixel:g} arcsec pixels, beam {beam:g} arcsec), size, core share and bending.

- **Made by** `python -m benchmarks.encoders.classifier {name}`, version {version}; {packages}.
- **Classes**: a logistic regression on frozen features of {n_labelled} sources ({labelled}), the mean over {turns}
  turns; temperature {temperature:.3f}, fitted on logits of 5 folds, each without the sources that it answers for.
- **Numbers**: ridge regressions on features and measures of {n_simulated} simulated sources; intervals are the 16 % and
  84 % quantiles of the residuals of sources that fitted nothing{las}.
- **Rule**: {rule}
- **Licence** BSD-3-Clause, as the package. Features, names and classes of the labelled sources are in it, no pixel.

## On the sources that it was fitted on, each answered without its fold

{classes_table}

## Numbers of {n_fresh} simulated sources that it has not seen

{numbers_table}
{tags}"""


def make_classifier(name: str, encoder: Path, simulated: dict[str, Any], data_dir: Path | None) -> SourceModel:
    """Return the model of one encoder, which sources of the parameters ``simulated`` of `synthetic_radio` trained.

    Where no real source teaches the classes, sources as plain as those of the training do; else sizes are learnt on
    sources as the sky has them.
    """
    network = load_encoder(encoder).float()
    chosen, labels = get_survey(simulated["survey"]), simulated["labels"]
    sky = Sky(chosen.name, chosen.pixel_scale_arcsec, chosen.beam_arcsec)
    labelled, taught = None, {key: simulated[key] for key in ("mixture", "priors") if key in simulated}
    if chosen.name == "FIRST":
        taught = {}
        labelled = load_data("mirabest_confident", data_root(data_dir), **RAW).train
    facts = {
        "name": name, "encoder": name, "version": code_version(), "packages": package_versions(),
        "summary": f"{' or '.join(labels)} on images of {chosen.name}",
    }  # fmt: skip
    stream = stream_sources(chosen, labels=labels, size_px=sky.field_px, name="answers", seed=0, **taught)
    images = stream.image_set(N_SIMULATED)
    model = fit_source_model(network, sky, network.facts["preprocessing"], images, labelled, facts=facts)
    fresh = stream.image_set(N_FRESH, start=10 * N_SIMULATED)
    measured = {"classes": measure_classes(model, labelled or images), "numbers": measure_numbers(model, fresh)}
    return add_tags(replace(model, facts={**model.facts, **measured}))


def add_tags(model: SourceModel) -> SourceModel:
    """Return a model that tells tags besides, learnt from simulated sources of its survey."""
    return teach_tags(model, simulate_tagged(model.sky.survey, N_TAGGED, model.sky.field_px))


def measure_classes(model: SourceModel, images: ImageSet) -> list[dict[str, Any]]:
    """Return rows (sources, number, value, unit, n) of out-of-fold answers, all and those that the rule lets pass."""
    p_NK = out_of_fold(model, images)
    sure_N = p_NK.max(1) >= model.rule["min_probability"]
    rows = []
    for sources, chosen_N in (("all", np.ones(len(p_NK), bool)), ("with a probability of the rule", sure_N)):
        rows += [
            {"sources": sources, **{key: row[key] for key in ("metric", "value", "unit")}, "n": int(chosen_N.sum())}
            for row in compute_metrics(p_NK[chosen_N], images.label_N[chosen_N], list(NUMBERS))
        ]
    return rows


def measure_numbers(model: SourceModel, images: ImageSet) -> list[dict[str, Any]]:
    """Return per number its median absolute error, rank correlation, and the share of truths in the 68 % interval."""
    from scipy.stats import spearmanr

    found = model.numbers.answers(
        np.concatenate([model.features(images), model.measure(images)], 1), model.number_names
    )
    rows = []
    for name in model.number_names:
        true_N = images.table[name].to_numpy(float)
        inside_N = (found[f"{name}_low"] <= true_N) & (true_N <= found[f"{name}_high"])
        rows.append({
            "number": name, "median_error": float(np.median(np.abs(found[name] - true_N))),
            "spearman": float(spearmanr(found[name], true_N)[0]), "inside": float(inside_N.mean()), "n": len(true_N),
        })  # fmt: skip
    return rows


def write_card(path: Path, model: SourceModel) -> None:
    """Write ``path``.md."""
    facts, sky = model.facts, model.sky
    text = CARD.format(
        name=path.name, encoder=facts["encoder"], classes=" and ".join(model.class_names), survey=sky.survey,
        pixel=sky.pixel_scale_arcsec, beam=sky.beam_arcsec, version=facts["version"],
        packages=", ".join(f"{key} {value}" for key, value in facts["packages"].items()),
        n_labelled=facts["n_labelled"], labelled=facts["labelled"], turns=facts["turns"],
        temperature=float(model.classes.temperature), n_simulated=facts["n_simulated"], rule=words_of(model.rule),
        las=", of the size of the LAS that MiraBest gives its training sources" if model.real is not None else "",
        n_fresh=facts["numbers"][0]["n"],
        classes_table=make_table(("sources", "number", "value", "n"), [
            (row["sources"], row["metric"], f"{row['value']:.3g} {row['unit']}".removesuffix(" 1"), str(row["n"]))
            for row in facts["classes"]
        ]),
        numbers_table=make_table(("number", "median absolute error", "rank correlation", "inside its 68 % interval"), [
            (row["number"], f"{row['median_error']:.3g}", f"{row['spearman']:.2f}", f"{100 * row['inside']:.0f} %")
            for row in facts["numbers"]
        ]),
        tags=describe_tags(model),
    )  # fmt: skip
    path.with_name(f"{path.name}.md").write_text(text, encoding="utf-8")


def simulator_of(name: str) -> dict[str, Any]:
    """Return the parameters of `synthetic_radio` that the encoder called ``name`` was trained on."""
    fields = load_yaml(HERE / "radio.yaml")
    for setting in ENCODERS.get(name, ()):
        set_dotted(fields, *parse_setting(setting))
    return fields["data"]["params"]


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Encoders; default: all that are shipped.")] = None,
    encoder: Annotated[Path | None, typer.Option("--encoder", help="File of the one encoder, if not shipped.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where MiraBest lies.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where the files go; default: into the package.")] = None,
    tags_only: Annotated[bool, typer.Option("--tags-only", help="Learn the tags anew, and keep all else.")] = False,
) -> None:
    """Fit, measure and describe the models of ``equirgz classify``."""
    folder = out or WEIGHTS / "classifiers"
    for name in names or [name for name in ENCODERS if (WEIGHTS / f"{name}.safetensors").is_file()]:
        if tags_only:
            model = add_tags(SourceModel.load(folder / name))
        else:
            model = make_classifier(name, encoder or find_weights(name), simulator_of(name), data_dir)
        model.save(folder / name)
        write_card(folder / name, model)
        print(f"{name}: {folder / name}.md")


if __name__ == "__main__":
    typer.run(main)
