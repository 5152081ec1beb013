"""``equirgz views``: what the views of a training leave of its sources and what they change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from equirgz.cli.options import DataDir, Overrides, path_argument, path_option


def views(
    config: Annotated[Path, path_argument(help="YAML of one run, or of a grid, of which the `base` is taken.")],
    stage: Annotated[
        str, typer.Option("--stage", help="Whose views: train, pretrain, or pretrain.N of several.")
    ] = "train",
    network: Annotated[
        Path | None, path_option("--network", help="A saved classifier or encoder that judges; default: the pixels.")
    ] = None,
    sources: Annotated[int, typer.Option("--sources", min=4, help="At most so many training sources.")] = 256,
    n_views: Annotated[int, typer.Option("--views", min=2, help="Views of each source.")] = 4,
    figure: Annotated[Path | None, path_option("--figure", help="Also draw a contact sheet: png, svg or pdf.")] = None,
    table: Annotated[Path | None, path_option("--table", help="Also write the table, csv.")] = None,
    data_dir: DataDir = None,
    overrides: Overrides = None,
) -> None:
    """Measure what the views of a training leave of its sources and what they change, part by part.

    found: the view whose nearest other view is of the same source. changed: views of another class than their image.
    """
    from equirgz.cli.figure_files import FIGURES, check_suffix, write_figure
    from equirgz.config import load_yaml
    from equirgz.grid.plan.grid import make_grid
    from equirgz.grid.view_report import look_at_views
    from equirgz.records import write_bytes_atomic

    check_suffix("--figure", figure, FIGURES)
    check_suffix("--table", table, (".csv",))
    document = load_yaml(config)
    base = document["base"] if isinstance(document.get("base"), dict) else document
    run = make_grid({"name": "views", "base": base}, overrides or (), source=config.name).runs[0]
    found = look_at_views(run, data_dir, stage=stage, network=network, n_sources=sources, n_views=n_views)
    names = ("found", "changed", "error of images", "error of views")
    typer.echo(f"{'views':24s}" + "".join(f"{name:>17s}" for name in names))
    for row in found.table.to_dict("records"):
        values = (row[key] for key in ("retrieval", "changed", "error_plain", "error_view"))
        typer.echo(f"{row['views']:24s}" + "".join(f"{'-' if v != v else f'{100 * v:.1f} %':>17s}" for v in values))
    typer.echo(f"{found.table['n'][0]} training sources, {n_views} views each, judged by {_words(found.judge)}")
    if figure is not None:
        from equirgz.report.panels.view_sheet import plot_view_sheet

        few = slice(0, len(found.plain_NHW), max(1, len(found.plain_NHW) // 6))
        drawn = plot_view_sheet(found.plain_NHW[few][:6], found.view_VNHW[:, few][:, :6])
        write_figure(drawn, figure)
        typer.echo(f"figure {figure}")
    if table is not None:
        write_bytes_atomic(table, found.table.to_csv(index=False).encode())
        typer.echo(f"table {table}")


def _words(judge: str) -> str:
    return {
        "pixels": "a probe of the pixels (harmonics on rings); a trained --network says more",
        "encoder": "a probe of the encoder's features",
        "classifier": "the classifier",
    }[judge]
