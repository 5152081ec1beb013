"""``equirgz classify``: answers about one's own images, as a table and as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equirgz.cli.options import path_argument, path_option

Images = Annotated[
    list[Path],
    path_argument(metavar="INPUT...", help="A folder of FITS or pictures, files, an .npz or .h5; or mosaics."),
]
Model = Annotated[
    str,
    typer.Option("--model", help="A shipped model, where one lies, or auto: the shipped one of the nearest beam."),
]
PixelScale = Annotated[
    float | None, typer.Option("--pixel-scale", metavar="ARCSEC", help="Side of a pixel, in place of the header's.")
]
Beam = Annotated[
    float | None, typer.Option("--beam", metavar="ARCSEC", help="FWHM of the beam, in place of the header's.")
]
Catalogue = Annotated[
    Path | None, path_option("--catalogue", help="Positions of sources to cut from INPUT, which are mosaics then.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="How files are read, e.g. hdu=SCI, plane=stokes=I, ra_column=RA; repeatable."
    ),
]


def classify(
    images: Images,
    output: Annotated[Path, path_option("-o", "--output", help="Table, .csv, .fits, .vot or .ecsv.")],
    model: Model = "auto",
    page: Annotated[Path | None, path_option("--page", help="Also write a page to look at, .html.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", help="A second map on the page, blind to class or a column of numbers; repeatable."),
    ] = None,
    pixel_scale: PixelScale = None,
    beam: Beam = None,
    catalogue: Catalogue = None,
    turns: Annotated[int, typer.Option("--turns", min=1, help="Turns of every image that are averaged.")] = 2,
    tags: Annotated[bool, typer.Option("--tags", help="Add columns of plain-English tags.")] = False,
    search: Annotated[
        str | None,
        typer.Option("--search", metavar="WORDS", help='Put first what tags describe: "bent with a bright core".'),
    ] = None,
    settings: Settings = None,
) -> None:
    """Classify radio sources in images without labels: classes, sizes, look-alikes, and what cannot be told.

    What cannot be read is named on stderr and listed beside the table, in NAME_left_out.txt; exit 0.
    """
    from equirgz.answers.classify_images import classify_sources
    from equirgz.answers.table_files import check_table_path, write_table
    from equirgz.cli.figure_files import check_suffix
    from equirgz.cli.network import report_bad_files
    from equirgz.data.notes import list_bad
    from equirgz.errors import require

    check_table_path(output)
    check_suffix("--page", page, (".html",))
    require(not without or page is not None, "--without", expected="--page, which shows its map", got="no page")
    if search is not None:
        require(bool(search.strip()), "--search", expected="words of tags", got="nothing")
    given = read_given(pixel_scale, beam, catalogue, settings)
    found = classify_sources(one_or_all(images), model, given, turns=turns, tags=tags, search=search or "")
    write_table(found.table, output)
    for line in found.summary():
        typer.echo(line)
    typer.echo(f"{found.model!r}; table {output}")
    if search is not None:
        report_search(found, search)
    if page is not None:
        from equirgz.answers.explore import write_explorer

        path, line = write_explorer(found, page, images[0].resolve().name, without or ())
        typer.echo(f"page {path} ({path.stat().st_size / 1e6:.2g} MB){f'; {line}' if line else ''}")
    listed = output.with_name(f"{output.stem}_left_out.txt")
    listed.unlink(missing_ok=True)
    if found.left_out:
        list_bad(found.left_out, output, listed)
        report_bad_files(found.left_out, listed)


def report_search(found: Any, search: str, n: int = 10) -> None:
    """Print what a search was understood to ask for and the first sources; words that name no tag go to stderr."""
    from equirgz.answers.tagging import read_search
    from equirgz.tags.find import say_unknown

    wanted, untold = read_search(search, found.model)
    for tag in untold:
        typer.echo(f"{tag!r} is left out: not found reliably by this model", err=True)
    for line in say_unknown(wanted, found.model.tag_names):
        typer.echo(line, err=True)
    typer.echo(f"search: {', '.join([*wanted.tags, *(f'no {tag}' for tag in wanted.absent)])}")
    for row in found.table.head(n).itertuples():
        typer.echo(f"{row.search:8.3f}  {row.id}  {row.tags}")


def one_or_all(images: list[Path]) -> str | list[str]:
    """Return one path as it is, several as a list."""
    return str(images[0]) if len(images) == 1 else [str(path) for path in images]


def read_given(
    pixel_scale: float | None, beam: float | None, catalogue: Path | None, settings: list[str] | None
) -> object:
    """Return what the options say of the images; InputError for a key that no reader has."""
    from dataclasses import fields

    from equirgz.answers.inputs import Given
    from equirgz.config import parse_setting
    from equirgz.data.catalogues.catalogue import CatalogueOptions
    from equirgz.data.formats.fits import FitsOptions
    from equirgz.errors import check_choice

    told = dict(map(parse_setting, settings or ()))
    image_keys, table_keys = ({field.name for field in fields(kind)} for kind in (FitsOptions, CatalogueOptions))
    for key in told:
        check_choice("--set", key, sorted(image_keys | (table_keys if catalogue else set())))
    options = FitsOptions(**{key: told[key] for key in told if key in image_keys})
    return Given(pixel_scale, beam, catalogue, options, {key: told[key] for key in told if key not in image_keys})
