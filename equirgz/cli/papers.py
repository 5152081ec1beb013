"""``equirgz papers``: papers of your own file, indexed, ranked for a question, and judged by their titles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equirgz.cli.careful import Commands
from equirgz.cli.options import path_argument, path_option

papers = Commands(help="Rank papers of your own file for a question, by words and by topics.", no_args_is_help=True)

Index = Annotated[Path, path_argument(metavar="INDEX", help="What `equirgz papers index` wrote, .npz.")]
Model = Annotated[
    Path | None, path_option("--model", help="Folder of a sentence-transformers model of yours; nothing is downloaded.")
]


@papers.command()
def index(
    file: Annotated[
        Path, path_argument(metavar="FILE", help="CSV, BibTeX, an ADS or RIS export, or a folder of abstracts.")
    ],
    output: Annotated[Path, path_option("-o", "--output", help="The index, .npz.")],
    topics: Annotated[int, typer.Option("--topics", min=1, help="Topics of the latent semantic analysis.")] = 200,
    model: Model = None,
) -> None:
    """Read papers, count their words, find their topics, and with --model embed them."""
    from equirgz.retrieval.papers.corpus import read_papers
    from equirgz.retrieval.papers.paper_index import PaperIndex

    made = PaperIndex(read_papers(file), embed=_load_model(model), topics=topics)
    made.save(output)
    known = {name: int(made.papers[name].notna().sum()) for name in ("year", "citations")}
    told = ", ".join(f"{count} with {name}" for name, count in known.items())
    typer.echo(
        f"{len(made.papers)} papers ({told}), {len(made.words.words)} words, {made.words.n_topics} topics: {output}"
    )


@papers.command()
def rank(
    index: Index,
    query: Annotated[str, typer.Argument(help="The question, in words.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many papers.")] = 10,
    method: Annotated[str, typer.Option("--method", help="lsa, bm25, both, or embedding with --model.")] = "lsa",
    feedback: Annotated[int, typer.Option("--feedback", help="The first papers that lend the query words.")] = 0,
    recent: Annotated[float, typer.Option("--recent", help="Weight of time, beside a cosine of at most 1.")] = 0.0,
    cited: Annotated[float, typer.Option("--cited", help="Weight of citations.")] = 0.0,
    keywords: Annotated[str, typer.Option("--keywords", help="Keywords that count, apart by commas.")] = "",
    keyword_weight: Annotated[float, typer.Option("--keyword-weight", help="Their weight.")] = 0.1,
    now: Annotated[
        float | None,
        typer.Option("--now", metavar="YEAR", help="Ages end there; default: the newest paper's year."),
    ] = None,
    after: Annotated[float | None, typer.Option("--after", help="Only of this year or later.")] = None,
    before: Annotated[float | None, typer.Option("--before", help="Only of this year or earlier.")] = None,
    least_citations: Annotated[float | None, typer.Option("--citations", help="Only with as many citations.")] = None,
    output: Annotated[Path | None, path_option("-o", "--output", help="Also write them as CSV.")] = None,
    model: Model = None,
) -> None:
    """List the papers that fit a question best."""
    from equirgz.records import write_bytes_atomic
    from equirgz.retrieval.papers.paper_index import Asked, PaperIndex
    from equirgz.retrieval.weights import Weights

    words = tuple(word.strip() for word in keywords.split(",") if word.strip())
    weights = Weights(time=recent, citations=cited, keywords=keyword_weight if words else 0.0)
    asked = Asked(
        method=method, feedback=feedback, weights=weights, keywords=words, now=now, after=after, before=before,
        least_citations=least_citations,
    )  # fmt: skip
    found = PaperIndex.load(index, embed=_load_model(model)).rank(query, k, asked)
    for row in found.itertuples():
        year = "" if row.year != row.year else f" ({row.year:.0f})"
        typer.echo(f"{row.rank:3d}  {row.score:.3f}  {row.id}{year}  {row.title}")
    if output is not None:
        write_bytes_atomic(output, found.to_csv(index=False).encode())


@papers.command()
def judge(
    file: Annotated[Path, path_argument(metavar="FILE", help="What `equirgz papers index` reads, with titles.")],
    output: Annotated[Path, path_option("-o", "--output", help="The rows, CSV.")],
    topics: Annotated[int, typer.Option("--topics", min=1, help="Topics of the latent semantic analysis.")] = 200,
    model: Model = None,
) -> None:
    """Say whether titles find their abstracts better by topics than by words, with bootstrap intervals."""
    from equirgz.records import write_bytes_atomic
    from equirgz.retrieval.papers.corpus import read_papers
    from equirgz.retrieval.papers.titles import judge_titles

    found = judge_titles(read_papers(file), embed=_load_model(model), topics=topics)
    write_bytes_atomic(output, found.rows.to_csv(index=False, float_format="%.6g").encode())
    shown = found.rows[["method", "metric", "value", "low", "high", "n"]]
    typer.echo(shown.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    typer.echo(found.sentence)


def _load_model(path: Path | None) -> Any:
    if path is None:
        return None
    from equirgz.errors import DataError, require_package

    package = require_package("sentence_transformers", "--model")
    if not path.is_dir():
        raise DataError(f"--model: expected the folder of a model, got {path}")
    return package.SentenceTransformer(str(path), local_files_only=True).encode
