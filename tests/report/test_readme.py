"""Generated blocks of Markdown files."""

import json

import pytest

from equirgz.errors import InputError, ResultsError
from equirgz.records import read_json
from equirgz.report import write_tables
from equirgz.report.readme import fill_readme, find_readmes, find_table_files, read_cell


@pytest.fixture
def root(folder):
    write_tables(folder)
    (folder / "figures").mkdir()
    (folder / "figures" / "error_vs_labels.png").touch()
    return folder.parent


def test_blocks_are_filled_and_then_pass_the_check(root):
    readme = root / "README.md"
    readme.write_text(
        "# Title\n<!-- table: fake -->\nformer words\n<!-- end -->\ntext\n"
        "<!-- figure: fake/figures/error_vs_labels.png -->\n"
        "<!-- end -->\n<!-- index: . -->\n<!-- end -->\nlast\n"
    )
    with pytest.raises(ResultsError, match="committed tables"):
        fill_readme(readme, check=True)
    assert fill_readme(readme) is True
    text = readme.read_text()
    assert (root / "fake" / "tables" / "error_rate_test_network.md").read_text() in text
    assert "![error vs labels](fake/figures/error_vs_labels.png)" in text
    assert "| [fake](fake) | Does it work? | 42/48 |" in text
    assert "former words" not in text and text.startswith("# Title\n") and text.endswith("last\n")
    assert fill_readme(readme) is False and fill_readme(readme, check=True) is False


def test_the_index_counts_runs_of_the_plan_and_no_ensembles(root):
    rows = root / "fake" / "rows.csv"
    lines = rows.read_text().splitlines()
    grid, _, rest = lines[1].split(",", 2)
    rows.write_text("\n".join([*lines, f"{grid},0123456789abcdef,{rest}", ""]))
    readme = root / "README.md"
    readme.write_text("<!-- index: . -->\n<!-- end -->\n")
    fill_readme(readme)
    assert "| 42/48 |" in readme.read_text()


def test_one_table_by_its_path(root):
    readme = root / "README.md"
    readme.write_text("<!-- table: fake/tables/nll_mean_test_network.md -->\n<!-- end -->\n")
    fill_readme(readme)
    assert "Negative log-likelihood" in readme.read_text()


def test_bad_blocks(root):
    readme = root / "README.md"
    for text, error, words in (
        ("<!-- table: nothing -->\n<!-- end -->\n", ResultsError, "nothing"),
        ("<!-- table: fake -->\nno end\n", ResultsError, "open block"),
        ("<!-- tabel: fake -->\n<!-- end -->\n", InputError, "did you mean 'table'"),
    ):
        readme.write_text(text)
        with pytest.raises(error, match=words):
            fill_readme(readme)
        assert readme.read_text() == text
    with pytest.raises(ResultsError, match="Markdown file"):
        fill_readme(root / "none.md")


def test_a_value_is_a_cell_of_a_table(root):
    table = root / "table.md"
    table.write_text("| net | group | 50 labels | 729 labels |\n| :-- | :-- | --: | --: |\n| a | C1 | 3.0 ± 1 | 2 |\n"
                     "| a | C10 | **1.0** | – |\n\nWords | and.\n")  # fmt: skip
    page = root / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(
        "From <!-- value: ../table.md: a C1 | 50 labels -->9<!-- end --> to\n"
        "<!-- value: ../table.md: a C10 | 50 labels --><!-- end --> %.\n"
    )
    (root / "docs" / "plain.md").write_text("no block\n")
    assert find_readmes(root)[2:] == [page]
    fill_readme(page)
    assert "-->3.0 ± 1<!-- end --> to" in page.read_text() and "-->1.0<!-- end --> %" in page.read_text()
    assert find_table_files(page, page.read_text()) == 2 * [root / "docs" / "../table.md"]
    for place, error in (("a C2 | 50 labels", ResultsError), ("a | 50 labels", ResultsError), ("a C1 | 5", InputError)):
        page.write_text(f"<!-- value: ../table.md: {place} -->9<!-- end -->")
        with pytest.raises(error):
            fill_readme(page)


def test_a_value_is_a_cell_of_a_csv_or_of_the_table_that_has_its_column(tmp_path):
    sheet, page = tmp_path / "rows.csv", tmp_path / "two.md"
    sheet.write_text('setting,n,value,low\n"agreement 0.5, new",5,0.533334,\n"agreement 0.5, new",25,1200,-0.25\n')
    assert read_cell(sheet, "agreement 0.5, new 5 | value") == "0.533"
    assert read_cell(sheet, "agreement 0.5, new 25 | value") == "1200"
    assert read_cell(sheet, "agreement 0.5, new 25 | low") == "-0.25"
    page.write_text("| a | b |\n| :-- | --: |\n| x | 1.0 |\n\nwords\n\n| a | c |\n| :-- | --: |\n| x | 2.0 |\n")
    assert [read_cell(page, f"x | {column}") for column in "bc"] == ["1.0", "2.0"]
    with pytest.raises(InputError, match="column"):
        read_cell(page, "x | d")


def test_the_index_says_how_long_a_grid_trained_and_what_shows_that_it_was_long_enough(root):
    plan = read_json(root / "fake" / "grid.json")
    configs = {str(steps): {"train": {"steps": steps}} for steps in (50, 800, 200)}
    for change, words in (
        ({}, "|  | not shown |"),
        ({"configs": configs}, "| 50 to 800 | not shown |"),
        (
            {"configs": {"a": configs["200"]}, "document": {"report": {"plateau": "curves"}}},
            "| 200 | [curves](curves) |",
        ),
        ({"configs": configs, "axes": {"steps": [50, 200, 800]}}, "| 50 to 800 | axis of this grid |"),
    ):
        (root / "fake" / "grid.json").write_text(
            json.dumps(plan | {"configs": {}, "axes": {}, "document": {}} | change)
        )
        (root / "README.md").write_text("<!-- index: . -->\n<!-- end -->\n")
        fill_readme(root / "README.md")
        assert words in (root / "README.md").read_text()
