"""``equirgz data cutouts``: images of the sources of a catalogue, from SkyView."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from equirgz.cli.network import report_bad_files
from equirgz.cli.options import path_argument, path_option


def cutouts(
    catalogue: Annotated[
        Path, path_argument(help="Text, FITS table, VOTable or Parquet with positions in degrees or sexagesimal.")
    ],
    output: Annotated[Path, path_option("-o", "--output", help="Folder for one FITS file per source.")],
    survey: Annotated[str, typer.Option("--survey", help="first or nvss.")] = "first",
    size: Annotated[int, typer.Option("--size", help="Side of a cutout, pixels.")] = 300,
    pixel_scale: Annotated[
        float | None, typer.Option("--pixel-scale", help="Side of a pixel, arcsec; default: the survey's.")
    ] = None,
    rate: Annotated[float, typer.Option("--rate", help="Requests per second, at most.")] = 1.0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="How the catalogue is read, e.g. id_column=Name, ra_column=3, header=false; repeatable.",
        ),
    ] = None,
) -> None:
    """Fetch a cutout per catalogued source from SkyView (needs the extra `astro` and a network).

    Files are named by the catalogue's ids, else by position. Those that are there already are kept: an
    interrupted call goes on where it stopped. Failures are listed in failed.txt; exit 1 where there are any.
    """
    import numpy as np

    from equirgz.config import parse_setting
    from equirgz.data.catalogues.catalogue import (
        ID_NAMES,
        CatalogueOptions,
        find_column,
        get_ids,
        get_positions,
        read_catalogue,
    )
    from equirgz.data.sky.remote import fetch_cutouts, position_name
    from equirgz.registry import call_checked

    told = dict(parse_setting(text) for text in settings or ())
    columns = call_checked("data cutouts --set", CatalogueOptions, **told)
    table = read_catalogue(catalogue, columns)
    where = {"ra": columns.ra_column, "dec": columns.dec_column}
    position_deg_N2 = get_positions(table, **where, source=str(catalogue))
    if find_column(table, ID_NAMES, columns.id_column) is None:
        names = [position_name(ra, dec) for ra, dec in position_deg_N2]
    else:
        names = [file_name(str(source)) for source in get_ids(table, column=columns.id_column)]
    known_N = np.isfinite(position_deg_N2).all(1)
    for name in np.array(names)[~known_N]:
        typer.echo(f"left out {name}: no position", err=True)
    chosen = [name for name, known in zip(names, known_N, strict=True) if known]
    with typer.progressbar(length=len(chosen), label=f"{survey} cutouts", file=sys.stderr) as bar:
        report = fetch_cutouts(
            position_deg_N2[known_N], output, names=chosen, survey=survey, size=size,
            pixel_scale_arcsec=pixel_scale, requests_per_s=rate, progress=lambda done, total: bar.update(1),
        )  # fmt: skip
    typer.echo(f"{report.lines()[0]} -> {output}")
    report_bad_files(report.failed, output / "failed.txt")
    if report.failed or not known_N.all():
        raise typer.Exit(1)


def file_name(source_id: str) -> str:
    """Return a source's id as a plain file name without ending: what a path could mean becomes ``_``.

    >>> file_name("J1234+56/a.fits")
    'J1234+56_a'
    """
    stem = re.sub(r"\.fits?(\.gz)?$", "", source_id.strip(), flags=re.IGNORECASE)
    return re.sub(r"[^\w.+-]+|^\.+", "_", stem) or "_"
