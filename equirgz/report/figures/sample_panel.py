"""A panel of sample images, a line per class."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from equirgz.errors import ResultsError
from equirgz.report.figures.style import PAGE_IN, make_figure

PER_CLASS = 8


def read_samples(folder: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]] | None:
    """Return (image_NHW, label_N, class_names) of samples.npz, None where there is none.

    Raises: ResultsError for a damaged file or one with other arrays in it (pickles are never opened).
    """
    file = folder / "samples.npz"
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            image_NHW, label_N, names = (arrays[key] for key in ("image_NHW", "label_N", "class_names"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ResultsError(str(file), expected="arrays image_NHW, label_N, class_names", got=error) from error
    if image_NHW.ndim != 3 or label_N.shape != image_NHW.shape[:1]:
        raise ResultsError(
            str(file), expected="image_NHW (N, H, W) and label_N (N,)", got=f"{image_NHW.shape} and {label_N.shape}"
        )
    return image_NHW, label_N, tuple(str(name) for name in names)


def plot_samples(image_NHW: np.ndarray, label_N: np.ndarray, class_names: tuple[str, ...]) -> Figure:
    """Return up to eight images of each class, each on its own scale from its median to its maximum."""
    classes = [k for k in range(len(class_names)) if (label_N == k).any()]
    n_columns = min(PER_CLASS, max(int((label_N == k).sum()) for k in classes))
    size = PAGE_IN / (PER_CLASS + 0.4)
    figure = make_figure(size * n_columns + 0.35, size * len(classes))
    panels = figure.subplots(len(classes), n_columns, squeeze=False)
    for line, k in zip(panels, classes, strict=True):
        images = image_NHW[label_N == k][:n_columns]
        for j, panel in enumerate(line):
            panel.set_xticks([])
            panel.set_yticks([])
            panel.grid(False)
            for spine in panel.spines.values():
                spine.set_visible(False)
            if j < len(images):
                panel.imshow(
                    images[j],
                    origin="lower",
                    cmap="inferno",
                    interpolation="nearest",
                    vmin=float(np.median(images[j])),
                    vmax=float(images[j].max()),
                )
        line[0].set_ylabel(class_names[k])
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    return figure
