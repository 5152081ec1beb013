"""The pattern for one's own images: the documentation shows the file, and it trains on real FITS as it stands."""

from pathlib import Path

from typer.testing import CliRunner

from equirgz.cli import app
from equirgz.data import load_data
from equirgz.data.notes import collect_notes
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


def test_it_trains_on_real_fits(data_root, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("equirgz.report.figures.write_figures.write_figures", lambda results: [])
    command = ["bench", "run", str(GRID), "--data-dir", str(data_root), "--out", str(tmp_path / "out")]
    changes = ("group=[C1]", "replicate=[0]", "train.steps=2")
    words = [word for change in changes for word in ("--set", change)]
    with collect_notes() as notes:
        done = CliRunner().invoke(app, [*command, "--engine", "inline", "--device", "cpu", *words])
    assert done.exit_code == 0 and "1 of 1 runs done, 0 failed" in done.output, done.output
    assert any("no label for 18 images" in line for line in notes)
