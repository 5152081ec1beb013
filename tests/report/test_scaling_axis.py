"""Power laws against parameters and against a numeric axis: synthetic rows of a known law."""

import numpy as np
import pandas as pd
import pytest
from fake_results import SMALL, make_results

from equirgz.errors import InputError
from equirgz.grid.plan.grid import make_grid
from equirgz.report.figures.scaling import plot_scaling
from equirgz.report.figures.style import figure_style
from equirgz.report.figures.write_figures import make_figures
from equirgz.report.rows.parts import make_parts
from equirgz.report.rows.results import open_results
from equirgz.report.tables.power_laws import Abscissa, find_abscissa, fit_part, make_scaling_table
from equirgz.report.tables.statistics import make_statistics


def scaled_results(folder, x, label_of=str):
    """Rows of two groups and two label counts with error 3000 n^-0.4 for D4 and none that falls for C1."""
    sizes = (1000, 3000, 9000, 27000)
    extra = {"width": tuple(label_of(n) for n in sizes)}
    make_results(folder, **{**SMALL, "labels": (50, 729)}, extra=extra, report={"scaling": {"x": x}})
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    n_of = {label_of(n): n for n in sizes}
    size = rows["width"].map({str(label): n for label, n in n_of.items()}).astype(float)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.03, len(rows)))
    value = (3000 * size**-0.4).where(rows["group"] == "D4", 30.0) * noise
    rows["value"] = rows["value"].mask(rows["metric"] == "error/rate", value.astype(str))
    cost = rows.drop_duplicates("run_key").assign(metric="cost/parameters", split="", readout="", angle_deg="")
    cost["value"] = (size[cost.index] * (1 + 0.01 * (cost["n_labels"] == "50"))).astype(str)
    rows = pd.concat([rows[rows["metric"] != "cost/parameters"], cost])
    rows.to_csv(folder / "rows.csv", index=False)
    return open_results(folder)


@pytest.mark.parametrize(
    "x, label_of, words", [("parameters", "net{}".format, "trainable parameters"), ("width", int, "width")]
)
def test_power_laws_against_parameters_and_a_numeric_axis(tmp_path, x, label_of, words):
    results = scaled_results(tmp_path / "r", x, label_of)
    part, abscissa = make_parts(results.rows)[0], find_abscissa(results)
    fits = fit_part(part, abscissa)
    assert {name[1:] for name, _ in fits} == {("C1", "50"), ("C1", "729"), ("D4", "50"), ("D4", "729")}
    for (name, _), fit in fits.items():
        if name[1] == "C1":
            assert "falls with size" in fit
        else:
            assert fit.exponent == pytest.approx(0.4, abs=0.03) and fit.coefficient == pytest.approx(3000, rel=0.25)
            assert (fit.n_sizes, fit.n_runs) == (4, 12) and fit.exponent_low < 0.4 < fit.exponent_high
    lines, sheet = make_scaling_table(part, abscissa)
    assert lines[0][:3] == ["backbone", "group", "n_labels"] and words in sheet.caption[0]
    with figure_style():
        figure = plot_scaling(part, abscissa)
    assert figure.axes[1].get_xlabel() == words
    assert [s.lines[0][2] for s in make_statistics(results, without=("comparison", "intervals"))] == ["n_labels"]
    with figure_style():
        assert next(make_figures(results))[0] == "scaling"
    assert fit_part(part) == {}, "two label counts carry no law"


def test_too_few_sizes_are_refused_with_a_reason(tmp_path):
    results = scaled_results(tmp_path / "r", "parameters")
    few = {key: size if size < 9000 else 9000.0 for key, size in find_abscissa(results).size.items()}
    part = make_parts(results.rows)[0]
    assert fit_part(part, Abscissa("parameters", {key: min(size, 2999) for key, size in few.items()})) == {}
    known = {key: size for key, size in find_abscissa(results).size.items() if size not in (1000, 1010)}
    assert all("span a factor of 4" in fit for fit in fit_part(part, Abscissa("parameters", known)).values())
    assert fit_part(part, Abscissa("gone")) == {}


def test_the_plan_refuses_an_abscissa_that_the_grid_does_not_have():
    document = {"name": "g", "base": {"data": {"name": "synthetic_fr"}},
                "axes": {"width": [0.5, 1.0], "backbone": ["lenet", "steerable_lenet"]}}  # fmt: skip
    for x in ("n_labels", "parameters", "width"):
        assert make_grid({**document, "report": {"scaling": {"x": x}}}).columns == ["width", "backbone"]
    for scaling, words in (({"x": "widht"}, "width"), ({"x": "backbone"}, "numbers > 0"), ("width", "mapping"),
                           ({"y": "width"}, "scaling.x")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            make_grid({**document, "report": {"scaling": scaling}})
