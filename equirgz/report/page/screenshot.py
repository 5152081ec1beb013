"""A picture of a grid's page, as a headless Chromium shows it."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from equirgz.errors import ResultsError
from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic
from equirgz.report.page import make_page
from equirgz.report.rows.results import Results, open_results

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


def find_browser() -> str:
    """Return the path of a Chromium; ResultsError where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        mend = "install Debian's package chromium"
        raise ResultsError("screenshot", expected=f"one of {', '.join(BROWSERS)}", got="none", mend=mend)
    return found


def write_screenshot(
    folder: Path | str | Results, path: Path | str, *, width_px: int = 1320, height_px: int = 1330
) -> Path:
    """Write the top of the page of a results folder as a PNG; return its path.

    The page is made anew from the rows. Raises: ResultsError without a browser, where it fails, or where the rows
    cannot be read.
    """
    path, browser = as_path(path), find_browser()
    page = make_page(open_results(folder))
    with tempfile.TemporaryDirectory() as name:
        source, shot = Path(name) / "page.html", Path(name) / "page.png"
        source.write_text(page, encoding="utf-8")
        options = (
            f"--user-data-dir={name}/user",
            f"--window-size={width_px},{height_px}",
            f"--screenshot={shot}",
        )
        command = [browser, *FLAGS, *options, source.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        except subprocess.TimeoutExpired as error:
            raise ResultsError(f"screenshot: expected {browser} to end within 180 s; try again") from error
        if not shot.exists():
            got = " ".join(done.stderr.split())[-200:] or f"status {done.returncode}"
            raise ResultsError("screenshot", expected=f"a picture from {browser}", got=got)
        with Image.open(shot) as picture:
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, "PNG", optimize=True)
    write_bytes_atomic(path, buffer.getvalue())
    return path
