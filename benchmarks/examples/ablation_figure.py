"""An ablation figure from a results folder, on a laptop without torch: pandas and seaborn only.

python benchmarks/examples/ablation_figure.py results/mirabest_quick ablation.pdf
"""

import sys
from pathlib import Path

import seaborn as sns
from matplotlib.figure import Figure

import equirgz


def main(results: Path, picture: Path) -> Figure:
    """Draw the test error over the groups, a colour per augmentation and a panel per label count."""
    rows = equirgz.load_results(results)  # one measured number a row
    errors = rows.query("metric == 'error/rate' and split == 'test' and readout == 'network'")
    panels = sns.catplot(
        errors.sort_values("group"), x="group", y="value", hue="augmentation", col="n_labels", kind="point",
        errorbar=("ci", 95), seed=0, dodge=0.2, linestyle="none", palette="colorblind", height=2.6, aspect=0.9,
    )  # fmt: skip
    panels.set_axis_labels("symmetry group", "test error (%)").set_titles("{col_name:.0f} labels").set(
        ylim=(0, None)
    )
    panels.figure.savefig(picture)
    return panels.figure


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
