"""The realism benchmark: equal sources cannot be told, other ones can, and the report is a function of its rows."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.realism import Part, aligned_pixels, compare, main, simulated


@pytest.fixture(scope="module")
def rows():
    fri, flux = simulated("FRI", 160, 3, False)
    parts = [
        Part("mirabest", "FRI", fri[:80], False, flux[:80]),
        Part("mirabest_1", "FRI", fri[:80], version=1),
        Part("rgd", "FRII", fri[80:], False),
    ]
    return pd.DataFrame([row for part in parts for row in compare(part, 80, 8)])


def value(rows, name, quantity, what):
    found = rows[(rows["set"] == name) & (rows["quantity"] == quantity) & (rows["what"] == what)]["value"]
    return found.item()


def test_the_same_class_cannot_be_told_and_another_can(rows):
    assert value(rows, "mirabest", "measures, linear", "accuracy") < 0.65
    assert value(rows, "rgd", "measures, linear", "accuracy") > 0.7
    assert value(rows, "mirabest", "fr_ratio", "KS distance") < 0.25 < value(rows, "rgd", "fr_ratio", "KS distance")
    assert value(rows, "mirabest", "log_flux", "KS distance") < 0.25
    first, second = (value(rows, name, "measures, linear", "auroc") for name in ("mirabest_1", "mirabest"))
    assert first > second  # the first simulator makes other sources than the second
    assert (rows["n_real"] == 80).all() and "log_flux" not in set(rows[rows["set"] == "rgd"]["quantity"])


def test_the_report_is_made_from_the_rows_alone(rows, tmp_path, capsys):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    main(["--report", "--out", str(tmp_path)])
    page = (tmp_path / "tables" / "two_sample.md").read_text()
    assert page.strip() == capsys.readouterr().out.strip() and "| MiraBest F | FRI | 80 |" in page
    medians = [value(rows, "mirabest", "fr_ratio", f"{which} 50 %") for which in ("real", "simulated")]
    assert f"{medians[0]:.2f} / {medians[1]:.2f}" in (tmp_path / "tables" / "distributions.md").read_text()
    assert (tmp_path / "figures" / "realism.png").exists()


def test_a_threshold_taken_off_leaves_the_peak():
    kept, taken = (simulated("FRII", 64, 3, subtracted)[0] for subtracted in (False, True))
    lit = kept.max((1, 2)) > 0
    assert (taken <= kept).all() and (taken.max((1, 2))[lit] >= 254).all()


def test_pixels_are_turned_to_the_axis():
    row, column = np.mgrid[:150, :150] - 75
    for angle in (0.3, 1.2):
        along, across = row * np.cos(angle) + column * np.sin(angle), column * np.cos(angle) - row * np.sin(angle)
        image = 255 * np.exp(-((along / 20) ** 2) - (across / 4) ** 2)
        pixels = aligned_pixels(np.where(image > 3, image, 0)[None])[0].reshape(27, 27)
        assert pixels.sum(1).std() < 0.7 * pixels.sum(0).std() or pixels.sum(0).std() < 0.7 * pixels.sum(1).std()
