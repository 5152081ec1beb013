"""Every command with its arguments and options, from the functions that define them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from equirgz.cli import app
from generate.markdown import cell, code, table


def page() -> str:
    """Return the page of all commands."""
    parts = ["# Command line", "Every command explains itself with `--help`. A mistake is one line and exit status 2."]
    for words, command in walk(typer.main.get_command(app), "equirgz"):
        parts += [f"## {words}", " ".join((command.help or "").split()).replace("<", "\\<")]
        rows = [row(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            parts.append(table(("argument or option", "meaning", "default"), rows))
    return "\n\n".join(parts) + "\n"


def walk(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    """Yield the words and the object of every command that does something, groups left out."""
    inner = getattr(command, "commands", None)
    if not inner:
        yield words, command
    for name in inner or ():
        yield from walk(inner[name], f"{words} {name}")


def row(parameter: Any) -> tuple[str, str, str]:
    """Return names, meaning and default of one parameter."""
    is_option = parameter.param_type_name == "option"
    names = (
        [*parameter.opts, *parameter.secondary_opts] if is_option else [(parameter.metavar or parameter.name).upper()]
    )
    default = parameter.default() if callable(parameter.default) else parameter.default
    shown = "required" if parameter.required else "–" if default in (None, False, (), [], "") else code(default)
    return ", ".join(map(code, names)), cell(getattr(parameter, "help", "") or ""), shown
