"""Commands of ``equirgz bench`` that keep committed results: what READMEs show of them, and nothing more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equirgz.cli.options import path_argument, path_option


def readme(
    files: Annotated[
        list[Path] | None,
        path_argument(help="Markdown files; default: the READMEs and pages of docs."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a text would change.")] = False,
) -> None:
    """Fill the generated blocks of Markdown files (tables, figures, the index) from the committed results."""
    from equirgz.report.readme import fill_readme, find_readmes

    for path in files or find_readmes():
        typer.echo(f"{path}: {'filled' if fill_readme(path, check=check) else 'up to date'}")


def slim(
    folders: Annotated[list[Path], path_argument(help="Results folders.")],
    readmes: Annotated[
        list[Path] | None,
        path_option("--readme", help="What it links to is kept; repeatable; default: as of `readme`."),
    ] = None,
) -> None:
    """Remove the tables, figures and page that no README links to (the rows give them anew); pack rows.csv."""
    from equirgz.report.readme import find_readmes
    from equirgz.report.slim import slim_results

    for folder in folders:
        removed = slim_results(folder, readmes or find_readmes())
        typer.echo(f"{folder}: {len(removed)} files removed")


def screenshot(
    folder: Annotated[Path, path_argument(help="A results folder.")],
    output: Annotated[Path, path_option("--output", "-o", help="PNG to write.")] = Path("page.png"),
) -> None:
    """Take a picture of the page of a results folder with a headless Chromium."""
    from equirgz.report.page.screenshot import write_screenshot

    typer.echo(str(write_screenshot(folder, output)))
