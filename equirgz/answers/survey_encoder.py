"""An encoder and a model for one's own survey: trained on sources as its beam, pixels and noise would show them.

A preset: the recipe of the shipped encoders (``benchmarks/encoders/radio.yaml``) with the survey of a FITS header.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.answers.fit import fit_source_model
from equirgz.answers.rules import words_of
from equirgz.answers.source_model import Sky, SourceModel
from equirgz.answers.tagging import describe_tags, simulate_tagged, teach_tags
from equirgz.backbones import load_encoder
from equirgz.backbones.storage import check_free
from equirgz.config import RunConfig, load_yaml, parse_run
from equirgz.data.simulate.stream import BLOCK, stream_sources
from equirgz.data.simulate.surveys import Survey, get_survey, list_surveys
from equirgz.errors import InputError
from equirgz.grid.plan.packaged import find_recipe
from equirgz.grid.single import train_one
from equirgz.metrics import format_value
from equirgz.metrics.error import ERROR_RATE
from equirgz.provenance import code_version
from equirgz.records import read_json, write_bytes_atomic

BEAMS, FEW, TOO_FEW = 2.0, 0.5, 0.05  # of a resolved source; shares below which a line warns, or a survey is refused
WINDOW_ARCSEC, WINDOW_PX = 146.0, (33, 301)  # what the encoders of FIRST see of a field
FIELD_PX = 150  # at least, in which noise and range are measured
PER_STEP, LEAST = 20, 240  # simulated sources a step of training, and for the read-outs at least
CARD = """# {name}

An encoder and read-outs of {classes} for {survey}: beam {beam:.3g} arcsec, pixels of {pixel:.3g} arcsec, noise
{noise:.3g} mJy/beam, {frequency:.4g} MHz. Trained on {n_train} simulated sources, {steps} updates; no pixel of a survey
is in it, and no real source: how it does on real ones is not known. Made by `equirgz pretrain`, version {version}.
{share:.0f} % of its simulated sources are larger than {beams:g} beams.{warned}

On {n_test} simulated sources that it has not seen:

| number | value |
| :-- | :-- |
{rows}

Temperature {temperature:.3f}. {rule}
{tags}"""


def read_survey(survey: Path | str, **options: float | None) -> Survey:
    """Return the survey of a FITS file (header, noise as measured) or of a name, with options over it."""
    given = {key: value for key, value in options.items() if value is not None}
    names = {name.lower(): name for name in list_surveys()}
    if str(survey).lower() in names:
        return get_survey(names[str(survey).lower()], **given)
    return Survey.from_fits(survey, **given)


def resolved_share(survey: Survey, labels: Any, n_blocks: int = 4) -> float:
    """Return the share of simulated sources, with the sizes of the survey, that are larger than two of its beams."""
    stream = stream_sources(survey, labels=labels, size_px=64, name="resolved")
    las = np.concatenate([stream.scene(block)[1].truth["las_arcsec"] for block in range(n_blocks)])
    return float((las > BEAMS * survey.beam_arcsec).mean())


def say_resolved(survey: Survey, labels: Any) -> tuple[float, str]:
    """Return the share of the sources that train which the beam resolves, and a line where it, or that of sources
    with the sizes of MiraBest's, is under a half.

    A survey's ``size_scale`` is that of a sample picked to be resolved; what its beam does to other sources is said.
    """
    beams = f"larger than {BEAMS:g} beams of {survey.beam_arcsec:.3g} arcsec"
    share = resolved_share(survey, labels)
    line = f"{100 * share:.0f} % of the simulated sources are {beams}" if share < FEW else ""
    if survey.size_scale != 1:
        plain = resolved_share(replace(survey, size_scale=1.0), labels)
        if plain < FEW:
            line = (
                f"{100 * plain:.0f} % of sources with the sizes of MiraBest's are {beams}; those that train are "
                f"{survey.size_scale:g} times as large, and {100 * share:.0f} % are"
            )
    return share, line


def make_config(survey: Survey, steps: int | None = None, seed: int = 0) -> tuple[RunConfig, str]:
    """Return the run that trains the encoder of a survey, and one line where few sources are resolved, else "".

    Raises InputError where under 5 % are.
    """
    fields = load_yaml(find_recipe("radio"))
    data, train = fields["data"], fields["train"]
    share, line = say_resolved(survey, data["params"]["labels"])
    if share < TOO_FEW:
        mend = "such a survey needs another question, or give --size-scale where its sources are larger"
        expected = f"{100 * TOO_FEW:.0f} % of the sources or more larger than {BEAMS:g} beams"
        raise InputError(f"survey {survey.name}", expected=expected, got=f"{100 * share:.1f} %", mend=mend)
    crop = WINDOW_ARCSEC * survey.size_scale / survey.pixel_scale_arcsec
    crop = int(np.clip(2 * round((crop - 1) / 2) + 1, *WINDOW_PX))
    numbers = {key: value for key, value in asdict(survey).items() if key not in ("name", "telescope", "source")}
    data["crop"] = crop
    train["steps"] = train["steps"] if steps is None else steps
    train["optimizer"]["warmup_steps"] = min(train["optimizer"]["warmup_steps"], train["steps"] // 10)
    n_train = int(np.clip(PER_STEP * train["steps"], BLOCK, data["params"]["n_train"]))
    data["params"] |= {
        "survey": {"name": "FIRST", **numbers}, "size_px": max(FIELD_PX, crop), "n_train": n_train, "seed": seed,
        "n_test": min(data["params"]["n_test"], max(BLOCK, n_train // 4)),
    }  # fmt: skip
    return parse_run(fields, survey.name), line


def pretrain_for_survey(
    survey: Survey,
    output: Path | str,
    *,
    steps: int | None = None,
    device: str = "cpu",
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> SourceModel:
    """Train an encoder for a survey and fit a model; return it, saved at ``output`` with a card.

    ``OUTPUT_training`` keeps the run and the encoder alone, and an interrupted training goes on from there. ``say``
    gets the warning that few sources are resolved, before the training. Raises InputError where under 5 % are, and
    where ``output`` has the name of a file that is no model's.
    """
    output = check_free(output, (".json", ".md")).with_suffix("")
    config, line = make_config(survey, steps, seed)
    if line:
        say(f"warning: {line}")
    work = output.with_name(f"{output.name}_training")
    if not (work / "run.json").is_file() or read_json(work / "config.json") != config.model_dump(mode="json"):
        train_one(config, work, device=device)
    run, encoder = read_json(work / "run.json"), load_encoder(work / "encoder").float()
    params = config.data.params
    sky = Sky(survey.name, survey.pixel_scale_arcsec, survey.beam_arcsec, params["size_px"])
    taught = {key: params[key] for key in ("labels", "mixture", "priors") if key in params}
    stream = stream_sources(survey, size_px=params["size_px"], name="answers", seed=seed, **taught)
    n_simulated = int(np.clip(params["n_train"], LEAST, 4500))
    simulated = stream.image_set(n_simulated)
    facts = {"name": output.name, "version": code_version(), "survey": asdict(survey), "run_key": run["run_key"]}
    model = fit_source_model(encoder, sky, encoder.facts["preprocessing"], simulated, facts=facts)
    model = teach_tags(model, simulate_tagged(survey, n_simulated, params["size_px"], seed))
    path = model.save(output)
    shown = (ERROR_RATE, "calibration/ece", "regression/spearman")
    rows = [
        f"| {row['metric']} | {format_value(row)} |"
        for row in run["rows"]
        if row["split"] == "test" and row["readout"] == "network" and row["angle_deg"] is None
        and row["metric"].startswith(shown) and row["value"] is not None
    ]  # fmt: skip
    card = CARD.format(
        name=output.name, classes=" and ".join(model.class_names), survey=survey.name, beam=survey.beam_arcsec,
        pixel=survey.pixel_scale_arcsec, noise=survey.noise_mjy_per_beam, frequency=survey.frequency_mhz,
        n_train=params["n_train"], steps=config.train.steps, version=facts["version"], n_test=params["n_test"],
        share=100 * resolved_share(survey, params["labels"]), beams=BEAMS,
        warned=f" Warning: {line}." if line else "", rows="\n".join(rows),
        temperature=float(model.classes.temperature), rule=words_of(model.rule),
        tags=describe_tags(model),
    )  # fmt: skip
    write_bytes_atomic(path.with_suffix(".md"), card.encode())
    return model
