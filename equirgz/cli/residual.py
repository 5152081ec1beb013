"""``equirgz residual``: an embedding without what is already known of its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equirgz.cli.options import path_argument, path_option

SLACK, ROUND_TRIP = 0.05, 1e-2


def residual(
    table: Annotated[Path, path_argument(metavar="EMBEDDINGS", help="CSV or .npz of `equirgz embed`.")],
    output: Annotated[Path, path_option("-o", "--output", help="The residual, .csv or .npz: a table like EMBEDDINGS.")],
    condition: Annotated[
        list[str] | None,
        typer.Option("--condition", help="What is known: class, or a column of EMBEDDINGS; repeatable; default class."),
    ] = None,
    guidance: Annotated[float, typer.Option("--guidance", help="How much it counts, 0 to 2; 1 takes it away.")] = 1.0,
    components: Annotated[
        int | None,
        typer.Option("--components", min=1, help="Principal components; default: those of 99.9 % of the variance."),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Updates of the flow's training.")] = 3000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, batches, noise and the held-out half.")] = 0,
) -> None:
    """Take what is known out of an embedding (a conditional flow, run backwards), and keep the rest.

    Clusters, strangers and neighbours of the result (`equirgz look`, `equirgz search`) are then not those of the known
    classes. The flow learns on the split `train`, or on half of the sources; probes read the others.
    """
    from equirgz.errors import InputError
    from equirgz.evaluate.embedding_table import EmbeddingTable
    from equirgz.residual.of_table import find_residual
    from equirgz.residual.readings import describe

    if output.suffix.lower() not in (".npz", ".csv"):
        raise InputError("--output", expected="a path ending in .npz or .csv", got=output.name)
    names = condition or ["class"]
    embedding = EmbeddingTable.load(table)
    found = find_residual(
        embedding, names, guidance=guidance, n_components=components, steps=steps, random_state=seed, progress=None
    )
    found.table.save(output)
    share = float(found.flow.pca_.explained_variance_ratio_.sum())
    n_held = int((found.table.extras["residual_part"] == "held_out").sum())
    typer.echo(
        f"{len(embedding)} sources x {found.table.feature_NF.shape[1]} latents ({100 * share:.1f} % of the variance) "
        f"without {', '.join(names)} -> {output}"
    )
    typer.echo(f"read off {n_held} held-out sources, before -> after:")
    for kind, readings in (("known", found.known), ("hidden", found.hidden)):
        for name, pair in readings.items():
            typer.echo(f"  {kind} {name}: {describe(*pair)}")
    typer.echo(f"round trip {found.round_trip:.1e} of a standard deviation")
    for name, (_, after) in found.known.items():
        if guidance == 1 and after.best > after.chance + SLACK:
            typer.echo(f"warning: {name} can still be read off; give more --steps or fewer --components", err=True)
    if found.round_trip > ROUND_TRIP:
        typer.echo(f"warning: the round trip is above {ROUND_TRIP:g}; the flow is rough, fit it longer", err=True)
