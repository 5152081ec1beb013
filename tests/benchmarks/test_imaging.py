"""The grid of imaging on a few updates: its rows, the table and the figure that are drawn of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import imaging, sampling
from equirgz.errors import InputError
from equirgz.grid.further import imaging_rows
from equirgz.grid.further.needs import check_further
from equirgz.grid.plan.grid import load_grid, make_grid
from equirgz.grid.run.cell import run_cell
from equirgz.imaging.simulated import fit_gaussian, make_measurement, observe_all, sample_gaussian


def test_the_dirty_image_of_an_empty_sky_has_the_stated_noise():
    model = make_measurement(25, 3.6, 2.0)
    dirty_NHW = model.dirty_image(observe_all(model, torch.zeros(100, 25, 25)))
    assert float(dirty_NHW.std()) == pytest.approx(2.0, rel=0.05)
    assert make_measurement(25, 7.2).cell_M2.equal(model.cell_M2)  # in units of the pixels the coverage is the same


def test_samples_of_right_posteriors_pass_and_narrow_ones_fail():
    """The same test of coverage that judges networks, on images drawn from the very prior."""
    generator = torch.Generator().manual_seed(0)
    prior = fit_gaussian(torch.randn(400, 9, 9, generator=generator).cumsum(1).cumsum(2) / 9)
    truth_NHW, model = prior.draw(100, generator), make_measurement(9, 3.6)
    y_NM = observe_all(model, truth_NHW)
    right, narrow = (
        imaging_rows.measure_samples(model, y_NM, sample_gaussian(prior, model, y_NM, 64, shrink), truth_NHW)
        for shrink in (1.0, imaging_rows.NARROW)
    )
    assert right["tarp"] < right["tarp_band"] < narrow["tarp"]
    assert right["chi2"] == pytest.approx(1, abs=0.05) and abs(right["coverage_90"] - 0.9) < 0.05


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A results folder of the grid's smallest run, with a second set of truths."""
    patch = pytest.MonkeyPatch()
    patch.setattr(imaging_rows, "N_LEVELS", 2)
    patch.setattr(imaging_rows, "N_SAMPLES", 10)
    config = load_grid(imaging.GRID, [], "smoke").runs[0]
    extra = {"other": {"name": "synthetic_radio", "n_train": 1, "n_test": 2, "seed": 3}}
    config = config.model_copy(update={"data": config.data.model_copy(update={"extra_tests": extra})})
    rows = pd.DataFrame(run_cell(config, None, None)["rows"])
    patch.undo()
    out = tmp_path_factory.mktemp("imaging")
    rows.to_csv(out / "rows.csv", index=False)
    return out


def test_every_method_is_measured_on_the_same_truths_of_every_set(folder):
    rows = pd.read_csv(folder / "rows.csv")
    value = rows[rows["metric"].str.startswith("imaging/")].set_index(["split", "metric"])["value"]
    other = next(split for split in value.index.unique("split") if "other" in split)
    for split in ("test", other):
        for name in ("", "/dirty", "/clean", "/gaussian", "/gaussian_narrow"):
            assert np.isfinite(value[split, f"imaging/psnr{name}"]) and value[split, f"imaging/ssim{name}"] <= 1
        assert value[split, "imaging/psnr/clean"] > value[split, "imaging/psnr/dirty"]
        assert 0.8 < value[split, "imaging/chi2/clean"] < 1.3
    assert value["test", "imaging/psnr/clean"] != value[other, "imaging/psnr/clean"]


def test_the_report_has_a_line_per_method_and_set(folder, capsys):
    imaging.main([str(folder)])
    text = capsys.readouterr().out
    assert text.count("CLEAN") == text.count("dirty image") == text.count("score, D4") == 2
    assert (folder / "imaging.md").exists() and (folder / "figures" / "imaging.png").exists()


def test_it_is_measured_of_denoising_alone_and_of_images_with_a_pixel_scale(folder):
    document = {"name": "n", "base": {"evaluation": {"further": ["imaging"]}}, "axes": {"group": ["C1"]}}
    with pytest.raises(InputError, match="further: imaging: expected the task denoising, got classification"):
        check_further(make_grid(document).runs[0])

    @dataclasses.dataclass
    class Labelled:
        pixel_scale_arcsec: float = float("nan")
        name: str = "mine"

    run = type("Run", (), {"labelled": Labelled()})
    with pytest.raises(InputError, match="expected images with a pixel scale, got mine"):
        imaging_rows.imaging_rows(type("Answers", (), {"run": run}))


def test_ways_to_sample_are_measured_on_skies_whose_posterior_is_known(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sampling, "WAYS", {"Gaussian stands in": (3, 0, True)})
    monkeypatch.setattr(sampling, "GAUSSIAN", (2, 10))
    monkeypatch.setattr(sampling, "LEARNT", (2, 10))
    sampling.main(["--profile", "smoke", "-o", str(tmp_path / "sampling")])
    assert [line.split(" | ")[:3] for line in capsys.readouterr().out.splitlines() if " | " in line] == [
        ["Gaussian skies", "exact", "2"], ["Gaussian skies", "Gaussian stands in", "2"],
        ["score, D4", "Gaussian stands in", "2"],
    ]  # fmt: skip
    assert (tmp_path / "sampling.md").exists()
