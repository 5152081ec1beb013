"""The command line ``equirgz``: one line per error, exit status 2; torch is imported where it is used."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from importlib.util import find_spec

import typer

from equirgz.cli.answers.classify import classify
from equirgz.cli.answers.learn import anomalies, finetune, pretrain
from equirgz.cli.answers.look import look
from equirgz.cli.answers.search import search
from equirgz.cli.bench import bench
from equirgz.cli.careful import Commands
from equirgz.cli.network import audit, embed, models, train
from equirgz.cli.options import show_loading
from equirgz.cli.papers import papers
from equirgz.cli.pretrained import pretrained
from equirgz.cli.residual import residual
from equirgz.cli.sets.data import data
from equirgz.cli.start import doctor, grids, init, selftest
from equirgz.cli.views import views
from equirgz.cli.words import tagged, tags
from equirgz.data.notes import watch_loading
from equirgz.errors import EquirgzError, explain_import

app = Commands(
    help="Rotation-aware image backbones on radio galaxies, compared fairly.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    add_completion=True,
)
bench.command()(grids)
app.add_typer(bench, name="bench")
app.add_typer(data, name="data")
app.add_typer(look, name="look")
app.add_typer(papers, name="papers")
app.add_typer(pretrained, name="pretrained")
for command in (
    classify,
    finetune,
    anomalies,
    pretrain,
    models,
    train,
    views,
    embed,
    search,
    residual,
    tags,
    tagged,
    audit,
    init,
    doctor,
    selftest,
):
    app.command()(command)


@app.callback(invoke_without_command=True)
def show_version(
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    """Rotation-aware image backbones on radio galaxies, compared fairly."""
    if version:
        from equirgz.provenance import code_version

        typer.echo(f"equirgz {code_version()}")
        raise typer.Exit


def main() -> None:
    """Run the command line; an error that a user can mend is one line on stderr and exit status 2."""
    shown = watch_loading(show_loading) if sys.stderr.isatty() else nullcontext()
    try:
        with shown:
            app()
    except EquirgzError as error:
        _refuse(error)
    except (ImportError, AttributeError) as error:  # of an install that lacks a package, or has it in another version
        told = _explain(error, " ".join(word for word in sys.argv[1:3] if word.isalpha()))
        if told is None:
            raise
        _refuse(told)


def _explain(error: Exception, what: str) -> EquirgzError | None:
    missing = explain_import(error, what) if isinstance(error, ModuleNotFoundError) else None
    if missing is not None or find_spec("packaging") is None:
        return missing
    from equirgz.machine.requirements import explain_unfit

    return explain_unfit(what)


def _refuse(error: EquirgzError) -> None:
    typer.echo(f"equirgz: {' '.join(str(error).split())}", err=True)
    sys.exit(2)
