"""``equirgz pretrained``: the encoders inside the package and what their cards say."""

from __future__ import annotations

from typing import Annotated

import typer

from equirgz.cli.careful import Commands

pretrained = Commands(help="Encoders inside the package: names and cards.", no_args_is_help=True)


@pretrained.command("list")
def list_encoders(
    pattern: Annotated[str, typer.Argument(help="Shell-style pattern of names.")] = "*",
) -> None:
    """List the shipped encoders with their network, parameters, image size and what they were trained on."""
    from equirgz.errors import InputError, suggest
    from equirgz.pretrained import list_classifiers, list_pretrained, read_description

    names = list_pretrained(pattern)
    if not list_pretrained():
        typer.echo("no encoder comes with this version; `python -m benchmarks.encoders NAME` makes one")
        return
    if not names:
        mend = suggest(pattern, list_pretrained())
        raise InputError("pretrained list", expected="the name of an encoder", got=repr(pattern), mend=mend)
    for name in names:
        described = read_description(name)
        config, facts = described["backbone"], described["facts"]
        network = f"{config['name']} {config.get('group', 'C1')}, {config['image_size']} px"
        typer.echo(f"{name:24s} {network:28s} {facts.get('parameters', 0):>9d} parameters  {facts.get('summary', '')}")
    if list_classifiers():
        typer.echo(f"equirgz classify takes {', '.join(list_classifiers())}")


@pretrained.command("card")
def show_card(name: Annotated[str, typer.Argument(help="Name of a shipped encoder.")]) -> None:
    """Print the card of an encoder (data, versions, licence, errors with intervals, where it fails) and of its model.

    The model is what `equirgz classify` reads, where the encoder has one.
    """
    from equirgz.pretrained import find_classifier, list_classifiers, read_card

    typer.echo(read_card(name).rstrip())
    if name in list_classifiers():
        typer.echo("\n" + find_classifier(name).with_suffix(".md").read_text(encoding="utf-8").rstrip())
