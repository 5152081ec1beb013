"""``equirgz look``: figures and lists of sources from an embedding table or a saved encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equirgz.cli.careful import Commands
from equirgz.cli.figure_files import FIGURES, check_suffix, write_figure
from equirgz.cli.options import DataDir, Device, ReaderOptions, choose_device, path_argument, path_option

look = Commands(help="Look at sources as a network sees them.", no_args_is_help=True)

Table = Annotated[Path, path_argument(metavar="TABLE", help="CSV or .npz of `equirgz embed`.")]
Encoder = Annotated[Path, path_argument(metavar="ENCODER", help="Folder or file of a saved encoder.")]
Images = Annotated[
    str, typer.Argument(metavar="INPUT", help="What `equirgz embed` reads: a folder, a file, a dataset.")
]
Output = Annotated[Path, path_option("-o", "--output", help="The figure, png, svg or pdf.")]


@look.command("map")
def show_map(
    table: Table,
    output: Output,
    size: Annotated[str, typer.Option("--size", help="Column of TABLE for a second panel, e.g. las_arcsec.")] = "",
    clusters: Annotated[
        Path | None, path_option("--clusters", help="Also write the cluster of each source, CSV.")
    ] = None,
) -> None:
    """Draw the two leading components of the features, by class, and find clusters of like sources."""
    import numpy as np
    import pandas as pd

    from equirgz.errors import check_choice
    from equirgz.evaluate.embedding_table import EmbeddingTable
    from equirgz.evaluate.feature_space import cluster_sources, map_features
    from equirgz.records import write_bytes_atomic
    from equirgz.report.panels.map_panel import plot_map

    check_suffix("--output", output, FIGURES)
    embedding = EmbeddingTable.load(table)
    size_N = embedding.extras[check_choice("--size", size, embedding.extras.columns)].to_numpy(float) if size else None
    figure = plot_map(
        map_features(embedding.feature_NF), label_N=embedding.label_N, size_N=size_N, size_name=size.replace("_", " ")
    )
    write_figure(figure, output)
    cluster_N = cluster_sources(embedding.feature_NF)
    n_inside = int((cluster_N >= 0).sum())
    typer.echo(f"{cluster_N.max() + 1} clusters hold {n_inside} of {len(cluster_N)} sources; map {output}")
    if clusters is not None:
        found = pd.DataFrame({"source_id": embedding.source_id_N, "label": embedding.label_N, "cluster": cluster_N})
        order = np.argsort(np.where(cluster_N < 0, len(cluster_N), cluster_N), kind="stable")
        write_bytes_atomic(clusters, found.iloc[order].to_csv(index=False).encode())


@look.command("next")
def show_next(
    table: Table,
    ratings: Annotated[
        Path | None, path_option("--ratings", help="CSV with columns source_id, rating (higher: more interesting).")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many sources.")] = 10,
) -> None:
    """List the sources to look at next: the strangest, or after ratings those that may be rated highest."""
    import pandas as pd

    from equirgz.errors import DataError
    from equirgz.evaluate.anomaly import AnomalySearch
    from equirgz.evaluate.embedding_table import EmbeddingTable

    embedding = EmbeddingTable.load(table)
    search = AnomalySearch(embedding.feature_NF)
    if ratings is not None:
        try:
            given = pd.read_csv(ratings, dtype={"source_id": str})
            given = given[["source_id", "rating"]].astype({"rating": float}).dropna()
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{ratings}: expected CSV with the columns source_id and rating; {error}") from error
        if len(given):
            search.tell([embedding.index_of(source) for source in given["source_id"]], given["rating"].to_numpy())
    for index in search.propose(n):
        typer.echo(embedding.source_id_N[index])


@look.command("shift")
def show_shift(
    first: Table,
    second: Annotated[Path, path_argument(metavar="TABLE", help="The same of other images, from the same encoder.")],
    output: Annotated[Path, path_option("-o", "--output", help="Stem of the tables: .csv, .md and .tex.")],
) -> None:
    """Measure how far two sets of images are apart in the features, and how much of that is chance."""
    from equirgz.evaluate.embedding_table import EmbeddingTable
    from equirgz.metrics.distance.feature_shift import compute_shift
    from equirgz.report.tables.shift_table import write_shift_table

    features = [EmbeddingTable.load(table).feature_NF for table in (first, second)]
    pairs = {f"{first.stem}, {second.stem}": compute_shift(*features)}
    typer.echo("\n".join(str(path) for path in write_shift_table(pairs, output)))


@look.command("neighbours")
def show_neighbours(
    encoder: Encoder,
    images: Images,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Ids of the sources to start from.")],
    output: Output,
    k: Annotated[int, typer.Option("-k", min=1, help="How many similar sources each.")] = 6,
    data_dir: DataDir = None,
    options: ReaderOptions = None,
    device: Device = "auto",
) -> None:
    """Draw sources and the images that the encoder finds most like each."""
    import numpy as np

    from equirgz.report.panels.query_panel import plot_query_panel
    from equirgz.retrieval.engine import search

    check_suffix("--output", output, FIGURES)
    table, image_NHW = _embed(encoder, images, data_dir, device, options)
    query_Q = np.array([table.index_of(source) for source in sources])
    index_Qk, similarity_Qk = search(table.feature_NF[query_Q], table.feature_NF, k, leave_out_Q=query_Q)
    label_N = table.label_N
    same_Qk = label_N[index_Qk] == label_N[query_Q][:, None] if (label_N >= 0).all() else None
    figure = plot_query_panel(
        image_NHW[query_Q], image_NHW[index_Qk], similarity_Qk, query_title_Q=sources, same_label_Qk=same_Qk
    )
    write_figure(figure, output)
    typer.echo(f"{len(sources)} sources with {index_Qk.shape[1]} neighbours each: {output}")


@look.command("attention")
def show_attention(
    encoder: Encoder,
    images: Images,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Id of the source.")],
    output: Output,
    gate: Annotated[int, typer.Option("--gate", help="Which attention, from 0 at the bottom; -1: the last.")] = -1,
    data_dir: DataDir = None,
    options: ReaderOptions = None,
) -> None:
    """Draw what the attention of an encoder sees of a source as it turns."""
    import torch

    from equirgz.backbones import load_encoder
    from equirgz.evaluate.attention_turns import turn_attention
    from equirgz.report.panels.attention_panel import plot_attention

    check_suffix("--output", output, FIGURES)
    table, image_NHW = _embed(encoder, images, data_dir, "cpu", options)
    image_CHW = torch.as_tensor(image_NHW[table.index_of(source)])
    turned = turn_attention(load_encoder(encoder), image_CHW if image_CHW.ndim == 3 else image_CHW[None], gate=gate)
    write_figure(plot_attention(turned, source_name=source), output)
    typer.echo(f"attention at {len(turned.angles_deg)} angles: {output}")


def _embed(
    encoder: Path, images: str, data_dir: Path | None, device: str, options: list[str] | None
) -> tuple[Any, Any]:
    """Return the embedding table of ``images``, and the images as the encoder sees them, in units of their rms."""
    import tempfile

    import numpy as np

    from equirgz.backbones.storage import find_encoder
    from equirgz.cli.network import report_bad_files, report_untrained
    from equirgz.config import parse_setting
    from equirgz.evaluate.embedding_table import EmbeddingTable
    from equirgz.grid.embedding import embed_parts

    report_untrained(encoder)
    with tempfile.TemporaryDirectory() as folder:
        parts, features, bad = embed_parts(
            find_encoder(encoder), images, data_dir, device=choose_device(device),
            bad_list=Path(folder) / "bad.txt", options=dict(map(parse_setting, options or ())),
        )  # fmt: skip
    report_bad_files(bad)
    sets = list(parts.values())
    names, labels = (np.concatenate([getattr(part, name) for part in sets]) for name in ("source_id_N", "label_N"))
    image_NHW = np.concatenate([part.image_NHW for part in sets])
    return EmbeddingTable(np.concatenate(list(features.values())), names, labels), image_NHW
