"""The page of classified sources in a real browser: what is drawn, chosen, filtered, enclosed, rated and exported."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import re
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equirgz.answers.from_marks import read_marks
from equirgz.errors import InputError, ResultsError
from equirgz.report.page.explorer import MOST, SourceMap, choose_sources, make_explorer
from equirgz.report.page.screenshot import FLAGS, find_browser
from equirgz.report.page.sprites import make_sprite, make_thumbnails

N = 60


@pytest.fixture(scope="module")
def page():
    """Sixty sources on a lattice of 10 x 6, every image one bright pixel at another place."""
    draw = np.random.default_rng(0)
    image_NHW = np.zeros((N, 40, 40), np.uint8)
    image_NHW[np.arange(N), 12 + np.arange(N) // 10 * 3, 10 + np.arange(N) % 10 * 2] = 255
    p_N = np.linspace(0.05, 0.95, N)
    table = pd.DataFrame({
        "id": [f"source_{i}" for i in range(N)], "class": np.where(p_N > 0.5, "FRI", "FRII"), "p_FRI": p_N,
        "p_FRII": 1 - p_N, "las_arcsec": draw.uniform(10, 100, N), "las_arcsec_low": 9.0, "las_arcsec_high": 101.0,
        "ra_deg": 150.0, "dec_deg": np.where(np.arange(N) % 2, np.nan, -20.0),
        "cannot_tell": np.abs(p_N - 0.5) < 0.1, "flags": np.where(np.abs(p_N - 0.5) < 0.1, "undecided", ""),
        "tags": [";".join(t for t, every in (("bent", 2), ("hot spots", 3)) if i % every == 0) for i in range(N)],
        "notes": 'odd <b>"words"</b> & </script>', "alike_1": "other (FRI)",
    })  # fmt: skip
    place_N2 = np.stack([np.arange(N) % 10, np.arange(N) // 10], 1) * 1.0
    neighbour_Nk = (np.arange(N)[:, None] + [1, 2]) % N
    turned = SourceMap("turned", place_N2 @ [[0, 1], [-1, 0]], (np.arange(N)[:, None] + [5, 6]) % N)
    return make_explorer(
        table,
        image_NHW,
        [SourceMap("plain", place_N2, neighbour_Nk), turned],
        title="Sixty <sources>",
        class_names=("FRI", "FRII"),
        flags={"undecided": "no class is sure"},
        facts=[("sources", "60")],
        tags=("bent", "hot spots"),
    )


@pytest.fixture(scope="module")
def browse(page, tmp_path_factory):
    """Return what a script on the page gives, as its last expression; run when all is loaded."""
    try:
        browser = find_browser()
    except ResultsError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("page")

    def run(script: str) -> dict:
        probe = f"""<script>window.addEventListener("load", () => {{
            const out = {{}}, press = k => new KeyboardEvent("keydown", {{key: k, cancelable: true}});
            const key = k => canvas.dispatchEvent(press(k));
            const point = (kind, x, y, more) => canvas.dispatchEvent(Object.defineProperties(
              new PointerEvent(kind, {{pointerId: 1, ...more}}), {{offsetX: {{value: x}}, offsetY: {{value: y}}}}));
            {script}
            document.body.insertAdjacentHTML("beforeend", "<pre id=probe></pre>");
            document.getElementById("probe").textContent = JSON.stringify(out);
        }});</script></body>"""
        file = folder / "page.html"
        file.write_text(page.replace("</body>", probe))
        command = [browser, *FLAGS, f"--user-data-dir={folder / 'user'}", "--window-size=1200,900", "--dump-dom"]
        done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, timeout=240, check=True)
        return json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout)[1]))

    return run


def test_the_page_needs_no_network_and_escapes_what_users_name(page):
    links = set(re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page))
    assert links == set() and "<sources>" not in page and "</script> " not in page.partition('id="data"')[2][:200]


def test_it_works_in_a_browser(browse, tmp_path):
    """One start of the browser for all: choosing, keys, look-alikes, filters, lasso, rating, labels, export."""
    out = browse("""
        localStorage.clear();
        out.shown = explorer.shown;
        let [x, y] = explorer.toScreen(25);
        point("pointerdown", x, y); point("pointerup", x, y);
        out.chosen = explorer.chosen; out.name = $("name").textContent; out.flag = $("flags").textContent;
        out.facts = $("facts").textContent;
        $("alike").firstChild.click(); out.alike = explorer.chosen;
        key("ArrowRight"); out.right = explorer.chosen; key("ArrowUp"); out.up = explorer.chosen;
        key("4"); key("s"); out.picked = explorer.targets();
        $("label").value = "odd, one"; $("apply").click();
        key("Escape"); explorer.choose(3); key("2"); explorer.choose(4); key("5"); key("0");
        out.csv = explorer.csv(explorer.marked());
        $("class").value = "FRI"; $("class").onchange(); out.fri = explorer.shown;
        $("class").value = "?"; $("class").onchange(); out.doubt = explorer.shown;
        $("class").value = ""; $("flag").value = "undecided"; $("flag").onchange(); out.flagged = explorer.shown;
        $("flag").value = ""; $("search").value = "_5"; $("search").oninput(); out.found = explorer.shown;
        $("search").value = ""; $("column").value = "p_FRI"; $("low").value = "0.9"; $("low").oninput();
        out.sure = explorer.shown; $("low").value = ""; $("low").oninput();
        const [bent, hot] = document.querySelectorAll("button.tag");
        bent.click(); out.bent = explorer.shown; hot.click(); out.both = explorer.shown;
        hot.click(); out.bentOnly = explorer.shown; hot.click(); bent.click(); bent.click(); out.all = explorer.shown;
        const corner = i => explorer.toScreen(i), [ax, ay] = corner(0), [bx, by] = corner(22);
        point("pointerdown", ax - 5, ay + 5, {shiftKey: true});
        for (const [px, py] of [[bx + 5, ay + 5], [bx + 5, by - 5], [ax - 5, by - 5]]) point("pointermove", px, py);
        point("pointerup", ax - 5, by - 5);
        out.lasso = explorer.targets();
        const before = explorer.toScreen(7); key("+"); out.zoomed = explorer.toScreen(7)[0] !== before[0];
        $("colour").value = "las_arcsec"; $("colour").onchange(); $("colour").value = "rating"; $("colour").onchange();
        const frames = explorer.frames(3); out.frames = frames.length;
        const image = pen.getImageData(0, 0, canvas.width, canvas.height).data; out.lit = image.some(v => v > 0);
        out.sheet = [sheet.width, sheet.height];
        explorer.choose(20); const at = explorer.toScreen(20), alike = $("alike").firstChild.title;
        $("which").value = "turned"; $("which").onchange();
        const [one, other] = [explorer.toScreen(20), explorer.toScreen(21)];
        out.turned = [one[1] - other[1], one[0] - other[0]];
        out.alikes = [alike, $("alike").firstChild.title]; out.still = [explorer.chosen, explorer.marked().length];
    """)
    assert out["shown"] == N and out["chosen"] == 25 and out["name"] == "source_25"
    assert out["flag"].startswith("undecided: no class is sure") and '<b>"words"</b>' in out["flag"]
    assert "(9 to 101)" in out["facts"] and "other (FRI)" in out["facts"]
    assert (out["alike"], out["right"], out["up"], out["picked"]) == (26, 27, 37, [37])
    exported = pd.read_csv(io.StringIO(out["csv"]), dtype={"source_id": str}).set_index("source_id")
    assert exported.loc["source_37", "label"] == "odd, one"
    assert exported["rating"].to_dict() == {"source_3": 2, "source_37": 4}
    (tmp_path / "labels.csv").write_text(out["csv"])  # what equirgz finetune and anomalies read
    assert read_marks(tmp_path / "labels.csv", "label").to_dict() == {"source_37": "odd, one"}
    assert read_marks(tmp_path / "labels.csv", "rating").to_dict() == {"source_3": "2", "source_37": "4"}
    p_N = np.linspace(0.05, 0.95, N)
    sure_N = np.abs(p_N - 0.5) >= 0.1
    assert out["fri"] == ((p_N > 0.5) & sure_N).sum() and out["doubt"] == out["flagged"] == (~sure_N).sum()
    assert out["found"] == 11 and out["sure"] == (np.round(p_N, 4) >= 0.9).sum()
    assert (out["bent"], out["both"], out["bentOnly"], out["all"]) == (30, 10, 20, N)
    assert out["lasso"] == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert (
        out["turned"][0] > 5 and abs(out["turned"][1]) < 1e-6
    )  # its neighbour to the right lies above or below it now
    assert out["alikes"] == ["source_21", "source_25"] and out["still"] == [20, 2]
    assert out["zoomed"] and out["frames"] == 3 and out["lit"] and out["sheet"] == [8 * 32, 8 * 32]


def test_thumbnails_have_north_up_and_lie_in_their_place_of_the_sprite():
    image_NHW = np.zeros((5, 64, 64), np.uint8)
    image_NHW[3, 40:44, 28:32] = 255  # north of the centre
    small_NTT = make_thumbnails(image_NHW, share=1.0)
    row, column = np.argwhere(small_NTT[3] > 200).mean(0)
    assert row < 15.5 and abs(column - 14.5) < 1 and not small_NTT[0].any()
    address, columns = make_sprite(small_NTT)
    whole = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))
    assert columns == 3 and whole.shape == (64, 96)
    assert whole[32:, :32].max() > 150 and whole[:32].max() < 60


def test_many_sources_are_sampled_and_the_line_says_the_weight():
    chosen, line = choose_sources(MOST)
    assert len(chosen) == MOST and line == ""
    chosen, line = choose_sources(10**6)
    assert len(chosen) == MOST == len(set(chosen)) and (np.diff(chosen) > 0).all()
    assert re.fullmatch(r"the page of 1000000 sources would weigh about \d+ MB; it shows 20000 of them, .*", line)


def test_lengths_that_disagree_are_refused(page):
    table = pd.DataFrame({"id": ["a"], "class": ["FRI"], "flags": [""], "cannot_tell": [False]})
    with pytest.raises(InputError, match="one place, image and row of neighbours per source"):
        make_explorer(
            table, np.zeros((1, 9, 9), np.uint8), [SourceMap("", np.zeros((2, 2)), np.zeros((1, 1), int))],
            title="", class_names=(), flags={},
        )  # fmt: skip
    with pytest.raises(InputError, match="expected a column tags, got id, class, flags, cannot_tell"):
        make_explorer(
            table, np.zeros((1, 9, 9), np.uint8), [SourceMap("", np.zeros((1, 2)), np.zeros((1, 1), int))],
            title="", class_names=(), flags={}, tags=("bent",),
        )  # fmt: skip
