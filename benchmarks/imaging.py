"""How well do priors image radio sources from visibilities, and do their samples cover the truth?

    python -m benchmarks.imaging [--profile cpu|smoke] [--methods NAME ...] [--out results/imaging] [--report]

Simulated sources (25 pixels of 3.6 arcsec, in units of the training images' rms) are observed by a VLA-like array at
0.7 GHz, gridded, with noise of one unit per dirty beam. Methods: the dirty image; CLEAN; a Gaussian prior of the
training images' mean and covariance, its posterior in closed form, and, as the control that must fail, its samples
drawn 0.4 times as far from their mean; a score trained on the same images by denoising score matching, in a U-Net with
D4 and in its plain twin, sampled in the deterministic way. PSNR and SSIM are against the true image, dirty and CLEAN in
Jy per pixel (over the solid angle of the clean beam). chi2: of single samples over the measured numbers, of CLEAN's
components, 1 is right. Writes rows.csv, tables/ and figures/; methods that are done are kept, so that an interrupted
run goes on (samples have a seed per source). ``--report`` draws anew from rows.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from equirgz import create_backbone
from equirgz.config import DataConfig, OptimizerConfig, TrainConfig
from equirgz.data import load_data
from equirgz.imaging.antennas import Coverage, make_coverage
from equirgz.imaging.clean import clean, fit_beam
from equirgz.imaging.gaussian_prior import GaussianPrior
from equirgz.imaging.gridded import GriddedMeasurement
from equirgz.imaging.network_prior import NetworkPrior
from equirgz.imaging.posterior_score import PosteriorScore
from equirgz.imaging.samplers import draw_samples
from equirgz.metrics.images import peak_signal_to_noise, structural_similarity
from equirgz.metrics.uncertainty.coverage import compute_coverage, compute_tarp
from equirgz.objectives.generative.score_matching import ScoreMatching
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic
from equirgz.report.figures.style import add_legend, figure_style, make_panels, palette, save_figure
from equirgz.report.tables.sheet import Sheet, write_printed
from equirgz.seeding import derive_seed
from equirgz.train import TrainImages, train

SIZE, SCALE, NOISE = 25, 3.6, 1.0
LOWEST, HIGHEST, RIDGE = 0.03, 30.0, 1e-3
NAMES = ("dirty", "clean", "gaussian", "gaussian_narrow", "score_D4", "score_plain")
SHOWN = ("psnr", "ssim", "chi2", "coverage_68", "coverage_90", "tarp", "tarp_band")
TITLES = {"psnr": "PSNR [dB]", "ssim": "SSIM", "chi2": "chi2", "coverage_68": "cover 68 %", "coverage_90": "cover 90 %",
          "tarp": "TARP deviation", "tarp_band": "band"}  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """Training images, updates of a score, sources imaged by closed forms and by scores, samples and levels."""

    n_train: int
    steps: int
    n_test: int
    n_sampled: int
    n_samples: int
    levels: int


PROFILES = {"smoke": Profile(40, 2, 3, 2, 10, 3), "cpu": Profile(1000, 1500, 100, 20, 16, 30)}


@lru_cache(maxsize=2)
def load_images(profile: Profile) -> tuple[Tensor, Tensor]:
    """Return training and test images (N, H, W) in units of the training images' rms."""
    params = {"n_train": profile.n_train, "n_test": profile.n_test}
    data = load_data(DataConfig(name="synthetic_radio", image_size=SIZE, crop=50, params=params))
    return tuple(torch.as_tensor(part.x_NCHW)[:, 0] for part in (data.train, data.tests["test"]))


def make_model() -> GriddedMeasurement:
    """Return the measurement, the noise of its dirty image NOISE per beam."""
    track = make_coverage("vla_like", 30.0, frequency_ghz=0.7, noise_jy=1.0, hours=4.0, n_times=24)
    weight_M = np.full(len(track), NOISE**-2 / len(track))
    return GriddedMeasurement.from_coverage(Coverage(track.u_M, track.v_M, weight_M), SIZE, SCALE)


def observe(model: GriddedMeasurement, truth_NHW: Tensor) -> Tensor:
    """Return the visibilities of all test sources."""
    return model.observe(truth_NHW, torch.Generator().manual_seed(derive_seed(0, "thermal noise")))


def make_gaussian(profile: Profile) -> GaussianPrior:
    """Return the Gaussian prior of the training images, with a small variance added to every pixel."""
    train_NHW = load_images(profile)[0]
    flat_NP = train_NHW.flatten(1).double()
    covariance_PP = torch.cov(flat_NP.T) + RIDGE * torch.eye(SIZE * SIZE, dtype=torch.float64)
    return GaussianPrior(train_NHW.mean(0), covariance_PP.float())


def train_score(profile: Profile, group: str) -> NetworkPrior:
    """Return the prior of a U-Net trained by denoising score matching on the training images."""
    name = "unet" if group == "C1" else "steerable_unet"
    torch.manual_seed(derive_seed(0, "weights"))
    backbone = create_backbone(
        name, group=group, image_size=SIZE, fields=(8, 16, 32), convolutions=1, conditioned=True
    )  # fmt: skip
    objective = ScoreMatching(backbone, "ve", low=LOWEST / 2, high=HIGHEST)
    optimizer = OptimizerConfig(lr=3e-3, warmup_steps=min(50, profile.steps - 1), clip_norm=1.0)
    settings = TrainConfig(steps=profile.steps, batch_size=16, augmentation="none", optimizer=optimizer)
    train(objective, TrainImages(load_images(profile)[0][:, None]), settings, seed=0)
    return NetworkPrior(objective.score, SCALE)


def sample_gaussian(profile: Profile, shrink: float) -> Callable[[GriddedMeasurement, Tensor, int], Tensor]:
    """Return what draws from the closed-form posterior, ``shrink`` times as far from its mean."""
    prior = make_gaussian(profile)

    def sample(model: GriddedMeasurement, y_M: Tensor, source: int) -> Tensor:
        mean_HW, covariance_PP = prior.posterior(model, y_M)
        generator = torch.Generator().manual_seed(derive_seed(0, "closed form", source))
        z_SP = torch.randn(4 * profile.n_samples, SIZE * SIZE, generator=generator, dtype=torch.float64)
        value_P, vector_PP = torch.linalg.eigh(covariance_PP)
        off_SP = (z_SP * value_P.clamp_min(0).sqrt()) @ vector_PP.T
        return (mean_HW.flatten() + shrink * off_SP).reshape(-1, SIZE, SIZE).float()

    return sample


def sample_score(profile: Profile, group: str) -> Callable[[GriddedMeasurement, Tensor, int], Tensor]:
    """Return what draws from the posterior under a trained score."""
    prior = train_score(profile, group)

    def sample(model: GriddedMeasurement, y_M: Tensor, source: int) -> Tensor:
        model.check_scale(prior.pixel_scale_arcsec)
        score = PosteriorScore(prior, model, y_M, solver_steps=3)
        levels = torch.logspace(np.log10(HIGHEST), np.log10(LOWEST), profile.levels + 1)
        return draw_samples(
            score, levels, profile.n_samples, SIZE, sampler="deterministic", seed=derive_seed(0, "samples", source)
        )  # fmt: skip

    return sample


SAMPLERS: dict[str, Callable[[Profile], Callable[[GriddedMeasurement, Tensor, int], Tensor]]] = {
    "gaussian": lambda profile: sample_gaussian(profile, 1.0),
    "gaussian_narrow": lambda profile: sample_gaussian(profile, 0.4),
    "score_D4": lambda profile: sample_score(profile, "D4"),
    "score_plain": lambda profile: sample_score(profile, "C1"),
}


def measure(name: str, profile: Profile) -> tuple[list[dict[str, object]], np.ndarray]:
    """Return the rows of a method, and its image of the first test source."""
    model, truth_NHW = make_model(), load_images(profile)[1]
    y_NM = observe(model, truth_NHW)
    n = profile.n_sampled if name.startswith("score") else profile.n_test
    if name in SAMPLERS:
        sample = SAMPLERS[name](profile)
        sample_NSHW = torch.stack([sample(model, y_NM[i], i) for i in range(n)])
        image_NHW = sample_NSHW.mean(1).numpy()
        chi2_N = [float(model.chi2(s_SHW, y_M).mean()) for s_SHW, y_M in zip(sample_NSHW, y_NM, strict=False)]
        rows = _cover(sample_NSHW, truth_NHW[:n])
    else:
        image_NHW, chi2_N, rows = *_image(name, model, y_NM), []
    truth_N1HW = truth_NHW[:n, None].numpy()
    found = {"psnr": peak_signal_to_noise(image_NHW[:, None], truth_N1HW),
             "ssim": structural_similarity(image_NHW[:, None], truth_N1HW)}  # fmt: skip
    if chi2_N:
        found["chi2"] = np.array(chi2_N) / model.n_numbers
    rows += [
        {"metric": metric, "source": i, "value": v} for metric, value_N in found.items() for i, v in enumerate(value_N)
    ]
    return [row | {"method": name, "n": n} for row in rows], image_NHW[0]


def _image(name: str, model: GriddedMeasurement, y_NM: Tensor) -> tuple[np.ndarray, list[float]]:
    beam_HW = model.beam().numpy()
    dirty_NHW = model.dirty_image(y_NM).numpy()
    if name == "dirty":
        return dirty_NHW / fit_beam(beam_HW).sum(), []
    found = [clean(dirty_HW, beam_HW, threshold=3 * NOISE) for dirty_HW in dirty_NHW]
    parts_NHW = torch.as_tensor(np.stack([one.component_HW for one in found]), dtype=torch.float32)
    chi2_N = [float(model.chi2(part_HW[None], y_M)) for part_HW, y_M in zip(parts_NHW, y_NM, strict=True)]
    return np.stack([one.restored_HW / one.beam_px2 for one in found]), chi2_N


def _cover(sample_NSHW: Tensor, truth_NHW: Tensor) -> list[dict[str, object]]:
    sample_SND, truth_ND = sample_NSHW.transpose(0, 1).flatten(2).numpy(), truth_NHW.flatten(1).numpy()
    varies_D = truth_ND.std(0) > 0  # corners are outside of the mask
    tarp = compute_tarp(sample_SND[:, :, varies_D], truth_ND[:, varies_D])
    at_68, at_90 = compute_coverage(sample_SND[:, :, varies_D], truth_ND[:, varies_D], [0.68, 0.9])
    values = {"tarp": tarp.deviation, "tarp_band": tarp.band, "coverage_68": at_68, "coverage_90": at_90}
    curve = [
        {"metric": f"curve_{level:.2f}", "value": v} for level, v in zip(tarp.level_L, tarp.coverage_L, strict=True)
    ]
    return [{"metric": metric, "value": value} for metric, value in values.items()] + curve


def write_report(folder: Path) -> str:
    """Write tables/ and figures/ from rows.csv and images.csv; return the table as text."""
    rows = pd.read_csv(folder / "rows.csv")
    lines = []
    for name in (name for name in NAMES if name in set(rows["method"])):
        of = rows[rows["method"] == name]
        line = [name.replace("_", ", "), str(of["n"].iloc[0])]
        for metric in SHOWN:
            value = of[of["metric"] == metric]["value"]
            error = f" ± {value.std() / len(value) ** 0.5:.2g}" if len(value) > 1 else ""
            line.append(f"{value.mean():.3g}{error}" if len(value) else "–")
        lines.append(line)
    header = ["method", "sources", *(TITLES[metric] for metric in SHOWN)]
    caption = ["Mean ± standard error over sources; chi2 per measured number", "TARP passes below its band (95 %)",
               f"equirgz {rows['version'].iloc[0]}"]  # fmt: skip
    sheet = Sheet("Imaging of simulated sources", 1, header, [""] * len(header), lines, caption, label="imaging")
    write_printed(folder / "tables" / "imaging", [header, *lines], sheet)
    _figure(rows, pd.read_csv(folder / "images.csv"), folder / "figures" / "imaging")
    return "\n".join(" | ".join(line) for line in [header, *lines])


def _figure(rows: pd.DataFrame, images: pd.DataFrame, stem: Path) -> None:
    shown = [name for name in ("truth", "dirty", "clean", "gaussian", "score_D4") if name in images]
    with figure_style():
        figure, axes = make_panels(1, len(shown) + 1, panel_height_in=1.5)
        for panel, name in zip(axes[0], shown, strict=False):
            panel.imshow(images[name].to_numpy().reshape(SIZE, SIZE), origin="lower", cmap="magma", vmin=0,
                         vmax=images["truth"].max())  # fmt: skip
            panel.set_title(name.replace("_", ", "))
            panel.set_axis_off()
        curves = [name for name in NAMES if ((rows["method"] == name) & (rows["metric"] == "tarp")).any()]
        for name, colour in zip(curves, palette(len(curves)), strict=True):
            of = rows[(rows["method"] == name) & rows["metric"].str.startswith("curve_")]
            axes[0][-1].plot(
                of["metric"].str[6:].astype(float), of["value"], color=colour, label=name.replace("_", ", ")
            )
        axes[0][-1].plot([0, 1], [0, 1], color="0.5", linestyle=":", linewidth=0.8)
        axes[0][-1].set_title("TARP")
        axes[0][-1].set_xlabel("credibility")
        add_legend(figure, axes[0])
    save_figure(figure, stem)


def main(arguments: list[str] | None = None) -> None:
    """Measure what is not measured yet, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=PROFILES, default="cpu")
    parser.add_argument("--out", type=Path, default=Path("results/imaging"))
    parser.add_argument("--methods", nargs="+", choices=NAMES, default=NAMES, help="which; default: all")
    parser.add_argument("--report", action="store_true", help="draw anew from rows.csv")
    options = parser.parse_args(arguments)
    file, pictures = options.out / "rows.csv", options.out / "images.csv"
    if not options.report:
        profile = PROFILES[options.profile]
        rows = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["method", "profile"])
        if not set(rows["profile"]) <= {options.profile}:
            raise SystemExit(f"{file} holds rows of another profile; choose another --out, or delete it")
        truth = load_images(profile)[1][0].flatten().numpy()
        images = pd.read_csv(pictures) if pictures.exists() else pd.DataFrame({"truth": truth})
        for name in (name for name in options.methods if name not in set(rows["method"])):
            print(name, flush=True)
            found, image_HW = measure(name, profile)
            found = pd.DataFrame(found).assign(profile=options.profile, version=code_version())
            rows = pd.concat([rows, found]) if len(rows) else found
            images[name] = image_HW.ravel()
            write_bytes_atomic(pictures, images.to_csv(index=False, float_format="%.4g").encode())
            write_bytes_atomic(file, rows.to_csv(index=False, float_format="%.6g").encode())
    print(write_report(options.out))


if __name__ == "__main__":
    main()
