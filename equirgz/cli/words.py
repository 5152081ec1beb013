"""``equirgz tags`` and ``tagged``: plain-English tags from descriptions, and the sources that tag words describe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equirgz.cli.options import path_argument, path_option


def tags(
    folder: Annotated[
        Path, path_argument(metavar="FOLDER", help="english_annotations.csv and expert_classes.csv (arXiv 2210.14760).")
    ],
    output: Annotated[Path, path_option("-o", "--output", help="Folder of the tables and the figure.")],
    terms: Annotated[int, typer.Option("--terms", min=2, help="How many of the commonest merged terms.")] = 100,
    keep: Annotated[int, typer.Option("--tags", min=1, help="How many of them are kept as tags.")] = 25,
    agreement: Annotated[
        float, typer.Option("--agreement", help="A subject has a class that over this share of its experts gave.")
    ] = 0.5,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Parts of the subjects; each is tested once.")] = 5,
    shuffles: Annotated[int, typer.Option("--shuffles", help="Controls with shuffled subjects; 0: none.")] = 39,
    annotators: Annotated[
        str, typer.Option("--annotators", help="all; new: tested by other people; half: by as few people, the same.")
    ] = "all",
    vectors: Annotated[
        Path | None, path_option("--vectors", help="Word vectors, a text file: phrases that mean alike merge.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of folds, forests and shuffles.")] = 0,
) -> None:
    """Choose plain-English tags that tell the experts' classes, with every choice made inside the folds."""
    from equirgz.tags.annotations import read_annotations
    from equirgz.tags.study import Settings, study_tags
    from equirgz.tags.terms import WordLikeness

    settings = Settings(
        terms=terms, tags=keep, agreement=agreement, n_folds=folds, n_shuffles=shuffles,
        annotators=annotators, seed=seed,
    )  # fmt: skip
    annotations = read_annotations(folder)
    words = {word for phrase in annotations.words["phrase"].unique() for word in phrase.split()}
    study = study_tags(annotations, settings, None if vectors is None else WordLikeness(vectors, words))
    _write_study(study, output)


def tagged(
    table: Annotated[
        Path, path_argument(metavar="TABLE", help="CSV: a column of names, then a column per tag, shares or counts.")
    ],
    query: Annotated[str, typer.Argument(help='Words of tags, such as "bent with a bright core, no hot spots".')],
    k: Annotated[int, typer.Option("-k", min=1, help="How many sources.")] = 10,
) -> None:
    """List the sources of a table of tags that words describe best (the catalogue of `equirgz tags`, say)."""
    from equirgz.tags.find import rank_by_tags, read_tagged, say_unknown

    name_N, names, share_NT = read_tagged(table)
    order_N, score_N, wanted = rank_by_tags(query, names, share_NT)
    without = f", without {', '.join(wanted.absent)}" if wanted.absent else ""
    typer.echo(f"tags: {', '.join(wanted.tags)}{without}")
    for line in say_unknown(wanted, names):
        typer.echo(line, err=True)
    for index, score in zip(order_N[:k], score_N[:k], strict=True):
        typer.echo(f"{score:.3f}  {name_N[index]}")


def _write_study(study: Any, output: Path) -> None:
    """Write the rows, the tags, the classes, the catalogue and the figure of a study, and print what they say."""
    from equirgz.records import write_bytes_atomic
    from equirgz.report.figures.style import save_figure
    from equirgz.report.panels.tag_panel import plot_tags

    settings = study.settings
    rows, classes, ranked = study.rows(), study.per_class(), study.ranked.head(settings.tags)
    tables = {"rows": rows, "classes": classes, "tags": ranked, "catalogue": study.counts.reset_index()}
    for name, table in tables.items():
        write_bytes_atomic(output / f"{name}.csv", table.to_csv(index=False, float_format="%.6g").encode())
    save_figure(plot_tags(rows, classes, n_terms=settings.terms, n_tags=settings.tags), output / "tags")
    for line in study.left_out:
        typer.echo(f"left out: {line}")
    shown = ranked[["rank", "tag", "importance", "subjects"]]
    typer.echo(shown.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    f1 = rows[rows["metric"] == "tags/weighted_f1"].set_index("tags")
    for n_tags in (settings.terms, settings.tags):
        value, low, high, n = f1.loc[n_tags, ["value", "low", "high", "n"]]
        typer.echo(f"{n_tags} tags: weighted F1 {value:.3f} [{low:.3f}, {high:.3f}], {int(n)} subjects out of fold")
    share = f1.loc[settings.tags, "value"] / f1.loc[settings.terms, "value"]
    typer.echo(f"{settings.tags} tags keep {100 * share:.0f} % of {settings.terms} terms")
    if len(study.shuffled):
        told = f"mean {study.shuffled.mean():.3f}, best {study.shuffled.max():.3f} of {len(study.shuffled)}"
        typer.echo(f"shuffled tags: weighted F1 {told}; p = {study.p_value:.3g}")
    typer.echo(f"tables and figure: {output}")
