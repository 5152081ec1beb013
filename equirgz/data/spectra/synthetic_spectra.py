"""``synthetic_spectra``: objects of four types as three spectrographs of two resolutions see them.

Legend: N spectra, L pixels, W wavelengths of the fine grid on which objects are made.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d

from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.spectra.object_types import TYPES, draw_object, shine
from equirgz.data.spectra.rows import Spectrum, to_rows
from equirgz.errors import check_choice, require
from equirgz.records import recipe_text
from equirgz.seeding import derive_seed

#: raised whenever the same arguments give other spectra; part of the checksum
SPECTRA_VERSION = 1
FINE_W = np.exp(np.arange(np.log(3400.0), np.log(10300.0), 5e-4))


@dataclass(frozen=True)
class Grid:
    """A spectrograph: its range (angstrom, vacuum), number of pixels, even in log wavelength or not, and resolution."""

    name: str
    low: float
    high: float
    n_pixels: int
    logarithmic: bool
    resolution: float  # wavelength over the full width at half maximum of a narrow line

    @property
    def wavelength_L(self) -> np.ndarray:
        """Centres of the pixels."""
        return (np.geomspace if self.logarithmic else np.linspace)(self.low, self.high, self.n_pixels)


#: as wide as SDSS, DESI and a slitless prism, and much coarser than the first two, so that a CPU is enough
GRIDS = {
    grid.name: grid
    for grid in (
        Grid("sdss_like", 3800.0, 9200.0, 320, True, 180.0),
        Grid("desi_like", 3600.0, 9800.0, 384, False, 180.0),
        Grid("prism", 4000.0, 9400.0, 160, True, 90.0),
    )
}
LONGEST = max(grid.n_pixels for grid in GRIDS.values())


def observe(
    flux_W: np.ndarray, grid: Grid, signal_to_noise: float, bad: float, generator: np.random.Generator, name: str
) -> Spectrum:
    """Return a spectrum on ``grid`` of an object known on the fine grid.

    The line spread is a Gaussian of constant width in log wavelength. The noise is Gaussian, as its inverse variance
    says, least in the middle of the range; the ratio is that of the median pixel. A share ``bad`` of pixels is lost.
    """
    sigma = 1 / (2.3548 * grid.resolution)
    wavelength_L = grid.wavelength_L
    true_L = np.interp(wavelength_L, FINE_W, gaussian_filter1d(flux_W, sigma / 5e-4))
    off_L = np.linspace(-1, 1, grid.n_pixels)
    error_L = (1 + 0.8 * off_L**4) * (0.5 + 0.5 * true_L / true_L.mean()) ** 0.5 * np.median(true_L) / signal_to_noise
    flux_L = true_L + error_L * generator.normal(size=grid.n_pixels)
    ivar_L = np.where(generator.random(grid.n_pixels) < bad, 0.0, error_L**-2.0)
    return Spectrum(name, wavelength_L, flux_L, ivar_L)


@dataclass(frozen=True)
class Noise:
    """From which to which ratio of signal to noise (per median pixel) spectra are, and the share of lost pixels."""

    lowest: float
    highest: float
    bad: float


@lru_cache(maxsize=16)
def _simulate(n: int, part: str, grids: tuple[str, ...], noise: Noise, seed: int) -> ImageSet:
    """Return ``n`` objects, each on one of ``grids`` in turn; the same objects whatever the grids are."""
    name = f"synthetic_spectra/{part}" + (f"_{grids[0]}" if len(grids) == 1 else "")
    spectra, rows = [], []
    for i in range(n):
        source = draw_object(np.random.default_rng(derive_seed(seed, "spectra", part, i)))
        grid = GRIDS[grids[i % len(grids)]]
        generator = np.random.default_rng(derive_seed(seed, "spectra", part, i, grid.name))
        brightness = 10 ** generator.uniform(-1, 1)  # of the observation: calibrations differ
        ratio = noise.lowest * (noise.highest / noise.lowest) ** generator.random()
        flux_W = brightness * shine(source, FINE_W)
        spectra.append(observe(flux_W, grid, ratio, noise.bad, generator, f"{name}_s{seed}_{i:06d}"))
        rows.append({"object": f"{part}_{i:06d}", "grid": grid.name, "signal_to_noise": ratio} | asdict(source))
    table = pd.DataFrame(rows)
    label_N, source_id_N = table.pop("kind").to_numpy(), np.array([spectrum.name for spectrum in spectra])
    recipe = f"{name} v{SPECTRA_VERSION} n={n} seed={seed} {grids} {recipe_text('Noise', noise)}"
    return ImageSet(
        name, to_rows(spectra, LONGEST), label_N, source_id_N, TYPES, table=table, recipe=recipe, of_sky=False
    )


@DATASETS.register("synthetic_spectra")
def synthetic_spectra(
    data_dir: Path | None = None,
    /,
    n_train: int = 600,
    n_test: int = 400,
    n_unlabelled: int = 6000,
    grids: tuple[str, ...] = tuple(GRIDS),
    seed: int = 0,
    signal_to_noise: tuple[float, float] = (5.0, 20.0),
    bad: float = 0.02,
) -> Data:
    """Stars, passive and star-forming galaxies and quasars on up to three wavelength grids of two resolutions.

    Labelled training spectra are on the first grid alone; those without labels are on all grids in turn. ``test`` is on
    the first grid, and ``test_desi_like`` and ``test_prism`` hold the same objects, observed anew, on the others. The
    table has the redshift and what else describes an object; column ``object`` says which spectra show the same one.
    Give ``image_size: 384``, the longest grid, ``stretch: linear``, ``mask: false`` and ``normalise: false``.

    Parameters
    ----------
    n_train, n_test, n_unlabelled : objects, 1 or more to train on.
    grids : sdss_like (320 pixels, 3800 to 9200 angstrom, even in log wavelength), desi_like (384, 3600 to 9800, even in
        wavelength), prism (160, 4000 to 9400, half the resolution).
    seed : of all objects and observations.
    signal_to_noise : lowest and highest ratio of a spectrum's median pixel, even in its logarithm.
    bad : share of the pixels that are lost (inverse variance 0), below 1.
    """
    what = "synthetic_spectra"
    counts = {"n_train": n_train, "n_test": n_test, "n_unlabelled": n_unlabelled}
    for name, count in counts.items():
        least = int(name == "n_train")
        require(count >= least, f"{what}: {name}", expected=f"{least} or more", got=count)
    require(len(grids) > 0, f"{what}: grids", expected="one or more", got="none")
    grids = tuple(check_choice(f"{what}: grids", name, GRIDS) for name in grids)
    lowest, highest = signal_to_noise
    expected = "two numbers above 0, the lower one first"
    require(0 < lowest <= highest, f"{what}: signal_to_noise", expected=expected, got=(lowest, highest))
    require(0 <= bad < 1, f"{what}: bad", expected="a share in [0, 1)", got=bad)
    noise = Noise(float(lowest), float(highest), float(bad))
    names = dict.fromkeys(grids)
    tests = {"test" if grid == grids[0] else f"test_{grid}": _simulate(n_test, "test", (grid,), noise, seed)
             for grid in names if n_test}  # fmt: skip
    pool = _simulate(n_unlabelled, "unlabelled", grids, noise, seed).without_labels() if n_unlabelled else None
    return Data(_simulate(n_train, "train", grids[:1], noise, seed), tests, pool)
