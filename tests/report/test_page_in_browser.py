"""The page of a results folder with many rows: names in their places, the best below the tables."""

import html
import json
import os
import re
import subprocess

import pytest
from fake_results import SMALL, make_results

from equirgz.errors import ResultsError
from equirgz.report.page import make_page, write_page
from equirgz.report.page.screenshot import FLAGS, find_browser
from equirgz.report.rows.results import open_results

METHODS = tuple(f"a rather long name of a method, the {k}th" for k in range(6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder whose tables have twelve rows."""
    return make_results(tmp_path_factory.mktemp("made") / "fake", extra={"method": METHODS}, seeds=(0, 1, 2), **SMALL)


def test_the_best_of_each_column_is_told_below_the_table_and_in_no_row(folder):
    text = make_page(open_results(folder))
    tables, _, rest = text.partition('id="comparisons"')
    assert "<tfoot>" not in tables and rest
    first = re.search(r'</table></div>\s*<p class="caption best">(.*?)</p>', tables, re.DOTALL)[1]
    assert re.search(r"<b>50 labels, none</b> – D4 method=.+ \(", first)
    assert "Above: the best mean of each column" in text and "Last row" not in tables


def test_names_of_twelve_rows_lie_left_of_the_figure_and_none_overlaps(folder, tmp_path):
    try:
        browser = find_browser()
    except ResultsError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    probe = """
    <script>
      const frame = document.querySelector("#plot svg").getBoundingClientRect();
      const place = node => {
        const box = node.getBoundingClientRect();
        return [box.left - frame.left, box.right - frame.left, box.top - frame.top, box.bottom - frame.top];
      };
      const boxes = [...document.querySelectorAll("#plot text")].map(node => [...place(node), node.textContent]);
      const dots = [...document.querySelectorAll("#plot circle")].map(node => place(node)[0]);
      const result = JSON.stringify({boxes, dots, height: frame.height});
      document.body.insertAdjacentHTML("beforeend", "<pre id=probe>" + result + "</pre>");
    </script></body>"""
    probed = tmp_path / "probed.html"
    probed.write_text(write_page(folder).read_text().replace("</body>", probe))
    command = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'user'}", "--dump-dom", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout)[1]))
    names = [box for box in found["boxes"] if "method=" in box[4]]
    assert len(names) == 12 == len(found["dots"])
    assert all(left >= 0 and right < min(found["dots"]) for left, right, *_ in names)
    assert all(top >= 0 and bottom <= found["height"] for _, _, top, bottom, _ in found["boxes"])
    tops = sorted((top, bottom) for _, _, top, bottom, _ in names)
    assert all(bottom <= top for (_, bottom), (top, _) in zip(tops, tops[1:], strict=False))
