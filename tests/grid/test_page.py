"""The page of a grid: what it says, that it stands alone, and that a real browser shows and sorts it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess

import pytest
from PIL import Image

from equirgz.errors import ResultsError
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.results.status import describe_status
from equirgz.grid.runner import run_grid
from equirgz.report import write_tables
from equirgz.report.page import write_page
from equirgz.report.page.screenshot import BROWSERS, FLAGS, write_screenshot


@pytest.fixture
def page(document, tmp_path):
    """The page of a grid in which all runs of seed 1 failed."""
    document["axes"]["seed"] = [0, 1, 2]
    document["question"] = "Is <b>this</b> escaped?"
    run_grid(make_grid(document), tmp_path, engine=make_engine_config("inline"), cell="fake_cells:odd_seeds_fail")
    collect(tmp_path)
    return write_page(tmp_path)


def test_page_stands_alone(page):
    text = page.read_text()
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert addresses == set()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?!data:)", text)
    assert "Is &lt;b&gt;this&lt;/b&gt; escaped?" in text
    assert page.read_bytes() == write_page(page.parent).read_bytes()


def test_comparisons_are_those_of_the_tables_and_figures_are_drawn_or_painted(page):
    folder = page.parent
    write_tables(folder)
    figures = folder / "figures"
    figures.mkdir()
    (figures / "both.svg").write_text("<svg/>")
    for name in ("both", "painted"):
        (figures / f"{name}.png").write_bytes(b"png")
    text = write_page(folder).read_text()
    shown = html.unescape(text[text.index('id="comparisons"') : text.index('id="figures"')])
    lines = (folder / "tables" / "comparison_test_network.md").read_text().splitlines()
    words = [word.strip() for word in lines[2].strip("| ").split("|")]
    assert len(words) > 3 and all(f">{word}<" in shown for word in words if word)
    assert len(re.findall('<img src="data:image/svg', text)) == len(re.findall('<img src="data:image/png', text)) == 1


def test_every_number_leads_to_its_runs_and_their_configuration(page):
    text = page.read_text()
    links, anchors = set(re.findall(r'href="#(cell-\w+)"', text)), set(re.findall(r'id="(cell-\w+)"', text))
    assert links == anchors and len(anchors) == 4
    assert text.count('<td class="failed">failed</td>') == 4 and text.count('<td class="done">done</td>') == 8
    assert "8 done, 4 failed" in text
    assert "group: D4" in html.unescape(text) and "steps: 5" in text


def test_failed_runs_stay_listed_with_their_errors_where_cells_are_not_kept(page):
    folder = page.parent
    shutil.rmtree(folder / "cells")
    plan = json.loads((folder / "grid.json").read_text())
    assert len(plan["failed"]) == 4 and set(plan["failed"].values()) == {"seed: expected an even one, got an odd one"}
    text = write_page(folder).read_text()
    assert text.count('<td class="status failed">failed</td><td>seed: expected an even one') == 4
    assert "8 done, 4 failed" in text
    lines = describe_status(folder)
    assert len(lines) == 5 and "seed=1: seed: expected an even one" in lines[1]


def test_a_browser_draws_the_figure_and_sorts_the_tables(page, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        if os.environ.get("CI"):
            pytest.fail("no browser: install Debian's package chromium")
        pytest.skip("no browser: install Debian's package chromium")
    probe = """
    <script>
      const table = document.querySelector("table.sorted"), head = table.querySelectorAll("th.sortable")[1];
      const column = () => [...table.tBodies[0].rows].map(row => Number(row.cells[1].dataset.sort));
      head.click(); const up = column(); head.click(); const down = column();
      location.hash = document.querySelector("td a").hash; reveal();
      const before = document.querySelectorAll("#plot circle").length;
      document.querySelector("#legend button").click();
      const result = {up, down, circles: before, fewer: document.querySelectorAll("#plot circle").length,
        open: document.querySelector("details:target").open, titles: document.querySelectorAll("#plot title").length,
        options: document.querySelectorAll("#chart option").length};
      document.body.insertAdjacentHTML("beforeend", "<pre id=probe>" + JSON.stringify(result) + "</pre>");
    </script></body>"""
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text().replace("</body>", probe))
    shot = tmp_path / "page.png"
    profile = f"--user-data-dir={tmp_path / 'user'}"
    command = [browser, *FLAGS, profile]
    settings = {"capture_output": True, "text": True, "timeout": 120, "check": True}
    done = subprocess.run([*command, "--dump-dom", probed.as_uri()], **settings)
    result = json.loads(html.unescape(re.search(r"<pre id=\"probe\">(.*?)</pre>", done.stdout)[1]))
    assert len(result["up"]) == 2 and result["up"] == sorted(result["up"]) and result["down"] == result["up"][::-1]
    assert result["open"] and result["circles"] == 4 and result["titles"] == result["fewer"] == 2
    write_screenshot(page.parent, shot, width_px=1200, height_px=900)
    with Image.open(shot) as picture:
        assert picture.size == (1200, 900) and len(picture.getcolors(2**20)) > 50


def test_no_browser_is_one_clear_line(page, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ResultsError, match="expected one of chromium, .*install Debian's package chromium"):
        write_screenshot(page.parent, tmp_path / "page.png")
    assert not (tmp_path / "page.png").exists()
