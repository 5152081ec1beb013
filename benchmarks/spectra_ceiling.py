"""What the simulated spectra themselves allow: is an object found again by one who knows how they were made?

    python -m benchmarks.spectra_ceiling [--objects 200] [--templates 6000] [--out results/spectra]

Each spectrum of the test objects of ``synthetic_spectra`` is fitted with the simulator itself: type, redshift and the
three numbers of an object, from the nearest of ``--templates`` other objects on, by least squares over flux errors.
Two spectra are alike as their Gaussian posteriors are: ``-(d' C^-1 d + ln det C) / 2``, d the difference of the fits
and C the sum of their covariances, none across types. It is what somebody reaches who knows the simulator and
approximates posteriors by one Gaussian each: a yardstick for an aim of retrieval, no bound, since a posterior with
several peaks may be read better. Nothing is learnt and nothing chosen on these objects. A minute of
one core; writes ceiling.md.
Legend: N objects, L pixels, W fine wavelengths, T templates.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares

from equirgz.data.imageset import ImageSet
from equirgz.data.spectra.object_types import TYPES, Object, draw_object, shine
from equirgz.data.spectra.synthetic_spectra import FINE_W, GRIDS, Grid, synthetic_spectra
from equirgz.records import write_bytes_atomic

Z_RANGE = ((-0.001, 0.001), (0.02, 0.6), (0.02, 0.6), (0.4, 2.4))
PRIOR = 12 * np.eye(4)  # the precision of a number that is even in [0, 1]


@dataclass(frozen=True)
class Fit:
    """chi2 of the best fit, its type, its four numbers (each in [0, 1]) and their covariance."""

    chi2: float
    kind: int
    number_4: np.ndarray
    covariance_44: np.ndarray


def seen_by(grid: Grid, flux_W: np.ndarray) -> np.ndarray:
    """Return the flux without noise, (L,)."""
    return np.interp(grid.wavelength_L, FINE_W, gaussian_filter1d(flux_W, 1 / (2.3548 * grid.resolution) / 5e-4))


def fit_spectrum(flux_L: np.ndarray, ivar_L: np.ndarray, grid: Grid, kind: int, start_4: np.ndarray) -> Fit:
    """Return the fit of one type to one spectrum, brightness free."""
    low, high = Z_RANGE[kind]

    def residual(number_4: np.ndarray) -> np.ndarray:
        model_L = seen_by(grid, shine(Object(kind, low + number_4[0] * (high - low), *number_4[1:]), FINE_W))
        factor = (ivar_L * flux_L * model_L).sum() / (ivar_L * model_L**2).sum()
        return np.sqrt(ivar_L) * (flux_L - factor * model_L)

    found = least_squares(residual, start_4.clip(0.001, 0.999), bounds=(0, 1), diff_step=1e-4, max_nfev=15)
    return Fit(2 * found.cost, kind, found.x, np.linalg.inv(found.jac.T @ found.jac + PRIOR))


def fit_all(images: ImageSet, grid: Grid, templates: list[Object], n: int) -> list[Fit]:
    """Return the best fit of each of the first ``n`` spectra; types whose nearest template is far are not tried."""
    model_TL = np.stack([seen_by(grid, shine(source, FINE_W)) for source in templates])
    flux_NL, ivar_NL = images.x_NCHW[:n, :2, 0, : grid.n_pixels].astype(np.float64).transpose(1, 0, 2)
    chi2_NT = (ivar_NL * flux_NL**2).sum(1)[:, None] - ((ivar_NL * flux_NL) @ model_TL.T) ** 2 / (
        ivar_NL @ (model_TL**2).T
    )
    kind_T, fits = np.array([source.kind for source in templates]), []
    for flux_L, ivar_L, chi2_T in zip(flux_NL, ivar_NL, chi2_NT, strict=True):
        tried = []
        for kind, (low, high) in enumerate(Z_RANGE):
            own = np.flatnonzero(kind_T == kind)
            for t in own[np.argsort(chi2_T[own])[:2]]:
                if chi2_T[t] < chi2_T.min() + 400:
                    source = templates[t]
                    start_4 = [(source.redshift - low) / (high - low), source.shape, source.strength, source.state]
                    tried.append(fit_spectrum(flux_L, ivar_L, grid, kind, np.array(start_4)))
        fits.append(min(tried, key=lambda fit: fit.chi2))
    return fits


def compare_fits(first: list[Fit], second: list[Fit]) -> np.ndarray:
    """Return how alike each of the first and each of the second spectra are, (N, N)."""
    score_NN = np.full((len(first), len(second)), -np.inf)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            if a.kind == b.kind:
                covariance_44, apart_4 = a.covariance_44 + b.covariance_44, a.number_4 - b.number_4
                distance = apart_4 @ np.linalg.solve(covariance_44, apart_4)
                score_NN[i, j] = -(distance + np.linalg.slogdet(covariance_44)[1]) / 2
    return score_NN


def main(arguments: list[str] | None = None) -> str:
    """Fit, compare, write and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--templates", type=int, default=6000)
    parser.add_argument("--out", type=Path, default=Path("results/spectra"))
    options = parser.parse_args(arguments)
    n, generator = options.objects, np.random.default_rng(5)
    templates = [draw_object(generator) for _ in range(options.templates)]
    data = synthetic_spectra(n_train=1, n_test=n, n_unlabelled=0)
    sets = dict(zip(GRIDS, data.tests.values(), strict=True))
    kind_N = sets["sdss_like"].label_N
    fits = {name: fit_all(images, GRIDS[name], templates, n) for name, images in sets.items()}
    lines = [
        f"Objects of sdss_like found first among {n} on another grid, by fits of the simulator itself "
        f"(`python -m benchmarks.spectra_ceiling`).", "",
        "| grid | top-1, % | " + " | ".join(f"{kind}, %" for kind in TYPES) + " | chi2 per pixel | wrong types, % |",
        "|---" * (len(TYPES) + 4) + "|",
    ]  # fmt: skip
    for name, found in fits.items():
        chi2 = sum(fit.chi2 for fit in found) / (sets[name].x_NCHW[:n, 1, 0] > 0).sum()
        wrong = 100 * np.mean([fit.kind != kind for fit, kind in zip(found, kind_N, strict=True)])
        first_N = compare_fits(fits["sdss_like"], found).argmax(1) == np.arange(n)
        shares = [first_N.mean(), *(first_N[kind_N == kind].mean() for kind in range(len(TYPES)))]
        cells = ["" if name == "sdss_like" else f"{100 * share:.1f}" for share in shares]
        lines.append(f"| {name} | " + " | ".join([*cells, f"{chi2:.2f}", f"{wrong:.1f}"]) + " |")
    text = "\n".join(lines) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    write_bytes_atomic(options.out / "ceiling.md", text.encode())
    print(text)
    return text


if __name__ == "__main__":
    main()
