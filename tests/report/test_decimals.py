"""Decimals of sentences that no mark makes."""

import pytest

from equirgz.errors import ResultsError
from equirgz.report.decimals import check_decimals, find_typed_decimals
from equirgz.report.readme import fill_readme

ASKED, BUT = "<!-- every decimal is marked -->\n", "<!-- every decimal is marked, except in a, b -->\n"
VALUE = "<!-- value: t.md: x | y -->{}<!-- end -->"


def test_typed_decimals_are_found_by_entry():
    entries = f"- **a** (3.5)\n  and {VALUE.format(9.5)}, 4.5.\n- **b/c** 5\n- **d.** 6.5 to 7.5\n"
    assert find_typed_decimals(f"of 1.5 %\n# Title 2.5\n{entries}# End\n8.5\n") == {
        "": ["1.5", "2.5", "8.5"],
        "a": ["3.5", "4.5"],
        "d": ["6.5", "7.5"],
    }


def test_code_links_versions_and_arxiv_numbers_are_no_results():
    text = "`lr 0.1` [x](v1.2/a.md) 0.1.0 arXiv 2305.16127 <!-- 3.4 -->\n```\n5.6\n```\n"
    assert find_typed_decimals(f"{text}<!-- table: t -->\n| 7.8 |\n<!-- end -->\n") == {}


def test_a_page_asks_for_it_and_its_exceptions_only_shrink(tmp_path):
    page = tmp_path / "README.md"
    assert check_decimals(page, "1.5") is None
    assert check_decimals(page, f"{ASKED}of {VALUE.format(1.5)}") == frozenset()
    assert check_decimals(page, f"{BUT}- **a** 1.5\n- **b** 2.5\n") == {"a", "b"}
    for text, words in (
        (f"{ASKED}1.5", "text outside of entries.*got 1.5.*mark them"),
        (f"{BUT}- **a** 1.5\n- **b** 2.5\n- **c** 3.5, 4.5", "c: .*got 3.5, 4.5"),
        (f"{BUT}- **a** 1.5\n- **b** 2\n", "b without any.*off the list"),
    ):
        with pytest.raises(ResultsError, match=words):
            check_decimals(page, text)


def test_the_command_that_checks_pages_checks_that(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"{ASKED}1.5\n")
    assert fill_readme(page) is False
    with pytest.raises(ResultsError, match="marked values"):
        fill_readme(page, check=True)
