"""``equirgz finetune | anomalies | pretrain``: what one's own labels, ratings and survey teach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equirgz.cli.answers.classify import (
    Beam,
    Catalogue,
    Images,
    Model,
    PixelScale,
    Settings,
    one_or_all,
    read_given,
)
from equirgz.cli.options import Device, choose_device, path_option


def finetune(
    images: Images,
    labels: Annotated[Path, path_option("--labels", help="CSV with source_id and label, as the page exports it.")],
    output: Annotated[Path, path_option("-o", "--output", help="Stem of the model: .safetensors, .json, .md.")],
    model: Model = "auto",
    pixel_scale: PixelScale = None,
    beam: Beam = None,
    catalogue: Catalogue = None,
    settings: Settings = None,
) -> None:
    """Learn the classes of a few labelled sources, on frozen features; `equirgz classify --model` takes the result."""
    from equirgz.answers.from_marks import finetune_folder
    from equirgz.backbones.storage import weights_path
    from equirgz.metrics import format_value

    given = read_given(pixel_scale, beam, catalogue, settings)
    own, rows = finetune_folder(one_or_all(images), labels, output, model, given)
    numbers = ", ".join(f"{row['metric']} {format_value(row)}" for row in rows)
    typer.echo(f"{own!r}: {numbers} of {rows[0]['n']} labelled sources, each answered without its fold")
    saved = weights_path(output)
    typer.echo(f"model {saved.with_suffix('')}, card {saved.with_suffix('.md')}")


def anomalies(
    images: Images,
    ratings: Annotated[
        Path | None, path_option("--ratings", help="CSV with source_id and rating (higher: more interesting).")
    ] = None,
    output: Annotated[Path | None, path_option("-o", "--output", help="Also write the whole order as a table.")] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many sources to list.")] = 20,
    model: Model = "auto",
    pixel_scale: PixelScale = None,
    beam: Beam = None,
    catalogue: Catalogue = None,
    settings: Settings = None,
) -> None:
    """List the strangest sources, or after ratings those that may be rated highest of all that are not rated yet."""
    from equirgz.answers.from_marks import rank_anomalies
    from equirgz.answers.table_files import check_table_path, write_table
    from equirgz.cli.network import report_bad_files

    if output is not None:
        check_table_path(output)
    given = read_given(pixel_scale, beam, catalogue, settings)
    table = rank_anomalies(one_or_all(images), ratings, model, given)
    unrated = table[table["rating"].isna()]
    for row in unrated.head(n).itertuples():
        typer.echo(f"{row.interest:8.3f}  {row.id}")
    typer.echo(f"{len(unrated)} of {len(table)} sources not rated yet")
    if output is not None:
        write_table(table, output)
        typer.echo(f"table {output}")
    report_bad_files(table.attrs["left_out"])


def pretrain(
    survey: Annotated[
        str, typer.Option("--survey", help="A FITS image of the survey (beam, pixels, noise), or a name such as NVSS.")
    ],
    output: Annotated[Path, path_option("-o", "--output", help="Stem of the model: .safetensors, .json, .md.")],
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Updates; default: those of the recipe.")] = None,
    pixel_scale: PixelScale = None,
    beam: Beam = None,
    noise: Annotated[float | None, typer.Option("--noise", metavar="MJY", help="Noise, mJy/beam.")] = None,
    frequency: Annotated[float | None, typer.Option("--frequency", metavar="MHZ", help="Frequency, MHz.")] = None,
    size_scale: Annotated[
        float | None, typer.Option("--size-scale", help="Sizes of its sources over those of MiraBest's.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Train an encoder for another survey on simulated sources, and a model for `equirgz classify`, with its card.

    A source that the beam does not resolve teaches nothing: a line says how many do; under 5 % are refused.
    """
    from equirgz.answers.survey_encoder import pretrain_for_survey, read_survey
    from equirgz.backbones.storage import weights_path

    chosen = read_survey(
        survey, pixel_scale_arcsec=pixel_scale, beam_arcsec=beam, noise_mjy_per_beam=noise, frequency_mhz=frequency,
        size_scale=size_scale,
    )  # fmt: skip
    model = pretrain_for_survey(
        chosen, output, steps=steps, device=choose_device(device), say=lambda line: typer.echo(line, err=True)
    )
    typer.echo(f"{model!r}: beam {chosen.beam_arcsec:.3g} arcsec, pixels of {chosen.pixel_scale_arcsec:.3g} arcsec")
    saved = weights_path(output)
    typer.echo(f"model {saved.with_suffix('')}, card {saved.with_suffix('.md')}")
