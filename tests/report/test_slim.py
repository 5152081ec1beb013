"""One table asked for, packed rows, and a folder without what its rows give anew."""

import pandas as pd
import pytest

from equirgz.errors import InputError, ResultsError
from equirgz.records import gzip_bytes
from equirgz.report import format_table, load_results, write_tables
from equirgz.report.rows.results import open_results
from equirgz.report.slim import slim_results


def test_one_table_in_one_format_is_text_and_nothing_is_written(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert format_table(folder, style="tex").startswith("% in the preamble: \\usepackage{booktabs}")
    assert "\\toprule" in format_table(folder, "comparison", style="tex")
    assert format_table(folder, "intervals", style="csv").splitlines()[0].startswith("backbone,group,n_labels")
    with pytest.raises(ResultsError, match="there are split"):
        format_table(folder, split="nowhere")
    with pytest.raises(InputError, match="style of a table"):
        format_table(folder, style="docx")
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_packed_rows_are_read_as_plain_ones_and_two_files_of_them_are_refused(folder):
    plain = load_results(folder)
    packed = gzip_bytes((folder / "rows.csv").read_bytes())
    (folder / "rows.csv.gz").write_bytes(packed)
    with pytest.raises(ResultsError, match=r"rows.csv or rows.csv.gz, got both"):
        load_results(folder)
    (folder / "rows.csv").unlink()
    pd.testing.assert_frame_equal(load_results(folder), plain)


def test_slimming_keeps_sources_what_a_readme_links_to_and_what_is_the_users_own(folder):
    write_tables(folder)
    (folder / "tables" / "my_notes.md").write_text("mine")
    readme = folder.parent / "README.md"
    readme.write_text("[one](fake/tables/nll_mean_test_network.md)\n<!-- table: fake -->\n<!-- end -->\n")
    gone = slim_results(folder, [readme])
    left = {path.name for path in (folder / "tables").rglob("*") if path.is_file()}
    assert left == {"my_notes.md", "nll_mean_test_network.md", "error_rate_test_network.md"} and len(gone) > 40
    assert (folder / "rows.csv.gz").exists() and not (folder / "rows.csv").exists()
    assert len(write_tables(folder)) == len(gone) + 2, "all of it is made anew from the packed rows"


def test_reprs_are_short(folder):
    assert len(repr(open_results(folder))) < 200
