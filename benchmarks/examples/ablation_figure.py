"""An ablation figure from a results folder, on a laptop without torch: pandas and seaborn only.

python benchmarks/examples/ablation_figure.py results/mirabest_quick ablation.pdf
"""

import sys
from pathlib import Path

import seaborn as sns
from matplotlib.figure import Figure

import equirgz
from equirgz.metrics.interval import student_interval
from equirgz.report.figures.style import group_look
from equirgz.report.rows.table_axes import sort_values


def interval(errors) -> tuple[float, float]:
    """Return the ends of the tables' 95 % Student t interval over seeds, inside 0 and 100 %."""
    found = student_interval(errors)
    return max(found.low, 0.0), min(found.high, 100.0)


def main(results: Path, picture: Path) -> Figure:
    """Draw the test error over the augmentations, a colour and a marker per group and a panel per label count."""
    rows = equirgz.load_results(results)  # one measured number a row
    errors = rows.query("metric == 'error/rate' and split == 'test' and readout == 'network'")
    groups = sort_values(errors["group"])  # C1, C4, C16, D4
    looks = [group_look(group) for group in groups]
    panels = sns.catplot(
        errors, x="augmentation", y="value", hue="group", col="n_labels", kind="point", hue_order=groups,
        order=sort_values(errors["augmentation"], "augmentation"), errorbar=interval, dodge=0.3, linestyle="none",
        palette=[colour for colour, _ in looks], markers=[marker for _, marker in looks], height=2.6, aspect=1.1,
    )  # fmt: skip
    panels.set_axis_labels("augmentation", "test error (%)").set_titles("{col_name:.0f} labels").set(ylim=(0, None))
    panels.figure.savefig(picture)
    return panels.figure


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
