"""The pattern for one's own images: the documentation shows the file, and it trains on real FITS as it stands."""

import subprocess
import sys
from pathlib import Path

from equirgz.data import load_data
from equirgz.grid.plan.grid import load_grid

ROOT = Path(__file__).parents[2]
GRID = ROOT / "benchmarks" / "own_folder.yaml"


def test_the_documentation_shows_the_files_as_they_are():
    page = (ROOT / "docs" / "howto" / "your_images.md").read_text()
    for file in (GRID, GRID.with_suffix(".csv")):
        assert f"```{{literalinclude}} ../../benchmarks/{file.name}\n" in page


def test_the_sources_of_the_catalogue_have_its_labels_and_parts(data_root, monkeypatch):
    monkeypatch.chdir(ROOT)
    data = load_data(load_grid(GRID).runs[0].data, data_root)
    parts = {"train": data.train, **data.tests}
    found = {
        (str(source), images.class_names[label], part)
        for part, images in parts.items()
        for source, label in zip(images.source_id_N, images.label_N, strict=True)
    }
    lines = GRID.with_suffix(".csv").read_text().splitlines()[1:]
    assert found == {tuple(line.split(",")) for line in lines} and len(found) == 5


def test_it_trains_on_real_fits(data_root, tmp_path):
    command = [sys.executable, "-m", "equirgz", "bench", "run", str(GRID), "--data-dir", str(data_root)]
    command += ["--out", str(tmp_path / "out")]
    command += [word for change in ("group=[C1]", "replicate=[0]", "train.steps=2") for word in ("--set", change)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0 and "1 of 1 runs done, 0 failed" in done.stdout + done.stderr, done.stderr
    assert "no label for 18 images" in done.stdout + done.stderr
