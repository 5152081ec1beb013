"""How like real FIRST sources are the simulated ones? Distributions, and a classifier that is to tell them apart.

    python -m benchmarks.realism --data-dir DATA [--n 384] [--seed 7] [--out results/realism]

The same measures (``equirgz.data.simulate.measure``) are taken on the training images of MiraBest F, RadioGalaxyDataset
(without sources within 270 arcsec of a MiraBest test source) and FR-DEEP, and on simulated images of the same class,
clipped and scaled as that set was; beside MiraBest also those of the first simulator, ``synthetic_fr``. Flux densities
are those of MiraBest's raw maps. Two-sample tests fit a logistic regression and a forest on half of both sets, on the
measures and on pixels turned to the source's axis: 50 % right is chance. Writes rows.csv, tables/ and figures/; no
pixel of a survey. ``--report`` draws anew from rows.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.stats import ks_2samp
from sklearn.decomposition import PCA

from equirgz.data import DATASETS
from equirgz.data.preprocess import resample
from equirgz.data.sets.mirabest import load_mirabest
from equirgz.data.sets.mirabest_raw import load_sparse_maps
from equirgz.data.simulate.measure import MEASURES, measure_images, prepare, split_target
from equirgz.data.simulate.morphology import CLASS_NAMES as FIRST_CLASSES
from equirgz.data.simulate.stream import CLIPPED, SKY_VERSION, stream_sources
from equirgz.data.simulate.synthetic import SIMULATOR_VERSION, Observation, simulate
from equirgz.data.sky.position import match_positions
from equirgz.metrics.distance.two_sample import classifier_two_sample_test
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic
from equirgz.report.figures.style import add_legend, figure_style, make_panels, palette, save_figure
from equirgz.report.tables.sheet import Sheet, sheet_to_latex, sheet_to_markdown

SIZE, SCALE, BEAM, APART_ARCSEC = 150, 1.8, 5.4, 270.0
SETS = {
    "mirabest": "MiraBest F", "mirabest_1": "MiraBest F, simulator 1", "rgd": "RadioGalaxyDataset", "frdeep": "FR-DEEP",
}  # fmt: skip
SHOWN = ("log_las", "log_flux", "fr_ratio", "concentration", "log_rms_radius", "core_share", "axial_ratio", "curvature")
WORDS = {
    "log_las": "ln LAS / arcsec", "log_flux": "ln flux / mJy", "fr_ratio": "FR ratio", "concentration": "concentration",
    "log_rms_radius": "ln rms radius / arcsec", "core_share": "core share", "axial_ratio": "axial ratio",
    "curvature": "curvature",
}  # fmt: skip
MIRABEST = {"FRI": (100,), "FRII": (200, 201), "bent": (102, 104), "hybrid": (300, 310)}


@dataclass(frozen=True)
class Part:
    """Real images of one class of one set, whether its archive took the threshold off, and ln of flux densities in mJy.

    ``version`` is that of the simulator that they are compared with.
    """

    set: str
    kind: str
    image_NHW: np.ndarray
    subtracted: bool = False
    log_flux_N: np.ndarray | None = None
    version: int = SKY_VERSION


def real_parts(data_dir: Path | None) -> Iterator[Part]:
    """Yield the training images of every set and class."""
    train, test = load_mirabest(data_dir)
    code_N = train.table["code"].astype(int).to_numpy()
    flux = raw_fluxes(data_dir)
    for kind, codes in MIRABEST.items():
        of = np.isin(code_N, codes)
        log_flux_N = np.log([flux.get(name, np.nan) for name in train.source_id_N[of]])
        yield Part("mirabest", kind, train.image_NHW[of], False, log_flux_N)
        if kind in FIRST_CLASSES:
            yield Part("mirabest_1", kind, train.image_NHW[of], version=1)
    images = DATASETS.create("radio_galaxy_dataset", data_dir).train
    near = match_positions(images.position_deg_N2, test.position_deg_N2, APART_ARCSEC)[0]
    apart_N = ~np.isin(np.arange(len(images)), near)
    first = (images.image_size - SIZE) // 2
    window = slice(first, first + SIZE)
    for label, kind in enumerate(("FRI", "FRII", "compact", "bent")):
        chosen = (images.label_N == label) & apart_N
        yield Part("rgd", kind, images.image_NHW[chosen][:, window, window], True)
    images = DATASETS.create("frdeep_first", data_dir).train
    for label, kind in enumerate(images.class_names):
        yield Part("frdeep", kind, images.image_NHW[images.label_N == label])


def raw_fluxes(data_dir: Path | None) -> dict[str, float]:
    """Return the flux density of every MiraBest source above 3 sigma in the disk of its raw map, mJy."""
    sparse, found = load_sparse_maps(data_dir), {}
    axis = np.arange(SIZE) - SIZE // 2
    disk = np.hypot(axis[:, None], axis[None]) <= SIZE // 2
    first = 75
    for start in range(0, len(sparse), 64):
        rows = slice(start, min(start + 64, len(sparse)))
        cut = sparse.maps(rows)[:, first : first + SIZE, first : first + SIZE]
        total = 1e3 * cut[:, disk].sum(1) / beam_area_px()
        found |= dict(zip(sparse.source_id_N[rows].tolist(), total.tolist(), strict=True))
    return found


def beam_area_px() -> float:
    """Return the solid angle of FIRST's beam in pixels."""
    return np.pi * BEAM**2 / (4 * np.log(2)) / SCALE**2


def simulated(kind: str, n: int, seed: int, subtracted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return n simulated images of a class as the archive scales them, and ln of their flux densities above 3 sigma."""
    batch = stream_sources("FIRST", {kind: 1}, seed, size_px=SIZE, name="realism").batch(0, n)
    peak_N11 = batch.truth["scale_mjy_per_beam"][:, None, None]
    value = batch.image_NHW / np.float32(255) * peak_N11
    with np.errstate(divide="ignore"):
        log_flux_N = np.log(value.sum((1, 2)) / beam_area_px())
    if not subtracted:
        return batch.image_NHW, log_flux_N
    threshold = CLIPPED * 3 * batch.truth["rms_mjy_per_beam"][:, None, None]
    scaled = (value - threshold) / np.maximum(peak_N11 - threshold, 1e-6) * 255
    return np.where(value > 0, np.clip(scaled, 0, 255), 0).astype(np.uint8), log_flux_N


def aligned_pixels(image_NHW: np.ndarray, size: int = 27) -> np.ndarray:
    """Return square roots of the central 81 pixels, turned to the target's axis, brighter half up, as (N, size^2)."""
    out = []
    for image in image_NHW:
        value = prepare(image)
        mask = split_target(value)[0]
        rows, columns = np.nonzero(mask)
        flux = value[rows, columns]
        if len(flux) > 2:
            off = np.stack([rows, columns]) - np.array([[(flux * v).sum() / flux.sum()] for v in (rows, columns)])
            xx, yy, xy = (flux * off[0] ** 2).sum(), (flux * off[1] ** 2).sum(), (flux * off[0] * off[1]).sum()
            angle = np.rad2deg(0.5 * np.arctan2(2 * xy, xx - yy))
            value = ndimage.rotate(value, -angle, reshape=False, order=1)
        cut = value[34:115, 34:115]
        cut = cut if cut[:40].sum() >= cut[41:].sum() else cut[::-1]
        out.append(cut if cut[:, :40].sum() >= cut[:, 41:].sum() else cut[:, ::-1])
    small = resample(np.sqrt(np.clip(np.stack(out), 0, 1)).astype(np.float32), size)
    return small.reshape(len(small), -1)


def compare(part: Part, n: int, seed: int) -> list[dict[str, object]]:
    """Return the rows of one class of one set: quantiles and Kolmogorov-Smirnov distance per measure, and the tests."""
    if part.version == SIMULATOR_VERSION:
        image_NHW, log_flux_N = simulate(n, (part.kind,), Observation(), seed, "realism").image_NHW, None
    else:
        image_NHW, log_flux_N = simulated(part.kind, n, seed, part.subtracted)
    pair = [measure_images(images, SCALE, BEAM) for images in (part.image_NHW, image_NHW)]
    base = {"set": part.set, "class": part.kind, "n_real": len(part.image_NHW), "n_simulated": n}
    values = {name: tuple(table[name].dropna().to_numpy() for table in pair) for name in MEASURES}
    if part.log_flux_N is not None:
        values["log_flux"] = tuple(v[np.isfinite(v)] for v in (part.log_flux_N, log_flux_N))
    rows = []
    for name, both in values.items():
        for which, value in zip(("real", "simulated"), both, strict=True):
            rows += [{**base, "quantity": name, "what": f"{which} {q} %", "value": np.percentile(value, q)}
                     for q in (5, 16, 25, 50, 75, 84, 95)]  # fmt: skip
        rows.append({**base, "quantity": name, "what": "KS distance", "value": ks_2samp(*both).statistic})
    measures = [table.dropna()[list(MEASURES)].to_numpy() for table in pair]
    pixels = [aligned_pixels(images) for images in (part.image_NHW, image_NHW)]
    main = PCA(min(30, *(len(p) for p in pixels)), random_state=0).fit(np.concatenate(pixels))
    features = {"measures": measures, "pixels": [main.transform(p) for p in pixels]}
    for name, (real, fake) in features.items():
        for rule in ("linear", "forest"):
            told = classifier_two_sample_test(fake, real, rule=rule, seed=seed)
            numbers = {"accuracy": told.accuracy, "auroc": told.auroc.value, "auroc low": told.auroc.low,
                       "auroc high": told.auroc.high, "p": told.p_value}  # fmt: skip
            rows += [{**base, "quantity": f"{name}, {rule}", "what": k, "value": v} for k, v in numbers.items()]
    return rows


def write_report(folder: Path) -> str:
    """Write tables/ and figures/ from rows.csv; return the table of the tests as Markdown."""
    rows = pd.read_csv(folder / "rows.csv")
    sheets = {"two_sample": _test_sheet(rows), "distributions": _distribution_sheet(rows)}
    for name, sheet in sheets.items():
        stem = folder / "tables" / name
        write_bytes_atomic(stem.with_suffix(".md"), sheet_to_markdown(sheet).encode())
        write_bytes_atomic(stem.with_suffix(".tex"), sheet_to_latex(sheet).encode())
    _figure(rows, folder / "figures")
    return sheet_to_markdown(sheets["two_sample"])


def _value(rows: pd.DataFrame, what: str) -> float:
    found = rows[rows["what"] == what]["value"]
    return float(found.iloc[0]) if len(found) else np.nan


def _test_sheet(rows: pd.DataFrame) -> Sheet:
    kinds = [f"{name}, {rule}" for name in ("measures", "pixels") for rule in ("linear", "forest")]
    lines = []
    for (name, kind), of in rows.groupby(["set", "class"], sort=False):
        line = [SETS[name], kind, str(of["n_real"].iloc[0])]
        for quantity in kinds:
            told = of[of["quantity"] == quantity]
            line.append(f"{100 * _value(told, 'accuracy'):.0f} % ({_value(told, 'auroc'):.2f})")
        lines.append(line)
    caption = [
        "Share of held-out images that a classifier puts right as real or simulated, mean over both (50 %: chance), "
        "and its AUROC (0.5: chance)",
        f"{rows['n_simulated'].iloc[0]} simulated images per class, priors of version {SKY_VERSION}; measures: "
        f"{len(MEASURES)} of equirgz.data.simulate.measure; pixels: 30 principal components of turned 27 x 27 images",
        "The priors were set by MiraBest's and RadioGalaxyDataset's distributions; FR-DEEP, which mixes two scalings, "
        "was only looked at",
    ]
    header = ["set", "class", "real images", *kinds]
    return Sheet("Real or simulated?", 2, header, [""] * len(header), lines, caption, label="realism-tests")


def _distribution_sheet(rows: pd.DataFrame) -> Sheet:
    lines = []
    for (name, kind), of in rows.groupby(["set", "class"], sort=False):
        line = [SETS[name], kind]
        for quantity in SHOWN:
            found = of[of["quantity"] == quantity]
            words = [f"{_value(found, f'{which} 50 %'):.2f}" for which in ("real", "simulated")]
            line.append(f"{words[0]} / {words[1]} ({_value(found, 'KS distance'):.2f})" if len(found) else "–")
        lines.append(line)
    caption = [
        "Medians of real / simulated images, and the Kolmogorov-Smirnov distance of both distributions (0: the same)",
        "Flux densities above three sigma in the disk, from MiraBest's raw maps alone",
    ]
    header = ["set", "class", *(WORDS[name] for name in SHOWN)]
    return Sheet("Distributions", 2, header, [""] * len(header), lines, caption, label="realism-distributions")


def _figure(rows: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    places = list(rows.groupby(["set", "class"], sort=False).groups)
    names = [f"{kind}, {SETS[name]}" for name, kind in places]
    with figure_style():
        figure, grid = make_panels(2, len(SHOWN) // 2, sharey=True)
        panels = [panel for line in grid for panel in line]
        for panel, quantity in zip(panels, SHOWN, strict=True):
            for colour, shift, which in zip(palette(2), (-0.16, 0.16), ("real", "simulated"), strict=True):
                of = rows[rows["quantity"] == quantity].set_index(["set", "class", "what"])["value"]
                found = [i for i, place in enumerate(places) if (*place, f"{which} 50 %") in of.index]
                low, middle, high = (
                    np.array([of[(*places[i], f"{which} {q} %")] for i in found]) for q in (16, 50, 84)
                )
                y = np.array(found, float) + shift
                panel.errorbar(middle, y, xerr=[middle - low, high - middle], fmt="o", ms=3, color=colour, label=which)
            panel.set(
                yticks=range(len(names)), yticklabels=names, xlabel=WORDS[quantity], ylim=(len(names) - 0.5, -0.5)
            )
        add_legend(figure, panels)
        save_figure(figure, folder / "realism")


def main(arguments: list[str] | None = None) -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--n", type=int, default=384)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("results/realism"))
    parser.add_argument("--report", action="store_true", help="draw anew from rows.csv")
    options = parser.parse_args(arguments)
    if not options.report:
        rows = pd.DataFrame(
            [row for part in real_parts(options.data_dir) for row in compare(part, options.n, options.seed)]
        )
        rows["version"] = f"sky {SKY_VERSION}, equirgz {code_version()}"
        text = rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_bytes_atomic(options.out / "rows.csv", text.encode())
    print(write_report(options.out))


if __name__ == "__main__":
    main()
