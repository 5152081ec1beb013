"""The table and the figure of benchmarks/residual.yaml, and Gaussians in the plane, which a grid of images cannot hold.

    python -m benchmarks.residual [results/residual] [--gaussians]

draws the rows of a results folder of the grid as its residual.md and figures/residual. ``--gaussians`` first measures
the published experiment whose answer is known (arXiv 2511.09433), by the very functions of the grid
(equirgz.residual.beside_control), and writes it to gaussians.csv there (a minute): three round Gaussians of deviation 1
whose centres lie 2 from the origin; hidden is the distance from one's own centre, and ``radius_r2`` the squared
correlation of that with the length of the residual.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic
from equirgz.report.figures.style import add_legend, figure_style, make_panels, palette, save_figure
from equirgz.report.rows.results import load_results
from equirgz.report.tables.sheet import Sheet, write_printed
from equirgz.residual.beside_control import leave_class_out, measure_left

GAUSSIANS, N_GAUSSIANS, SEEDS = "gaussians.csv", 1500, (0, 1, 2)
TITLES = {"latents": "latents", "told_0": "w = 0", "told_0.5": "w = 0.5", "told_1": "w = 1", "shuffled_1": "shuffled"}
WORDS = {"log_size": "ln size", "log_flux": "ln flux", "bent": "bent > 45 deg", "hue_cos": "hue (cos)",
         "hue_sin": "hue (sin)"}  # fmt: skip
COLUMNS = ["case", "readout", "seed", "metric", "value", "n", "version"]


def draw_gaussians(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points (N, 2), their class, and the distance from the centre of their own class."""
    rng, class_N = np.random.default_rng(seed), np.arange(n) % 3
    off_N2, angle_N = rng.normal(size=(n, 2)), 2 * np.pi * class_N / 3
    return 2 * np.stack([np.cos(angle_N), np.sin(angle_N)], 1) + off_N2, class_N, np.hypot(*off_N2.T)


def measure_gaussians(n: int, seed: int) -> pd.DataFrame:
    """Return rows as the grid's, of ``n`` points to fit on and as many to read off."""
    point_N2, class_N, distance_N = draw_gaussians(2 * n, seed)
    held, found = {"class": class_N[n:], "distance": distance_N[n:]}, {}
    for left in leave_class_out((point_N2[:n], class_N[:n]), (point_N2[n:], class_N[n:]), seed=seed):
        r2 = np.corrcoef(np.linalg.norm(left.z_NP, axis=1), held["distance"])[0, 1] ** 2
        found |= measure_left(left, held) | {f"radius_r2/distance/{left.how}": float(r2)}
    rows = pd.DataFrame([(f"residual/{name}", value) for name, value in found.items()], columns=["metric", "value"])
    return rows.assign(case="gaussians", readout="features", seed=seed, n=n, version=code_version())[COLUMNS]


def read_rows(folder: Path) -> pd.DataFrame:
    """Return the rows of the Gaussians, where they are there, and of the grid, told apart by experiment."""
    rows = load_results(folder)
    rows = rows[rows["metric"].str.startswith("residual/")][COLUMNS]
    if (folder / GAUSSIANS).exists():
        rows = pd.concat([pd.read_csv(folder / GAUSSIANS), rows], ignore_index=True)
    part = rows["metric"].str.split("/", expand=True)
    trip = part[1] == "round_trip"
    rows = rows.assign(kind=part[1], column=part[2].mask(trip, "all"), how=part[3].mask(trip, part[2]))
    of_pixels = rows["readout"] == "pixels"  # which are the same, whatever network is beside them
    rows = rows.assign(experiment=rows["case"].mask(of_pixels, rows["case"].str.split().str[0] + " pixels"))
    return rows.drop_duplicates(["experiment", "seed", "metric"])


def write_report(folder: Path) -> str:
    """Write residual.md and figures/residual from the rows; return the table as text."""
    rows, lines = read_rows(folder), []
    chance = rows[rows["kind"] == "chance"].groupby(["experiment", "column"])["value"].mean()
    for (experiment, column, kind), of in rows[rows["kind"] != "chance"].groupby(
        ["experiment", "column", "kind"], sort=False
    ):
        value = of.groupby("how")["value"].agg(["mean", "std", "max"])
        cells = [_cell(kind, value.loc[how]) if how in value.index else "–" for how in TITLES]
        known = f"{chance[experiment, column]:.2f}" if (experiment, column) in chance.index else "–"
        lines.append([experiment, WORDS.get(column, column), kind.replace("_", " "), *cells, known])
    caption = [
        f"Mean ± standard deviation over {rows['seed'].nunique()} seeds, round trips: the largest; held-out sources",
        "w: guidance of the flow backwards to noise; shuffled: a flow told a shuffled class, w = 1",
        f"equirgz {', '.join(sorted(set(rows['version'])))}",
    ]
    header = ["experiment", "column", "measure", *TITLES.values(), "chance"]
    sheet = Sheet("What is left of an embedding", 3, header, [""] * len(header), lines, caption, label="residual")
    write_printed(folder / "residual", [header, *lines], sheet)
    with figure_style():
        save_figure(draw_rows(rows, chance), folder / "figures" / "residual")
    return "\n".join(" | ".join(line) for line in [header, *lines])


def _cell(kind: str, value: pd.Series) -> str:
    if kind == "round_trip":
        return f"{value['max']:.1e}"
    return f"{value['mean']:.3f}" + (f" ± {value['std']:.2g}" if np.isfinite(value["std"]) else "")


def draw_rows(rows: pd.DataFrame, chance: pd.Series) -> Figure:
    """Return a panel per experiment: of each column what the better of both probes reads, and chance."""
    rows = rows[~rows["kind"].isin(["chance", "round_trip"])]
    rows = rows[(rows["column"] != "distance") | (rows["kind"] == "radius_r2")]
    best = rows.groupby(["experiment", "how", "column", "seed"], sort=False, as_index=False)["value"].max()
    names = list(dict.fromkeys(best["experiment"]))
    figure, axes = make_panels(1, len(names), panel_height_in=2.2, sharey=True)
    for panel, name in zip(axes[0], names, strict=True):
        of = best[best["experiment"] == name]
        columns = list(dict.fromkeys(of["column"]))
        for k, ((how, title), colour) in enumerate(zip(TITLES.items(), palette(len(TITLES)), strict=True)):
            value = of[of["how"] == how].groupby("column", sort=False)["value"]
            mean, spread = value.mean().reindex(columns), value.std().reindex(columns).fillna(0)
            x = np.arange(len(columns)) + 0.13 * (k - 2)
            panel.errorbar(x, mean, spread, fmt="os^Dv"[k], color=colour, label=title, markersize=3)
        for i, column in enumerate(columns):
            level = chance.get((name, column), 0.0)
            panel.hlines(level, i - 0.4, i + 0.4, color="0.5", linestyle=":", linewidth=0.8)
        panel.set_xticks(range(len(columns)), [WORDS.get(c, c) for c in columns], rotation=35, ha="right")
        panel.set_title(name)
    axes[0][0].set_ylabel("accuracy, R2 or AUROC")
    axes[0][0].set_ylim(-0.1, 1.05)
    add_legend(figure, axes[0])
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("results/residual"))
    parser.add_argument("--gaussians", action="store_true", help="measure them anew")
    given = parser.parse_args(arguments)
    if given.gaussians:
        rows = pd.concat([measure_gaussians(N_GAUSSIANS, seed) for seed in SEEDS])
        write_bytes_atomic(given.folder / GAUSSIANS, rows.to_csv(index=False, float_format="%.6g").encode())
    print(write_report(given.folder))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
