"""``equirgz search``: sources like a given one, in an embedding table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def search(
    table: Annotated[Path, typer.Argument(help="CSV or .npz written by `equirgz embed`.")],
    source: Annotated[str, typer.Argument(help="Id of the source to start from.")],
    k: Annotated[int, typer.Option("-k", help="How many similar sources.")] = 8,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Also write them as CSV.")] = None,
) -> None:
    """List the sources whose features are most like those of SOURCE (cosine similarity, exact)."""
    from equirgz.evaluate.similarity import find_similar
    from equirgz.evaluate.table import EmbeddingTable
    from equirgz.records import write_bytes_atomic

    found = find_similar(EmbeddingTable.load(table), source, k)
    typer.echo(found.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    if output is not None:
        write_bytes_atomic(output, found.to_csv(index=False).encode())
