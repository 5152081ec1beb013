"""The benchmark of residuals: its data hold what they claim, and the report is a function of its rows."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.residual import PROFILES, Profile, main, make_digits, make_gaussians, measure

SMALL = Profile(60, 2, 4, (0,))


def test_the_hidden_distance_is_that_from_ones_own_centre():
    latents = make_gaussians(PROFILES["smoke"], 0)
    angle = 2 * np.pi * latents.columns["class"] / 3
    off = latents.feature_NF - 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    assert np.hypot(*off.T) == pytest.approx(latents.columns["distance"])


def test_digits_to_fit_on_stand_in_four_colours_and_the_others_in_one():
    latents = make_digits(SMALL, 0)
    assert latents.n_fit == 240 and len(latents.feature_NF) == 300
    assert latents.columns["hue_cos"] ** 2 + latents.columns["hue_sin"] ** 2 == pytest.approx(1)


def test_rows_make_the_report(tmp_path, capsys):
    rows = pd.DataFrame(measure(make_gaussians(SMALL, 0), SMALL, 0))
    assert set(rows["what"]) == {"plain", "told 0", "told 0.5", "told 1", "shuffled 1"} and (rows["n"] == 60).all()
    rows.assign(experiment="gaussians", profile="smoke", version="v").to_csv(tmp_path / "rows.csv", index=False)
    main(["--report", "--out", str(tmp_path)])
    assert "gaussians | distance | radius r2" in capsys.readouterr().out
    assert (tmp_path / "figures" / "residual.png").exists()
    with pytest.raises(SystemExit, match="another profile"):
        main(["--profile", "cpu", "--out", str(tmp_path)])
