"""The one style of all figures: widths of a two-column paper, colour-blind safe, the same bytes each time."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator
from PIL import Image

from equirgz.records import write_bytes_atomic

COLUMN_IN, PAGE_IN = 3.5, 7.0  # widths of one column and of the page, inches
LETTERS_PER_IN = 16  # of 7-point letters, on average
LEGEND_LINES, LEGEND_LINE_IN = 2, 0.155  # the lines of a legend below the panels that fit, the height of one more
GREY = "0.45"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
GROUPS = ("C1", "C4", "C8", "D4", "D8", "C16", "D16", "C2", "D2", "D1")  # in the order of colours and markers
FILLS = ("full", "none", "left", "right", "top", "bottom")
DASHES = ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)))
RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so every machine draws the same
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "0.88",
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "errorbar.capsize": 1.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 220,
    "svg.hashsalt": "equirgz",
    "svg.fonttype": "path",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the style of equirgz inside the block, and leave matplotlib as it was."""
    with mpl.rc_context({**sns.axes_style("ticks"), **RC}):
        yield


def make_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure that belongs to no window and to no global state."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def make_panels(
    n_rows: int, n_columns: int, *, panel_height_in: float = 1.9, **shared: bool | str
) -> tuple[Figure, list]:
    """Return (figure, axes[row][column]); one column is as wide as a text column, more fill the page."""
    width = COLUMN_IN if n_columns == 1 else PAGE_IN
    figure = make_figure(width, panel_height_in * n_rows + 0.75)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, **shared)
    for row in axes:
        for panel in row:
            sns.despine(ax=panel)
    return figure, axes.tolist()


def palette(n: int) -> list:
    """Return ``n`` colours that colour-blind readers can tell apart (they repeat after ten)."""
    safe = sns.color_palette("colorblind")
    colours = [*(safe[i] for i in (0, 1, 2, 3, 4, 9, 5, 7)), (0.1, 0.1, 0.1), safe[6]]  # yellow is too faint on white
    return [colours[i % len(colours)] for i in range(n)]


def shades(n: int) -> list:
    """Return ``n`` colours from light to dark that no group has: for label counts, angles and whole networks."""
    return sns.color_palette("flare", n)


def group_look(group: str) -> tuple[tuple, str]:
    """Return the colour and the marker that a symmetry group has in every figure and on the page."""
    if group in GROUPS:
        return palette(len(GROUPS))[GROUPS.index(group)], MARKERS[GROUPS.index(group)]
    order = sum(int(digits) for digits in re.findall(r"\d+", group)) + 5 * group.startswith("D")
    return palette(10)[order % 10], MARKERS[(order + 3 + order // 10) % len(MARKERS)]


def wrap_words(text: str, width_in: float) -> str:
    """Return ``text`` broken between words into lines no wider than ``width_in`` at the size of tick labels."""
    return textwrap.fill(text, max(1, int(width_in * LETTERS_PER_IN)), break_long_words=False, break_on_hyphens=False)


def add_legend(figure: Figure, panels: list[Axes], order: Iterable[str] = ()) -> None:
    """Put one legend for all ``panels`` below the figure: each label once, those of ``order`` first.

    The figure grows by the lines that are more than `make_panels` leaves room for.
    """
    entries: dict[str, object] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if not entries:
        return
    first = [label for label in order if label in entries]
    entries = {label: entries[label] for label in [*first, *(e for e in entries if e not in first)]}
    longest = max(map(len, entries))
    fit = max(1, int(figure.get_figwidth() * 15 / (longest + 7)))
    width, height = figure.get_size_inches()
    more = -(-len(entries) // fit) - LEGEND_LINES
    figure.set_size_inches(width, height + LEGEND_LINE_IN * max(0, more))
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=min(len(entries), fit),
        columnspacing=1.4,
    )


def set_log_ticks(panel: Axes, ticks: Mapping[float, str]) -> None:
    """Make the x axis logarithmic, with ticks at the keys of ``ticks`` alone and their texts."""
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(list(ticks)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticklabels(list(ticks.values()))


def set_log_numbers(axis: Axis) -> None:
    """Write 1, 2 and 5 times powers of ten beside a logarithmic ``axis``, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _pack_png(picture: io.BytesIO) -> bytes:
    """Return a PNG with a palette of its 256 commonest colours: a third of the bytes, and no difference to see."""
    packed = io.BytesIO()
    with Image.open(picture) as image:
        dpi = image.info.get("dpi", (220, 220))
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True, dpi=dpi)
    return packed.getvalue()


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem``.png and ``stem``.svg atomically, with no date and no version in them; return both paths."""
    paths = []
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        stream = io.BytesIO()
        figure.savefig(stream, format=suffix, metadata=metadata)
        path = stem.with_name(f"{stem.name}.{suffix}")
        write_bytes_atomic(path, _pack_png(stream) if suffix == "png" else stream.getvalue())
        paths.append(path)
    return paths
