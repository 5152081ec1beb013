"""The benchmark of imaging: data of its model have their noise, and what is done is kept and reported."""

import pandas as pd
import pytest
import torch

from benchmarks.imaging import NOISE, SIZE, main, make_model, observe


def test_the_dirty_image_of_an_empty_sky_has_the_stated_noise():
    model = make_model()
    dirty_NHW = model.dirty_image(observe(model, torch.zeros(200, SIZE, SIZE)))
    assert float(dirty_NHW.std()) == pytest.approx(NOISE, rel=0.05)


def test_methods_that_are_done_are_kept_and_make_the_report(tmp_path, capsys):
    out = ["--profile", "smoke", "--out", str(tmp_path), "--methods"]
    main([*out, "dirty"])
    main([*out, "dirty", "gaussian"])
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert rows.groupby("method")["metric"].nunique()["dirty"] == 2
    assert {"tarp", "chi2", "coverage_90"} <= set(rows[rows["method"] == "gaussian"]["metric"])
    text = capsys.readouterr().out
    assert text.count("gaussian |") == 1 and (tmp_path / "figures" / "imaging.png").exists()
    with pytest.raises(SystemExit, match="another profile"):
        main(["--profile", "cpu", "--out", str(tmp_path)])
