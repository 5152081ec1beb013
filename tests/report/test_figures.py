"""Figures: there, right in size, the same bytes each time, and showing the numbers of the rows."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from fake_results import make_results

from equirgz.errors import ResultsError
from equirgz.report import load_results, write_figures
from equirgz.report.figures.curves import plot_error_vs_labels
from equirgz.report.figures.looks import group_order, make_looks
from equirgz.report.figures.orders import plot_metrics_vs_group
from equirgz.report.figures.over_angle import plot_equivariance, plot_rotation
from equirgz.report.figures.over_axis import plot_error_vs_axis
from equirgz.report.figures.reliability import plot_reliability
from equirgz.report.figures.sample_panel import read_samples
from equirgz.report.figures.scaling import plot_scaling
from equirgz.report.figures.style import add_legend, figure_style, group_look, make_panels
from equirgz.report.figures.write_figures import make_figures
from equirgz.report.rows.parts import make_parts, split_part
from equirgz.report.rows.results import open_results

SMALL = {
    "groups": ("C1", "D4"),
    "augmentations": ("none",),
    "missing": (),
    "failed": (),
    "n_sources": 20,
    "seeds": (0, 1),
}


@pytest.fixture(scope="module")
def part(made):
    return make_parts(load_results(made))[0]


@pytest.fixture(autouse=True)
def style():
    with figure_style():
        yield


def test_all_figures_twice_give_the_same_bytes(tmp_path):
    folder = make_results(tmp_path / "r", **SMALL)
    paths = write_figures(folder)
    names = {"error_vs_labels", "metrics_vs_group", "reliability", "rotation", "equivariance", "samples"}
    assert {path.stem for path in paths} == names and {path.suffix for path in paths} == {".png", ".svg"}
    first = {path: path.read_bytes() for path in paths}
    write_figures(folder)
    for path in paths:
        assert path.read_bytes() == first[path], path.name
        assert b"2026" not in first[path][:3000] and b"dc:date" not in first[path]
    width, height = struct.unpack(">II", (folder / "figures" / "error_vs_labels.png").read_bytes()[16:24])
    assert (width, height)[0] in (770, 1540), "3.5 or 7 inches at 220 dots"


def test_error_vs_labels_shows_the_means(part):
    figure = plot_error_vs_labels(part)
    assert [panel.get_title() for panel in figure.axes] == [
        "augmentation: none",
        "augmentation: rotation_flips",
    ]
    rows = part.of("error/rate")
    wanted = rows[(rows["group"] == "C1") & (rows["augmentation"] == "none")].groupby("n_labels")["value"].mean()
    line = figure.axes[0].containers[0].lines[0]
    assert line.get_ydata() == pytest.approx(wanted.to_numpy())
    assert line.get_xdata() == pytest.approx([50, 729], rel=0.05)


def test_published_numbers_of_this_figure_are_stars_in_it(part):
    here = {"n_labels": 145, "value": 7.79, "source": "ResNet-18, 70 px, arXiv 2305.16127"}
    others = [
        {"split": "test_shift"},
        {"metric": "nll/mean"},
        {"readout": "probe"},
        {"data": "another"},
        {"value": "2"},
    ]
    figure = plot_error_vs_labels(part, [here, *(here | other for other in others), {"value": 3.0, "source": "none"}])
    for panel in figure.axes:
        stars = [line for line in panel.lines if line.get_label().startswith("published")]
        assert [line.get_xydata().tolist() for line in stars] == [[[145, 7.79]]]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names.count("published, arXiv 2305.16127") == 1


def test_metrics_vs_group_has_error_and_ece_against_order(part):
    figure = plot_metrics_vs_group(part)
    assert [panel.get_ylabel() for panel in figure.axes] == ["test error (%)", "", "ECE", ""]
    assert [text.get_text() for text in figure.axes[2].get_xticklabels()] == ["1", "4", "8", "16"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "a perfectly calibrated model" in labels and len(labels) == 5


def test_each_network_has_its_colour_its_marker_and_its_perfect_calibration(tmp_path):
    rows = load_results(make_results(tmp_path / "r", extra={"method": ("byol", "ivon", "simclr")}, **SMALL))
    chosen = (rows["method"] == "ivon") & (rows["metric"] == "calibration/ece_perfect")
    rows.loc[chosen, "value"] += 0.5
    part = make_parts(rows)[0]
    figure = plot_metrics_vs_group(part)
    assert [panel.get_title() for panel in figure.axes] == ["50 labels", "729 labels", "", ""]
    lines = [container.lines[0] for container in figure.axes[0].containers]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 3 and len(lines) == 6
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:2] == ["method=byol, C$_N$", "method=byol, D$_N$"] and len(labels) == 7
    bars = [line for line in figure.axes[2].lines if line.get_linestyle() == ":" and len(line.get_xdata())]
    shown = sorted(line.get_ydata()[0] for line in bars)
    assert len(bars) == 6 and shown[-2] > 0.5 > shown[3], "one per network and family, no mean over networks"


def test_categories_are_points_with_intervals_and_numbers_are_lines(tmp_path):
    method = ("a method of several words", "byol", "simclr")
    folder = make_results(tmp_path / "r", extra={"method": method, "width": (0.5, 2)}, **SMALL)
    part = make_parts(load_results(folder))[0]
    figure = plot_error_vs_axis(part, "method")
    figure.canvas.draw()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a method of several\nwords", *method[1:]]
    assert {c.lines[0].get_linestyle() for panel in figure.axes for c in panel.containers} == {"None"}
    places = sorted(y for c in figure.axes[0].containers for y in c.lines[0].get_ydata())
    assert len(places) == 12 and np.diff(places).min() > 0.1, "series lie beside each other"
    rows = part.of("error/rate").query("group == 'C1' and n_labels == 50 and width == '0.5'")
    drawn = figure.axes[0].containers[0].lines[0].get_xdata()
    assert drawn == pytest.approx(rows.groupby("method")["value"].mean().to_numpy())
    numbers = plot_error_vs_axis(part, "width")
    assert "None" not in {c.lines[0].get_linestyle() for panel in numbers.axes for c in panel.containers}
    assert [text.get_text() for text in numbers.axes[-1].get_xticklabels()] == ["0.5", "2"]


def test_columns_that_a_method_determines_name_no_series_and_have_no_figure(tmp_path):
    rows = load_results(make_results(tmp_path / "r", extra={"method": ("byol", "ivon", "simclr")}, **SMALL))
    objectives = {"byol": "supervised", "ivon": "ivon", "simclr": "supervised"}
    part = make_parts(rows.assign(objective=rows["method"].map(objectives)))[0]
    part = replace(part, axes=replace(part.axes, names=("backbone", "group", "objective", "method")))
    assert plot_error_vs_axis(part, "objective") is None
    legend = plot_error_vs_axis(part, "method").legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["C1", "D4"]


def test_a_long_legend_adds_to_the_height_of_the_panels(part):
    low, high = (make_panels(1, 1) for _ in range(2))
    for n, (figure, panels) in ((2, low), (12, high)):
        for k in range(n):
            panels[0][0].plot([0, 1], label=f"a rather long name of a series {k}")
        add_legend(figure, panels[0])
        figure.canvas.draw()
    heights = [panels[0][0].get_window_extent().height for _, panels in (low, high)]
    assert heights[1] == pytest.approx(heights[0], rel=0.1)


def test_group_order():
    assert [group_order(g) for g in ("C1", "C8", "D1", "D16", "SO2")] == [1, 8, 2, 32, 0]


def _mean(part, metric, group):
    rows = part.of(metric)
    return rows.query(f"group == '{group}' and n_labels == 729 and augmentation == 'rotation_flips'")["value"].mean()


def test_reliability_points_are_shares_of_the_predictions(made, part):
    results = open_results(made)
    figure = plot_reliability(part, results.predictions, ("FRI", "FRII"))
    for panel, group in zip(figure.axes, ("C1", "C4", "D4", "D8"), strict=True):
        ece, perfect = _mean(part, "calibration/ece", group), _mean(part, "calibration/ece_perfect", group)
        assert panel.get_title() == f"{group}\nECE {ece:.3f} ({perfect:.3f})"
    rows = part.of("error/rate").query("group == 'C1' and n_labels == 729 and augmentation == 'rotation_flips'")
    found = results.predictions[results.predictions["run_key"].isin(rows["run_key"])]
    last = found[found["p1"] > 0.9]
    line = figure.axes[0].containers[-1].lines[0]
    assert line.get_xydata()[0] == pytest.approx([last["p1"].mean(), last["target"].mean()])
    assert "FRII" in figure.get_supxlabel()
    assert plot_reliability(part, None) is None


def test_rotation_curves_close_and_show_the_means(part):
    figure = plot_rotation(part)
    assert len(figure.axes) == 4
    line = figure.axes[0].lines[0]
    assert line.get_xdata()[[0, -1]].tolist() == [0, 360] and line.get_ydata()[0] == line.get_ydata()[-1]
    rows = part.of("rotation/error").query("group == 'C1' and n_labels == 729 and augmentation == 'none'")
    assert line.get_ydata()[:-1] == pytest.approx(rows.groupby("angle_deg")["value"].mean().to_numpy())


def test_equivariance_is_on_a_log_scale_with_lattice_angles_filled(part):
    panel = plot_equivariance(part).axes[0]
    assert panel.get_yscale() == "log"
    assert [container.get_label() for container in panel.containers] == ["15°", "30°", "45°", "90°"]
    assert [c.lines[0].get_markerfacecolor() == "white" for c in panel.containers] == [
        True,
        True,
        True,
        False,
    ]


def test_other_axes_get_their_own_figure_and_crowds_are_split(tmp_path):
    groups = ("C1", "C2", "C4", "D1", "D2", "D4")
    folder = make_results(tmp_path / "r", extra={"width": (0.5, 2)}, **{**SMALL, "groups": groups})
    whole = make_parts(load_results(folder))[0]
    assert [p.suffix for p in split_part(whole)] == ["_width_0.5", "_width_2"]
    names = [name for name, _ in make_figures(open_results(folder))]
    assert "error_vs_width" in names and "error_vs_labels_width_2" in names


def test_a_group_has_one_colour_and_one_marker_whatever_else_is_drawn(tmp_path):
    rows = load_results(make_results(tmp_path / "r", extra={"width": (0.5, 2)}, **SMALL))
    axes = make_parts(rows)[0].axes
    for chosen in (rows, rows[rows["width"] == "2"], rows[(rows["group"] == "C1") | (rows["width"] == "2")]):
        for values, look in make_looks(chosen, axes).items():
            assert (look.color, look.marker) == group_look(dict(zip(axes.names, values, strict=True))["group"])
    names = [f"{family}{n}" for family in "CD" for n in (1, 2, 3, 4, 6, 8, 12, 16, 32)]
    assert len({group_look(name) for name in names}) == len(names)


def test_groups_are_in_natural_order(tmp_path):
    groups = ("D4", "C16", "C4", "C1")
    rows = load_results(make_results(tmp_path / "r", **{**SMALL, "groups": groups}))
    looks = make_looks(rows, make_parts(rows)[0].axes).values()
    assert [look.name for look in looks] == ["C1", "C4", "C16", "D4"]


def test_unbalanced_series_are_told_apart(tmp_path):
    rows = load_results(make_results(tmp_path / "r", extra={"width": (0.5, 2)}, **SMALL))
    rows = rows[(rows["group"] == "C1") | (rows["width"] == "2")]
    looks = make_looks(rows, make_parts(rows)[0].axes).values()
    assert len({(look.marker, look.fillstyle) for look in looks}) == len(looks) == 3


def test_looks_tell_series_apart_without_colour(tmp_path):
    rows = load_results(make_results(tmp_path / "r", extra={"width": (0.5, 2)}, **SMALL))
    part = make_parts(rows)[0]
    looks = list(make_looks(rows, part.axes).values())
    assert len({(look.marker, look.fillstyle, str(look.linestyle)) for look in looks}) == 4
    assert [look.name for look in looks] == ["C1 width=0.5", "C1 width=2", "D4 width=0.5", "D4 width=2"]


def test_scaling_shows_fits_and_residuals_where_there_are_four_counts(tmp_path):
    folder = make_results(tmp_path / "r", **{**SMALL, "labels": (50, 145, 400, 729), "n_sources": 300})
    figure = plot_scaling(make_parts(load_results(folder))[0])
    assert [panel.get_ylabel() for panel in figure.axes] == ["test error (%)", "residual (% of fit)"]
    assert figure.axes[0].get_yscale() == "log" and len(figure.legends[0].get_texts()) >= 1
    figure.canvas.draw()
    counts, errors = (axis.get_ticklabels(which="both") for axis in (figure.axes[1].xaxis, figure.axes[0].yaxis))
    assert [text.get_text() for text in counts] == ["50", "145", "400", "729"]
    assert {text.get_text() for text in errors} - {""} <= {"0.5", "1", "2", "5", "10", "20", "50", "100"}


def test_single_points_give_no_curve(tmp_path):
    folder = make_results(tmp_path / "r", **{**SMALL, "groups": ("C1",), "labels": (50,)})
    part = make_parts(load_results(folder))[0]
    assert plot_scaling(part) is None
    assert plot_error_vs_labels(part) is None and plot_metrics_vs_group(part) is None


def test_damaged_samples_are_refused(folder):
    (folder / "samples.npz").write_bytes(b"PK not really")
    with pytest.raises(ResultsError, match="image_NHW"):
        read_samples(folder)
    np.savez(folder / "samples.npz", image_NHW=np.zeros((2, 3)), label_N=np.zeros(2), class_names=np.array(["a"]))
    with pytest.raises(ResultsError, match="N, H, W"):
        read_samples(folder)
