"""Papers: readers of every kind of file, BM25 and topics against formulas, rankings, hooks, and titles as queries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from equirgz.cli import app
from equirgz.errors import DataError, InputError
from equirgz.retrieval.papers.corpus import make_papers, read_papers
from equirgz.retrieval.papers.paper_index import Asked, PaperIndex, summarise
from equirgz.retrieval.papers.titles import judge_titles
from equirgz.retrieval.papers.word_model import K1, B, WordModel
from equirgz.retrieval.weights import Weights

BIBTEX = """@string{x = "y"}
@ARTICLE{2001A,  author = {{Doe}, J.}, title = "{Bent {Radio} tails}", abstract = {Wide-angle
  tails in {clusters}.}, year = 2001, keywords = {radio, jets}}
@article{2002B, title={Second}, abstract={Hot spots of lobes.}, year={2002} }
@misc{nothing, title={No abstract}}"""
ADS = "%R 2001A\n%T Bent Radio tails\n%D 04/2001\n%B Wide-angle\n   tails in clusters.\n%K radio\n%K jets\n\n%R 2002B\n%T Second\n%B Hot spots of lobes.\n"  # noqa: E501
RIS = "TY  - JOUR\nID  - 2001A\nTI  - Bent Radio tails\nPY  - 2001\nAB  - Wide-angle tails in clusters.\nKW  - radio\nKW  - jets\nER  - \nTY  - JOUR\nID  - 2002B\nTI  - Second\nAB  - Hot spots of lobes.\nER  - \n"  # noqa: E501


def make_corpus(n: int = 80, *, synonyms: bool = True, seed: int = 0) -> pd.DataFrame:
    """Return papers of 8 subjects: titles call things by one word, abstracts mostly by another that goes with it."""
    draw = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        subject = i % 8
        marks = [f"mark{m}" for m in draw.choice(60, 3, replace=False)]
        own = [f"{kind}{subject}x{j}" for j in range(6) for kind in (("said", "meant") if synonyms else ("said",))]
        chosen = list(draw.choice(own, 8))
        title = [word for word in own if word.startswith("said")][:3]
        if synonyms:
            chosen = [w.replace("said", "meant") if draw.random() < 0.8 else w for w in chosen]
        rows.append(
            (f"p{i}", " ".join(title + marks), " ".join(chosen + marks), 2000 + i % 20, i % 7, f"s{subject}; radio")
        )
    return make_papers(pd.DataFrame(rows, columns=["id", "title", "abstract", "year", "citations", "keywords"]))


@pytest.mark.parametrize(("name", "text"), [("a.bib", BIBTEX), ("a.txt", ADS), ("a.ris", RIS)])
def test_every_kind_of_export_gives_the_same_papers(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    papers = read_papers(tmp_path / name)
    assert papers["id"].tolist() == ["2001A", "2002B"]
    first = papers.iloc[0]
    assert first["title"] == "Bent Radio tails" and first["abstract"] == "Wide-angle tails in clusters."
    assert first["year"] == 2001 and set(first["keywords"].replace(",", ";").replace(" ", "").split(";")) == {
        "radio",
        "jets",
    }


def test_tables_and_folders_are_read(tmp_path):
    pd.DataFrame(
        {"Bibcode": ["a", "b"], "Title": ["T", None], "Summary": ["x y", "z"], "Date": ["2003-05", ""]}
    ).to_csv(tmp_path / "a.csv")
    papers = read_papers(tmp_path / "a.csv")
    assert papers["year"].tolist()[0] == 2003 and np.isnan(papers["year"][1]) and papers["title"].tolist() == ["T", ""]
    (tmp_path / "folder").mkdir()
    for name in ("one", "two"):
        (tmp_path / "folder" / f"{name}.txt").write_text(f"Title {name}\n\nAbstract of {name}.\n")
    assert read_papers(tmp_path / "folder")["abstract"].tolist() == ["Abstract of one.", "Abstract of two."]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "nothing of the kind", "expected CSV, BibTeX"),
        ("a.csv", "name,words\na,b\n", "columns id, title and abstract"),
        ("a.csv", "id,abstract\na,\n", "papers with abstracts"),
        ("a.csv", "id,abstract\na,x\na,y\n", "'a' twice"),
        ("a.csv", "id,abstract\n,x\n", "an id for every paper"),
        ("a.bib", "@article{a, abstract={never closed", "closing brace"),
        ("no.csv", None, "cannot read"),
    ],
)
def test_files_that_hold_no_papers_are_refused(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises((DataError, InputError), match=words):
        read_papers(tmp_path / name)


def test_bm25_is_its_formula():
    texts = ["jets jets lobes", "lobes plumes tails", "jets of a core"]
    model = WordModel.of_texts(texts)
    score = model.bm25(model.count(["jets lobes jets"]))[0]
    split = [[w for w in text.split() if w in model.words] for text in texts]
    for text, found in zip(split, score, strict=True):
        expected = 0.0
        for word, times in (("jets", 2), ("lobes", 1)):
            n = sum(word in other for other in split)
            c = text.count(word)
            length = len(text) / np.mean([len(other) for other in split])
            expected += times * np.log(1 + (3 - n + 0.5) / (n + 0.5)) * c * (K1 + 1) / (c + K1 * (1 - B + B * length))
        assert found == pytest.approx(expected)


def test_topics_are_the_leading_singular_vectors():
    model = WordModel.of_texts(make_corpus(20)["abstract"].to_list(), topics=8)
    rows = model.tfidf(model.count_NT).toarray()
    np.testing.assert_allclose((rows**2).sum(1), 1)
    strength = np.linalg.svd(rows, compute_uv=False)[:8]
    assert (model.topics() ** 2).sum() == pytest.approx((strength**2).sum(), rel=0.01)
    assert WordModel.of_texts(["jets lobes", "lobes plumes"], topics=200).n_topics == 1


def test_filters_weights_and_hooks(tmp_path):
    index = PaperIndex(make_corpus(), topics=8)
    query = "said3x0 meant3x1"
    best = index.rank(query, 10)
    assert best["keywords"].str.startswith("s3;").mean() > 0.8 and best["score"].is_monotonic_decreasing
    for method in ("bm25", "both"):
        assert index.rank(query, 5, Asked(method=method))["keywords"].str.startswith("s3;").all()
    late = index.rank(query, 10, Asked(after=2010, before=2015, least_citations=2, with_keywords=("S3",)))
    assert late["year"].between(2010, 2015).all() and (late["citations"] >= 2).all()
    cited = index.rank(query, 5, Asked(weights=Weights(citations=100.0)))
    assert (cited["citations"] == 6).all()
    assert index.rank("anything", 3, expand=lambda text: query)["id"].tolist() == best["id"].tolist()[:3]
    turned = index.rank(query, 3, rerank=lambda text, found: -np.arange(len(found)) % 7)
    assert len(turned) == 3 and turned["score"].is_monotonic_decreasing
    fed = index.rank("said3x0", 10, Asked(method="bm25", feedback=5))
    assert (
        fed["keywords"].str.startswith("s3;").sum()
        >= index.rank("said3x0", 10, Asked(method="bm25"))["keywords"].str.startswith("s3;").sum()
    )  # noqa: E501
    again = PaperIndex.load(index.save(tmp_path / "index.npz"))
    pd.testing.assert_frame_equal(again.rank(query, 5), index.rank(query, 5), check_exact=False)


def test_a_model_of_yours_ranks(tmp_path):
    def embed(texts):
        return np.array([[text.count("meant1"), text.count("meant2"), 1.0] for text in texts])

    papers = make_corpus(30)
    index = PaperIndex(papers, embed=embed)
    assert index.rank("meant2", 3, Asked(method="embedding"))["keywords"].str.startswith("s2;").all()
    again = PaperIndex.load(index.save(tmp_path / "i.npz"), embed=embed)
    np.testing.assert_allclose(again.feature_NF, index.feature_NF)
    with pytest.raises(InputError, match="a model of the index"):
        PaperIndex(papers).rank("meant2", 3, Asked(method="embedding"))


def test_a_summary_cites_what_was_found():
    ranked = PaperIndex(make_corpus(20)).rank("said3x0", 3)
    first = ranked["id"][0]
    assert summarise("q", ranked, lambda query, texts: f"So it is [{first}].").endswith(f"[{first}].")
    for told in ("Nothing cited.", f"As [{first}, made up] shows."):
        with pytest.raises(InputError, match="summary"):
            summarise("q", ranked, lambda query, texts, told=told: told)


@pytest.mark.parametrize(
    ("query", "asked", "words"),
    [
        ("  ", {}, "query: expected some words"),
        ("unheard of", {}, "a word that the papers have"),
        ("said3x0", {"after": 2050}, "a paper that passes"),
        ("said3x0", {"method": "hyde"}, "unknown 'hyde'"),
        ("said3x0", {"feedback": -1}, "feedback"),
        ("said3x0", {"weights": Weights(time=1), "now": 2005}, "none after 2005"),
    ],
)
def test_questions_that_cannot_be_answered(query, asked, words):
    with pytest.raises(InputError, match=words):
        PaperIndex(make_corpus(20)).rank(query, 3, Asked(**asked))


def test_whether_topics_beat_words_on_the_corpus_of_the_tests():
    """Of 80 titles LSA with weights finds fewer than BM25 does, and both together are not told apart from it.

    With few topics papers of one subject look alike, and words tell which of them a title means.
    """
    apart = judge_titles(make_corpus(160), topics=8)
    gain = apart.rows[apart.rows["metric"] == "papers/mean_reciprocal_rank"].set_index("method")
    assert gain.loc["lsa - bm25", "high"] < 0
    assert gain.loc["both - bm25", "low"] < 0 < gain.loc["both - bm25", "high"]
    assert apart.sentence.startswith("lsa falls short of bm25: -0.") and "both is not told apart" in apart.sentence
    assert "hosted language model" in apart.sentence and set(apart.rows["n"]) == {80}
    same = judge_titles(make_corpus(160, synonyms=False), topics=8).rows.set_index(["method", "metric"])["value"]
    assert same["bm25", "papers/recall_at_10"] > 0.9


def test_topics_win_where_titles_share_no_word_with_their_abstracts():
    """The control: notes that hold the words of both are all that leads from a title to its abstract."""
    draw = np.random.default_rng(0)
    rows = []
    for i in range(120):
        common = [f"c{i}x{j}" for j in range(3)]
        told = [f"t{i}x{j}" for j in range(3)]
        rows.append((f"key{i}", " ".join([*told, "radio"]), " ".join([*common, "radio", f"word{draw.integers(9)}"])))
        rows.append((f"note{i}", "", " ".join(told + common)))
    found = judge_titles(make_papers(pd.DataFrame(rows, columns=["id", "title", "abstract"])), topics=110)
    gain = found.rows[found.rows["metric"] == "papers/mean_reciprocal_rank"].set_index("method")
    assert gain.loc["lsa - bm25", "low"] > 0 and "lsa beats bm25" in found.sentence


def test_a_title_inside_the_corpus_is_refused():
    papers = make_corpus(30)
    papers.loc[3, "abstract"] = papers.loc[7, "title"].upper()
    with pytest.raises(InputError, match="none that is itself an abstract"):
        judge_titles(papers)
    with pytest.raises(InputError, match="20 and more"):
        judge_titles(make_corpus(10))


def test_the_commands(tmp_path):
    run = CliRunner().invoke
    make_corpus(40).to_csv(tmp_path / "papers.csv", index=False)
    made = run(app, ["papers", "index", str(tmp_path / "papers.csv"), "-o", str(tmp_path / "i.npz")])
    assert made.exit_code == 0 and made.output.startswith("40 papers")
    found = run(
        app,
        [
            "papers",
            "rank",
            str(tmp_path / "i.npz"),
            "said3x0 meant3x1",
            "-k",
            "2",
            "--keywords",
            "s3",
            "-o",
            str(tmp_path / "found.csv"),
        ],
    )  # noqa: E501
    assert (
        found.exit_code == 0 and len(found.output.splitlines()) == 2 and len(pd.read_csv(tmp_path / "found.csv")) == 2
    )
    early = run(app, ["papers", "rank", str(tmp_path / "i.npz"), "said3x0", "--recent", "1", "--now", "2005"])
    assert isinstance(early.exception, InputError) and "dates: expected none after 2005" in str(early.exception)
    judged = run(app, ["papers", "judge", str(tmp_path / "papers.csv"), "-o", str(tmp_path / "rows.csv")])
    assert judged.exit_code == 0 and "both" in judged.output and (tmp_path / "rows.csv").exists()
