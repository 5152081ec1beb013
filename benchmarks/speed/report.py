"""Tables and the figure of the speed comparison, from rows.csv and run.json alone."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from equirgz.report.figures.style import add_legend, figure_style, make_panels, palette, save_figure
from equirgz.report.tables.sheet import Sheet, sheet_to_latex, sheet_to_markdown, sheet_to_text

RATIO_ENGINES = ("escnn", "e2cnn", "dense", "bf16", "plain")
QUANTITIES = {
    "construction": ("construction, s", "{:.2g}"),
    "peak_memory": ("memory of a step, MB", "{:.0f}"),
    "checkpoint": ("checkpoint, MB", "{:.3g}"),
}
GROUPS = ("C4", "C8", "D4", "D8", "D16", "D32")

NO_BF16 = "bf16 is emulated here: this processor has no such instructions, and bf16-mixed is refused on it"


def write_report(folder: Path) -> str:
    """Write tables/*.{csv,md,tex} and figures/ratio.{png,svg}; return the ratio tables as text."""
    rows = pd.read_csv(folder / "rows.csv")
    run = json.loads((folder / "run.json").read_text())
    sheets = {
        "train_step": _ratio_sheet(rows, "train_step", "training step", run),
        "eval_forward": _ratio_sheet(rows, "eval_forward", "forward pass in eval mode", run),
        "cost": _cost_sheet(rows, run),
    }
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for name, sheet in sheets.items():
        stem = folder / "tables" / name
        stem.with_suffix(".md").write_text(sheet_to_markdown(sheet))
        stem.with_suffix(".tex").write_text(sheet_to_latex(sheet))
        lines = pd.DataFrame(sheet.lines, columns=sheet.full_header)
        lines.to_csv(stem.with_suffix(".csv"), index=False, lineterminator="\n")
    _figure(rows, folder / "figures")
    return "\n".join(sheet_to_text(sheet) for sheet in sheets.values())


def _places(rows: pd.DataFrame) -> list[tuple[int, str]]:
    found = rows.dropna(subset=["group"])[["image_size_px", "group"]].drop_duplicates()
    return sorted(found.itertuples(index=False, name=None), key=lambda p: (p[0], GROUPS.index(p[1])))


def _number(rows: pd.DataFrame, place: tuple[int, str], engine: str, quantity: str) -> pd.Series | None:
    chosen = rows[(rows.image_size_px == place[0]) & (rows.group == place[1]) & (rows.engine == engine)]
    chosen = chosen[chosen.quantity == quantity]
    return chosen.iloc[0] if len(chosen) else None


def _ratio_sheet(rows: pd.DataFrame, quantity: str, words: str, run: dict) -> Sheet:
    lines = []
    for place in _places(rows):
        native = _number(rows, place, "native", quantity)
        line = [place[1], f"{place[0]} px", f"{native.batch:.0f}", f"{1e3 * native.value / native.batch:.3g}"]
        for engine in RATIO_ENGINES:
            found = _number(rows, place, engine, quantity)
            if found is None or pd.isna(found.ratio):
                line.append("–")
            else:
                line.append(f"{found.ratio:.2f} ({found.ratio_q25:.2f}–{found.ratio_q75:.2f})")
        lines.append(line)
    caption = [
        f"Published steerable LeNet, {words}: time of each engine divided by native, median of the ratios of "
        "alternating rounds (25 % to 75 % quantile); above 1, native is faster",
        "dense: native with every convolution expanded; bf16: native in bf16-mixed; plain: the LeNet without "
        "symmetry; –: not run "
        "(construction takes minutes, or a step takes over 20 s)",
        *([NO_BF16] if not run["environment"].get("cpu_has_bf16", True) else []),
        _machine(rows, run),
    ]
    if quantity == "train_step":
        views = rows[rows.quantity == "two_views"]
        caption += [
            f"Loading, two augmented views of {v.image_size_px} px and normalising on {v.threads} thread"
            f"{'s' * (v.threads > 1)}: {v.ratio:.1f} ({v.ratio_q25:.1f}–{v.ratio_q75:.1f}) times as many images per "
            f"second as Pillow sample by sample ({v.engine.removeprefix('pillow, ')})"
            for v in views.itertuples()
        ]
    header = ["group", "image", "batch", "native, ms per image", *RATIO_ENGINES]
    return Sheet(f"Speed: {words}", 2, header, [""] * len(header), lines, caption, label=f"speed-{quantity}")


def _cost_sheet(rows: pd.DataFrame, run: dict) -> Sheet:
    engines = ("native", "escnn", "e2cnn", "plain")
    lines = []
    for place in _places(rows):
        line = [place[1], f"{place[0]} px"]
        for quantity, (_, form) in QUANTITIES.items():
            for engine in engines:
                found = _number(rows, place, engine, quantity)
                line.append("–" if found is None or pd.isna(found.value) else form.format(found.value))
        lines.append(line)
    upper = ["", "", *(words for words, _ in QUANTITIES.values() for _ in engines)]
    header = ["group", "image", *engines * len(QUANTITIES)]
    caption = [
        "Published steerable LeNet: seconds to build it in a fresh process (imports not counted; escnn keeps filters "
        "on disk, so only the first cell of a group is its cold start), rise of the memory in one training step, "
        "and size of its state dict in train mode; –: not run",
        _machine(rows, run),
    ]
    return Sheet("Cost beside speed", 2, header, upper, lines, caption, label="speed-cost")


def _machine(rows: pd.DataFrame, run: dict) -> str:
    environment = run["environment"]
    packages = environment["packages"]
    libraries = ", ".join(f"{name} {packages[name]}" for name in ("torch", "escnn", "e2cnn") if name in packages)
    device = environment["device"]
    kernels = f", kernels: {environment['kernels']}" if "kernels" in environment else ""
    where = f"{device['processor']}, {rows.threads.max()} threads, {libraries}"
    return f"{where}, equirgz {environment['version']}{kernels}"


def _figure(rows: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sizes = sorted({place[0] for place in _places(rows)})
    with figure_style():
        figure, (panels,) = make_panels(1, len(sizes), sharey=True)
        for panel, size in zip(panels, sizes, strict=True):
            groups = [group for place, group in _places(rows) if place == size]
            for colour, engine in zip(palette(len(RATIO_ENGINES)), RATIO_ENGINES, strict=True):
                found = [_number(rows, (size, group), engine, "train_step") for group in groups]
                points = [(i, f) for i, f in enumerate(found) if f is not None and not pd.isna(f.ratio)]
                if points:
                    panel.plot([i for i, _ in points], [f.ratio for _, f in points], "o-", color=colour, label=engine)
            panel.axhline(1.0, color="0.5", linewidth=0.8)
            panel.set(xticks=range(len(groups)), xticklabels=groups, title=f"{size} px", yscale="log")
            panel.set_xlabel("group")
        panels[0].set_ylabel("time of a training step / native")
        add_legend(figure, panels)
        save_figure(figure, folder / "ratio")
