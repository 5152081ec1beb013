"""The table and the figures of benchmarks/imaging.yaml: priors beside the dirty image and CLEAN, on the same data.

    python -m benchmarks.imaging [results/imaging results/imaging_spirals ...]
    python -m benchmarks.imaging --panel [--profile cpu] [-o FILE] [--set KEY=VALUE ...]

draws the rows of results folders of the grid, the first folder's imaging.md and figures/imaging, or, with
``--panel``, trains the last run of the grid anew and draws its images of the first test sources.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from equirgz.grid.further.imaging_rows import CURVE, NOISE, in_own_units, sample_posteriors
from equirgz.grid.plan.grid import load_grid
from equirgz.grid.run.prepare import prepare_run
from equirgz.grid.run.training import train_objective
from equirgz.imaging.network_prior import NetworkPrior
from equirgz.imaging.simulated import make_cleaned, make_dirty, make_measurement, observe_all
from equirgz.report.figures.style import add_legend, figure_style, group_look, make_panels, save_figure
from equirgz.report.rows.results import load_results
from equirgz.report.tables.sheet import Sheet, write_printed

GRID = Path(__file__).parent / "imaging.yaml"
SHOWN = {"psnr": "PSNR [dB]", "ssim": "SSIM", "chi2": "chi2", "coverage_68": "cover 68 %", "coverage_90": "cover 90 %",
         "tarp": "TARP deviation", "tarp_band": "band"}  # fmt: skip
OTHERS = {"dirty": "dirty image", "clean": "CLEAN", "gaussian": "Gaussian prior", "gaussian_narrow": "too narrow"}
GREYS = {"dirty": "0.7", "clean": "0.45", "gaussian": "0.0", "gaussian_narrow": "0.45"}  # colours are the networks'
N_SHOWN = 3
Key = tuple[str, str, str, int]  # set of the prior, set of the truths, method, training images


def read_methods(folders: list[Path]) -> dict[Key, pd.DataFrame]:
    """Return the rows of every method: of networks by group and number of training images, of others once.

    Networks are averaged over seeds by whoever reads them. The dirty image and CLEAN know no training images (0).
    """
    found: dict[Key, list[pd.DataFrame]] = {}
    for folder in folders:
        rows = load_results(folder)
        rows = rows[rows["metric"].str.startswith("imaging/")]
        rows = rows[(rows["split"] == "test") | rows["split"].str.endswith("_test")]  # votes are on the same images
        part_N = rows["metric"].str.split("/")
        named_N = part_N.str[-1].where(part_N.str[-1].isin(OTHERS), "")
        rows = rows.assign(short=rows["metric"].str.removeprefix("imaging/"), method=named_N)
        rows["short"] = [
            s.removesuffix(f"/{m}") if m else s for s, m in zip(rows["short"], rows["method"], strict=True)
        ]
        for (prior, split, name, group, n), of in rows.groupby(["data", "split", "method", "group", "n_labels"]):
            truths = prior if split == "test" else split.removesuffix("_test")
            free = name in ("dirty", "clean")
            key = ("" if free else prior, truths, name or group, 0 if free else int(n))
            if not name or key not in found:  # what does not depend on the network stands once
                found.setdefault(key, []).append(of)
    return {key: pd.concat(parts) for key, parts in found.items()}


def order_methods(key: Key) -> tuple:
    prior, truths, name, n = key
    return truths, prior, [*OTHERS, name].index(name), name, n


def write_report(folders: list[Path]) -> str:
    """Write imaging.md and figures/imaging of the first folder; return the table as text."""
    methods, lines = read_methods(folders), []
    for key in sorted(methods, key=order_methods):
        (prior, truths, name, n), of = key, methods[key]
        cells = [truths, OTHERS.get(name, f"score, {name}"), prior or "–", str(n or "–"), str(int(of["n"].iloc[0]))]
        value = of.groupby("short")["value"].mean()
        error = f" ± {value['psnr_sem']:.2g}"
        cells += [f"{value[m]:.3g}{error if m == 'psnr' else ''}" if m in value else "–" for m in SHOWN]
        lines.append(cells)
    header = ["truths", "method", "prior of", "images", "sources", *SHOWN.values()]
    seeds = max(of["seed"].nunique() for of in methods.values())
    version = next(iter(methods.values()))["version"].iloc[0]
    caption = ["Mean ± standard error over sources; chi2 of single samples (of CLEAN: its components) per number",
               "TARP passes below its band (95 %)", f"Seeds of a network: {seeds}", f"equirgz {version}"]  # fmt: skip
    sheet = Sheet("Imaging of simulated sources", 5, header, [""] * len(header), lines, caption, label="imaging")
    write_printed(folders[0] / "imaging", [header, *lines], sheet)
    with figure_style():
        save_figure(draw_rows(methods), folders[0] / "figures" / "imaging")
    return "\n".join(" | ".join(line) for line in [header, *lines])


def draw_rows(methods: dict[Key, pd.DataFrame]) -> Figure:
    """Return PSNR and chi2 against the number of training images, and the curves of TARP for the largest."""
    truths = next(key[1] for key in methods if key[0] == key[1])  # the truths that a prior was learnt from
    figure, axes = make_panels(1, 3, panel_height_in=2.1)
    own = {key: of for key, of in methods.items() if key[1] == truths and key[0] in ("", truths)}
    names = list(dict.fromkeys(key[2] for key in sorted(own, key=order_methods)))
    for name in names:
        of = {key[3]: rows.groupby("short")["value"].mean() for key, rows in own.items() if key[2] == name}
        title = OTHERS.get(name, f"score, {name}")
        look = dict(zip(("color", "marker"), (GREYS[name], ".") if name in OTHERS else group_look(name), strict=True))
        look |= {"label": title, "linestyle": ":" if name == "gaussian_narrow" else "-"}
        for panel, metric in zip(axes[0], ("psnr", "chi2"), strict=False):
            at = {n: value[metric] for n, value in sorted(of.items()) if metric in value}
            if 0 in at:
                panel.axhline(at[0], **{k: v for k, v in look.items() if k != "marker"} | {"linestyle": "--"})
            elif at and name != "gaussian_narrow":
                panel.plot(list(at), list(at.values()), **look)
        last = of[max(of)]
        if "tarp" in last:
            axes[0][2].plot([0, *CURVE, 1], [0, *(last[f"tarp_curve/{c:.1f}"] for c in CURVE), 1],
                            **{k: v for k, v in look.items() if k != "marker"})  # fmt: skip
    for panel, label in zip(axes[0], ("PSNR of the mean [dB]", "chi2 per number", "expected coverage"), strict=True):
        panel.set_ylabel(label)
    for panel in axes[0][:2]:
        panel.set_xscale("log")
        panel.set_xlabel("training images")
    axes[0][1].axhspan(0.9, 1.1, color="0.9", zorder=0)
    axes[0][2].plot([0, 1], [0, 1], color="0.5", linestyle=":", linewidth=0.8)
    axes[0][2].set_xlabel("credibility")
    add_legend(figure, axes[0])
    return figure


def draw_panel(profile: str, overrides: list[str], stem: Path) -> list[Path]:
    """Train the grid's last run anew and write its images of the first test sources as .png and .svg."""
    run = prepare_run(load_grid(GRID, overrides, profile).runs[-1])
    objective, _ = train_objective(run)
    scale = run.labelled.pixel_scale_arcsec
    prior = NetworkPrior(objective.head.score(run.backbone, objective.classifier), scale)
    truth_NHW = in_own_units(run.eval_sets["test"].x_NCHW)
    model = make_measurement(truth_NHW.shape[-1], scale, NOISE)
    y_NM = observe_all(model, truth_NHW)[:N_SHOWN]
    drawn_NSHW = sample_posteriors(prior, run.task, model, y_NM, run.config.seed)
    lines = {"truth": truth_NHW[:N_SHOWN], "dirty image": make_dirty(model, y_NM),
             "CLEAN": make_cleaned(model, y_NM, 3 * NOISE)[0], "posterior mean": drawn_NSHW.mean(1),
             "one sample": drawn_NSHW[:, 0], "deviation": drawn_NSHW.std(1)}  # fmt: skip
    with figure_style():
        figure, axes = make_panels(len(y_NM), len(lines), panel_height_in=1.1)
        for i, panels in enumerate(axes):
            for panel, (title, image_NHW) in zip(panels, lines.items(), strict=True):
                panel.imshow(np.asarray(image_NHW[i]), origin="lower", cmap="magma", vmin=0,
                             vmax=float(truth_NHW[i].max()) / (4 if title == "deviation" else 1))  # fmt: skip
                panel.set_axis_off()
                if i == 0:
                    panel.set_title(title + (" (x 4)" if title == "deviation" else ""))
        return save_figure(figure, stem)


def main(arguments: list[str] | None = None) -> None:
    """Write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("results/imaging")])
    parser.add_argument("--panel", action="store_true", help="train the last run, and draw its images")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/imaging/figures/images"))
    parser.add_argument("--set", nargs="*", default=[], dest="overrides", metavar="KEY=VALUE")
    given = parser.parse_args(arguments)
    if not given.panel:
        print(write_report(given.folders))
        return
    for path in draw_panel(given.profile, given.overrides, given.output):
        print(path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
