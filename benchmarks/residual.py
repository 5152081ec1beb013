"""What is left of an embedding once its class is known? Three experiments with truth (arXiv 2511.09433).

    python -m benchmarks.residual [--profile cpu|smoke] [--out results/residual] [--report]

Gaussians: three round ones in the plane; the hidden number is the distance from one's own centre, and ``radius_r2`` the
squared correlation of that with the length of the residual. Digits: scikit-learn's, coloured with a random hue, latents
are 12 principal components of the pixels; hidden are cosine and sine of the hue. Radio: simulated FRI and FRII, latents
are 16 components of what an encoder trained without labels (SimCLR) makes of them, with D4 and plain of as many
parameters; hidden are size, bending and flux density, and ``anomaly_auroc`` says how well strangers (isolation forest)
are those bent by more than 45 degrees. ``plain`` are the latents themselves; a flow told a shuffled class is the
control. Probes see sources that neither flow nor encoder was fitted on. Writes rows.csv, tables/ and figures/; finished
parts are kept in rows.csv, so that an interrupted run goes on. ``--report`` draws anew from it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from equirgz import create_backbone
from equirgz.config import DataConfig, TrainConfig
from equirgz.data import DATASETS, load_data
from equirgz.evaluate import embed
from equirgz.evaluate.anomaly import compute_anomaly
from equirgz.metrics.uncertainty.out_of_distribution import auroc
from equirgz.objectives import create_objective
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic
from equirgz.report.figures.style import add_legend, figure_style, make_panels, palette, save_figure
from equirgz.report.tables.sheet import Sheet, write_printed
from equirgz.residual.flow import ResidualFlow
from equirgz.residual.readings import read_off
from equirgz.train import TrainImages, train

EXPERIMENTS = ("gaussians", "digits", "radio_D4", "radio_plain")
SHOWN = (
    ("plain", "latents"),
    ("told 0", "w = 0"),
    ("told 0.5", "w = 0.5"),
    ("told 1", "w = 1"),
    ("shuffled 1", "shuffled"),
)
WORDS = {"class": "class", "distance": "distance", "hue_cos": "hue (cos)", "hue_sin": "hue (sin)",
         "log_las": "ln size", "bending_deg": "bending", "log_flux": "ln flux", "bent": "bent > 45 deg"}  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """Sizes: sources to fit on (held out: as many; digits: all), updates of encoder and flow, and seeds."""

    n: int
    encoder_steps: int
    flow_steps: int
    seeds: tuple[int, ...]


PROFILES = {"smoke": Profile(120, 3, 20, (0,)), "cpu": Profile(1500, 600, 2000, (0, 1, 2))}


@dataclass(frozen=True)
class Latents:
    """Features (N, F), the first ``n_fit`` to fit on, with columns; ``components`` of them are kept."""

    feature_NF: np.ndarray
    columns: dict[str, np.ndarray]
    components: int
    n_fit: int


def make_gaussians(profile: Profile, seed: int) -> Latents:
    """Return three Gaussians of deviation 1 whose centres lie 2 from the origin."""
    rng, class_N = np.random.default_rng(seed), np.arange(2 * profile.n) % 3
    off_N2 = rng.normal(size=(2 * profile.n, 2))
    angle_N = 2 * np.pi * class_N / 3
    centre_N2 = 2 * np.stack([np.cos(angle_N), np.sin(angle_N)], 1)
    return Latents(centre_N2 + off_N2, {"class": class_N, "distance": np.hypot(*off_N2.T)}, 2, profile.n)


def make_digits(profile: Profile, seed: int) -> Latents:
    """Return digits in random hues at full saturation: those to fit on in four each, the others in one."""
    from matplotlib.colors import hsv_to_rgb

    digits = DATASETS.create("digits", None, test_fraction=0.5, seed=seed)
    both = digits.train, digits.tests["test"]
    n = min(profile.n, *(len(part) for part in both))
    times_N = np.repeat([4, 1], n)
    image_NHW = np.concatenate([part.image_NHW[:n] for part in both]).repeat(times_N, 0) / 255
    hue_N = np.random.default_rng(seed).uniform(size=len(image_NHW))
    colour_N3 = hsv_to_rgb(np.stack([hue_N, np.ones_like(hue_N), np.ones_like(hue_N)], 1))
    pixel_NF = (image_NHW[:, None] * colour_N3[:, :, None, None]).reshape(len(image_NHW), -1)
    columns = {
        "class": np.concatenate([part.label_N[:n] for part in both]).repeat(times_N),
        "hue_cos": np.cos(2 * np.pi * hue_N), "hue_sin": np.sin(2 * np.pi * hue_N),
    }  # fmt: skip
    return Latents(pixel_NF, columns, 12, 4 * n)


def make_radio(profile: Profile, seed: int, group: str) -> Latents:
    """Return features of simulated sources from an encoder trained on the first half of them, without labels."""
    params = {"n_train": profile.n, "n_test": profile.n, "seed": seed}
    config = DataConfig(name="synthetic_radio", image_size=33, crop=101, stretch="sqrt", params=params)
    data = load_data(config)
    both = data.train, data.tests["test"]
    torch.manual_seed(seed)
    backbone = create_backbone("steerable_cnn", group=group, image_size=33, match="params:30000")
    objective = create_objective("simclr", backbone, init_seed=seed)
    settings = TrainConfig(steps=profile.encoder_steps, batch_size=64, augmentation="rotation_flips")
    train(objective, TrainImages(u_MCHW=both[0].x_NCHW), settings, seed=seed)
    table = pd.concat([part.table for part in both])
    columns = {
        "class": np.concatenate([part.label_N for part in both]),
        "log_las": np.log(table["las_arcsec"].to_numpy(float)),
        "bending_deg": table["bending_deg"].to_numpy(float),
        "log_flux": np.log(table["flux_mjy"].to_numpy(float)),
        "bent": table["bending_deg"].to_numpy(float) > 45,
    }
    feature_NF = np.concatenate([embed(backbone.eval(), part.x_NCHW) for part in both])
    return Latents(feature_NF, columns, 16, profile.n)


MAKERS: dict[str, Callable[[Profile, int], Latents]] = {
    "gaussians": make_gaussians,
    "digits": make_digits,
    "radio_D4": lambda profile, seed: make_radio(profile, seed, "D4"),
    "radio_plain": lambda profile, seed: make_radio(profile, seed, "C1"),
}


def measure(latents: Latents, profile: Profile, seed: int) -> list[dict[str, object]]:
    """Return the rows of one experiment and seed: what is read off held-out latents and residuals."""
    n = latents.n_fit
    varies_F = latents.feature_NF[:n].std(0) > 1e-6
    fit_NF, held_NF = latents.feature_NF[:n, varies_F], latents.feature_NF[n:, varies_F]
    held = {name: value_N[n:] for name, value_N in latents.columns.items()}
    options = {"n_components": min(latents.components, fit_NF.shape[1], n - 1), "steps": profile.flow_steps}
    rows = []
    for how in ("told", "shuffled"):
        class_N = latents.columns["class"]
        if how == "shuffled":
            class_N = np.random.default_rng(seed + 1).permutation(class_N)
        flow = ResidualFlow(**options, random_state=seed).fit(fit_NF, {"class": class_N[:n]})
        told = {"class": class_N[n:]}
        if how == "told":
            plain_NP = flow.pca_.transform(held_NF) / flow.scale_P
            rows += _read(plain_NP, held, {"what": "plain", "seed": seed})
        for w in (0.0, 0.5, 1.0) if how == "told" else (1.0,):
            base = {"what": f"{how} {w:g}", "seed": seed}
            rows += _read(flow.transform(held_NF, told, guidance=w), held, base)
            rows.append(base | {"column": "all", "kind": "round_trip", "value": flow.round_trip(held_NF, told, w)})
    return [row | {"n": len(held_NF)} for row in rows]


def _read(z_NP: np.ndarray, held: dict[str, np.ndarray], base: dict[str, object]) -> list[dict[str, object]]:
    rows = []
    for name, value_N in held.items():
        if name == "bent":
            if 0 < value_N.sum() < len(value_N):
                score_N = compute_anomaly(z_NP)
                area = auroc(score_N[~value_N], score_N[value_N]).value
                rows.append({**base, "column": name, "kind": "anomaly_auroc", "value": area, "chance": 0.5})
            continue
        found = read_off(z_NP, value_N)
        rows += [{**base, "column": name, "kind": f"{found.kind}_{probe}", "value": getattr(found, probe),
                  "chance": found.chance} for probe in ("linear", "nonlinear")]  # fmt: skip
        if name == "distance":
            r2 = float(np.corrcoef(np.linalg.norm(z_NP, axis=1), value_N)[0, 1] ** 2)
            rows.append({**base, "column": name, "kind": "radius_r2", "value": r2, "chance": 0.0})
    return rows


def write_report(folder: Path) -> str:
    """Write tables/ and figures/ from rows.csv; return the table as text."""
    rows = pd.read_csv(folder / "rows.csv")
    lines = []
    keys = ["experiment", "column", "kind"]
    for (experiment, column, kind), of in rows.groupby(keys, sort=False):
        cells = []
        for what, _ in SHOWN:
            value = of[of["what"] == what]["value"]
            spread = f" ± {value.std():.2g}" if len(value) > 1 and kind != "round_trip" else ""
            text = f"{value.max():.1e}" if kind == "round_trip" else f"{value.mean():.3f}{spread}"
            cells.append(text if len(value) else "–")
        chance = "–" if of["chance"].isna().all() else f"{of['chance'].mean():.2f}"
        lines.append([experiment, WORDS.get(column, column), kind.replace("_", " "), *cells, chance])
    n_seeds = rows["seed"].nunique()
    caption = [
        f"Mean ± standard deviation over {n_seeds} seeds, round trips: the largest; held-out sources",
        "w: guidance of the flow backwards to noise; shuffled: a flow told a shuffled class, w = 1",
        f"equirgz {rows['version'].iloc[0]}",
    ]
    header = ["experiment", "column", "measure", *(title for _, title in SHOWN), "chance"]
    sheet = Sheet("What is left of an embedding", 3, header, [""] * len(header), lines, caption, label="residual")
    write_printed(folder / "tables" / "residual", [header, *lines], sheet)
    _figure(rows, folder / "figures" / "residual")
    return "\n".join(" | ".join(line) for line in [header, *lines])


def _figure(rows: pd.DataFrame, stem: Path) -> None:
    kinds = ("radius_r2", "accuracy_linear", "accuracy_nonlinear", "r2_linear", "r2_nonlinear", "anomaly_auroc")
    rows = rows[rows["kind"].isin(kinds) & ~((rows["column"] == "distance") & (rows["kind"] != "radius_r2"))]
    keys = ["experiment", "what", "column", "seed"]
    rows = rows.groupby(keys, sort=False, as_index=False).agg({"value": "max", "chance": "mean"})  # the better probe
    found = [name for name in EXPERIMENTS if name in set(rows["experiment"])]
    with figure_style():
        figure, axes = make_panels(1, len(found), panel_height_in=2.2, sharey=True)
        for panel, name in zip(axes[0], found, strict=True):
            of = rows[rows["experiment"] == name]
            columns = list(dict.fromkeys(of["column"]))
            for k, ((what, title), colour) in enumerate(zip(SHOWN, palette(len(SHOWN)), strict=True)):
                value = of[of["what"] == what].groupby("column", sort=False)["value"]
                x = np.arange(len(columns)) + 0.13 * (k - 2)
                mean, spread = value.mean().reindex(columns), value.std().reindex(columns).fillna(0)
                panel.errorbar(x, mean, spread, fmt="os^Dv"[k], color=colour, label=title, markersize=3)
            for i, column in enumerate(columns):
                chance = of[of["column"] == column]["chance"].mean()
                panel.hlines(chance, i - 0.4, i + 0.4, color="0.5", linestyle=":", linewidth=0.8)
            panel.set_xticks(range(len(columns)), [WORDS.get(c, c) for c in columns], rotation=35, ha="right")
            panel.set_title(name.replace("_", ", "))
        axes[0][0].set_ylabel("accuracy, R2 or AUROC")
        axes[0][0].set_ylim(-0.1, 1.05)
        add_legend(figure, axes[0])
    save_figure(figure, stem)


def main(arguments: list[str] | None = None) -> None:
    """Measure what is not measured yet, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=PROFILES, default="cpu")
    parser.add_argument("--out", type=Path, default=Path("results/residual"))
    parser.add_argument("--report", action="store_true", help="draw anew from rows.csv")
    options = parser.parse_args(arguments)
    file = options.out / "rows.csv"
    if not options.report:
        profile = PROFILES[options.profile]
        rows = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["experiment", "seed", "profile"])
        if not set(rows["profile"]) <= {options.profile}:
            raise SystemExit(f"{file} holds rows of another profile; choose another --out, or delete it")
        for seed in profile.seeds:
            for name in EXPERIMENTS:
                done = rows[(rows["experiment"] == name) & (rows["seed"] == seed)]
                if len(done):
                    continue
                print(name, seed, flush=True)
                found = pd.DataFrame(measure(MAKERS[name](profile, seed), profile, seed))
                found = found.assign(experiment=name, profile=options.profile, version=code_version())
                rows = pd.concat([rows, found]) if len(rows) else found
                write_bytes_atomic(file, rows.to_csv(index=False, float_format="%.6g").encode())
    print(write_report(options.out))


if __name__ == "__main__":
    main()
