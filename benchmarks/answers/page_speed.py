"""``python -m benchmarks.answers.page_speed``: what 10,000 simulated sources cost, and how fluid their page is.

Prints seconds, memory and the time of a frame in headless Chromium, without a graphics card, of a map that is moved and
zoomed, with and without thumbnails: drawing and reading back a pixel, not what the browser does beyond. The time
depends on the machine, so that it is printed and not kept.
"""

from __future__ import annotations

import html
import json
import re
import resource
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from equirgz.answers.classify_images import classify_sources
from equirgz.answers.explore import write_explorer
from equirgz.answers.inputs import Given
from equirgz.answers.source_model import SourceModel
from equirgz.data.simulate.stream import stream_sources
from equirgz.report.page.screenshot import FLAGS, find_browser

PROBE = """<script>window.addEventListener("load", () => {
  const out = {n: explorer.shown, size: [canvas.width, canvas.height]}, thumbs = document.getElementById("thumbs");
  for (const on of [true, false]) { thumbs.checked = on; explorer.frames(5); out[on ? "with" : "without"] =
    explorer.frames(60); }
  document.body.insertAdjacentHTML("beforeend", "<pre id=probe></pre>");
  document.getElementById("probe").textContent = JSON.stringify(out);
});</script></body>"""


def frame_times(page: Path, folder: Path) -> dict:
    """Return the sorted times (ms) of 60 frames of ``page``, with thumbnails and without."""
    probed = folder / "probed.html"
    probed.write_text(page.read_text(encoding="utf-8").replace("</body>", PROBE), encoding="utf-8")
    command = [find_browser(), *FLAGS, f"--user-data-dir={folder / 'user'}", "--window-size=1200,900", "--dump-dom"]
    done = subprocess.run([*command, probed.as_uri()], capture_output=True, text=True, timeout=300, check=True)
    return json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout)[1]))


def main(
    n: Annotated[int, typer.Option("--sources", min=10, help="How many are simulated.")] = 10_000,
    out: Annotated[Path | None, typer.Option("--out", help="Where the page is kept.")] = None,
) -> None:
    """Simulate sources, answer about them, write their page and time its frames."""
    model, started = SourceModel.load("radio_d4_small"), perf_counter()
    images = stream_sources("FIRST", size_px=model.sky.field_px, name="page", seed=0).image_set(n)
    simulated = perf_counter()
    found = classify_sources(images, model, Given(model.sky.pixel_scale_arcsec, model.sky.beam_arcsec))
    answered = perf_counter()
    with tempfile.TemporaryDirectory() as name:
        page, _ = write_explorer(found, out or Path(name) / "page.html", f"{n} simulated sources")
        written = perf_counter()
        times = frame_times(page, Path(name))
        weight = page.stat().st_size / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{n} simulated in {simulated - started:.0f} s, answered in {answered - simulated:.0f} s")
    print(f"page of {weight:.1f} MB in {written - answered:.0f} s; peak memory {memory:.2f} GB")
    for key, words in (("with", "with thumbnails"), ("without", "dots alone")):
        shown = times[key]
        median, ninth = shown[len(shown) // 2], shown[len(shown) * 9 // 10]
        print(f"{times['n']} sources drawn, {words}: median frame {median:.1f} ms, 90 % under {ninth:.1f} ms")


if __name__ == "__main__":
    typer.run(main)
