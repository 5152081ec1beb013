"""``equirgz search``: sources like a given one, in an embedding table or a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equirgz.cli.options import DataDir, Device, ReaderOptions, choose_device, path_argument, path_option


def search(
    table: Annotated[
        Path, path_argument(metavar="INPUT", help="CSV or .npz of `equirgz embed`; with --encoder, what that reads.")
    ],
    source: Annotated[str, typer.Argument(help="Id of the source to start from: a file's name without its ending.")],
    k: Annotated[int, typer.Option("-k", help="How many similar sources.")] = 8,
    output: Annotated[Path | None, path_option("-o", "--output", help="Also write them as CSV.")] = None,
    encoder: Annotated[
        Path | None, path_option("--encoder", help="A saved encoder: INPUT is then a folder of images, or the like.")
    ] = None,
    recent: Annotated[float, typer.Option("--recent", help="Weight of the column year, beside a cosine.")] = 0.0,
    cited: Annotated[float, typer.Option("--cited", help="Weight of the column citations.")] = 0.0,
    keywords: Annotated[str, typer.Option("--keywords", help="Words that the column keywords should have.")] = "",
    keyword_weight: Annotated[float, typer.Option("--keyword-weight", help="Their weight.")] = 0.1,
    data_dir: DataDir = None,
    options: ReaderOptions = None,
    device: Device = "auto",
) -> None:
    """List the sources whose features are most like those of SOURCE (cosine similarity, exact)."""
    from equirgz.evaluate.embedding_table import EmbeddingTable
    from equirgz.evaluate.similarity import find_similar
    from equirgz.records import write_bytes_atomic
    from equirgz.retrieval.weights import Weights

    embedding = EmbeddingTable.load(table) if encoder is None else _embed(encoder, table, data_dir, device, options)
    words = [word.strip() for word in keywords.split(",") if word.strip()]
    weights = Weights(time=recent, citations=cited, keywords=keyword_weight if words else 0.0)
    found = find_similar(embedding, source, k, weights, words)
    typer.echo(found.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    if output is not None:
        write_bytes_atomic(output, found.to_csv(index=False).encode())


def _embed(encoder: Path, images: Path, data_dir: Path | None, device: str, options: list[str] | None = None) -> Any:
    import tempfile

    from equirgz.backbones.storage import find_encoder
    from equirgz.cli.network import report_bad_files, report_untrained
    from equirgz.config import parse_setting
    from equirgz.grid.embedding import embed_input

    report_untrained(encoder)
    with tempfile.TemporaryDirectory() as folder:
        bad_list = Path(folder) / "bad.txt"
        weights = find_encoder(encoder)
        found = embed_input(
            weights,
            str(images),
            data_dir,
            device=choose_device(device),
            bad_list=bad_list,
            options=dict(map(parse_setting, options or ())),
        )
    report_bad_files(found.bad_files)
    return found.table
