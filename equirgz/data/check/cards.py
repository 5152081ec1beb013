"""Dataset cards: counts, classes, sizes and fluxes, known faults, licence, citation, a contact sheet.

Cards and sheets go to a folder of the user's choice: the pixels of most surveys may not be
redistributed, so none is shipped.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from equirgz.data.check.data_root import find_set_faults
from equirgz.data.facts import SetInfo
from equirgz.data.imageset import Data, ImageSet
from equirgz.errors import require
from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: columns of ``table`` that are distributions worth a line, with the unit they are in
_COLUMNS = {
    "las_arcsec": "largest angular size, arcsec",
    "flux_jy": "flux density, Jy",
    "redshift": "redshift",
    "vote_fraction": "vote fraction",
}


def write_card(data: Data, folder: Path | str, *, info: SetInfo | None = None, name: str | None = None) -> list[Path]:
    """Write ``<name>.md`` and ``<name>.png`` (a contact sheet of the training part) into ``folder``.

    Returns both paths. The card names counts per part and class, image size and scale, quantiles of
    sizes and fluxes (of the catalogue where there are any, and as measured on the pixels), faults,
    licence, citation and checksums. Raises ResultsError when the folder cannot be written.
    """
    name = name or (info.name if info else data.train.name.split("/")[0])
    folder = as_path(folder)
    card, sheet = folder / f"{name}.md", folder / f"{name}.png"
    write_bytes_atomic(card, make_card(data, info=info, sheet=sheet.name).encode())
    write_bytes_atomic(sheet, make_contact_sheet(data.train))
    return [card, sheet]


def make_card(data: Data, *, info: SetInfo | None = None, sheet: str | None = None) -> str:
    """Return the card as Markdown."""
    parts = {"train": data.train, **data.tests}
    if data.unlabelled is not None:
        parts["unlabelled"] = data.unlabelled
    title = info.title if info else data.train.name
    out = [f"# {title}", ""]
    if info is not None:
        out += [
            f"- file: `{info.filename}`, md5 {info.md5 or 'not published'}" if info.filename else "- file: not one",
            f"- address: {info.url or 'none published'}",
            f"- licence: {info.licence or 'not known'}",
            f"- citation: {info.citation}",
        ]
    images = data.train
    scale = images.pixel_scale_arcsec
    field = f", {scale:g} arcsec per pixel" if np.isfinite(scale) else ""
    out.append(f"- images: {images.image_NHW.shape[1:]} {images.image_NHW.dtype}{field}")
    out += [f"- checksum: {data.checksum}", ""]
    out += _class_table(parts)
    out += _distribution_table(parts)
    faults = [f"{source}: {fault}" for source, fault in (info.faults.items() if info else ())]
    faults += [f"{part}: {fault}" for part, one in parts.items() for fault in find_set_faults(one)]
    if info is not None and info.notes:
        faults.append(info.notes)
    if faults:
        out += ["## Known faults", "", *[f"- {fault}" for fault in faults], ""]
    if sheet is not None:
        out += ["## Contact sheet", "", f"![{images.name}]({sheet})", ""]
    return "\n".join(out)


def _class_table(parts: dict[str, ImageSet]) -> list[str]:
    columns = list(dict.fromkeys(key for images in parts.values() for key in images.class_counts()))
    out = [
        "## Classes",
        "",
        "| part | sources | " + " | ".join(columns) + " |",
        "|" + "---|" * (len(columns) + 2),
    ]
    for part, images in parts.items():
        counts = images.class_counts()
        cells = [str(counts.get(column, "")) for column in columns]
        out.append(f"| {part} | {len(images)} | " + " | ".join(cells) + " |")
    return [*out, ""]


def measure_images(images: ImageSet) -> dict[str, np.ndarray]:
    """Return what the pixels say: the extent (arcsec) of what is above 5 % of the peak, and the share of lit pixels.

    The extent is the diameter of the disk with the area of those pixels, which needs no catalogue;
    NaN without a pixel scale. Images without light give 0.
    """
    pixels = images.image_NHW if images.image_NHW.ndim == 3 else images.image_NHW.mean(1)
    peak = pixels.max((1, 2), keepdims=True).astype(np.float64)
    lit = (pixels > 0.05 * peak) & (peak > 0)
    extent = 2 * np.sqrt(lit.sum((1, 2)) / np.pi) * images.pixel_scale_arcsec
    return {"extent_arcsec": extent, "lit_fraction": (pixels > 0).mean((1, 2))}


def _distribution_table(parts: dict[str, ImageSet]) -> list[str]:
    out = [
        "## Distributions",
        "",
        "| part | quantity | n | " + " | ".join(f"{100 * q:g} %" for q in _QUANTILES) + " |",
        "|" + "---|" * (len(_QUANTILES) + 3),
    ]
    for part, images in parts.items():
        values = {text: images.table[key].to_numpy(float) for key, text in _COLUMNS.items() if key in images.table}
        measured = measure_images(images)
        values["extent above 5 % of the peak, arcsec"] = measured["extent_arcsec"]
        values["fraction of pixels above 0"] = measured["lit_fraction"]
        for text, value in values.items():
            value = value[np.isfinite(value)]
            if len(value):
                cells = [f"{q:.3g}" for q in np.quantile(value, _QUANTILES)]
                out.append(f"| {part} | {text} | {len(value)} | " + " | ".join(cells) + " |")
    return [*out, ""]


def make_contact_sheet(images: ImageSet, *, columns: int = 12, rows_per_class: int = 2, seed: int = 0) -> bytes:
    """Return a PNG of random images, class by class from top to bottom, stretched by a square root."""
    from PIL import Image

    require(len(images), "contact sheet", expected="images", got="none")
    generator = np.random.default_rng(seed)
    labels = [k for k in range(images.n_classes) if (images.label_N == k).any()] or [None]
    strips = []
    for k in labels:
        members = np.arange(len(images)) if k is None else np.flatnonzero(images.label_N == k)
        n = min(len(members), columns * rows_per_class)
        chosen = generator.choice(members, n, replace=False)
        tiles = np.stack([_tile(image) for image in images.image_NHW[chosen]])
        height, width = tiles.shape[1:3]
        n_rows = -(-n // columns)
        blank = np.zeros((n_rows * columns - n, height, width, 3), np.uint8)
        grid = np.concatenate([tiles, blank]).reshape(n_rows, columns, height, width, 3)
        strips.append(grid.swapaxes(1, 2).reshape(n_rows * height, columns * width, 3))
        strips.append(np.full((2, columns * width, 3), 96, np.uint8))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(strips[:-1])).save(buffer, format="PNG")
    return buffer.getvalue()


def _tile(image: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 of a grey (H, W) image (stretched) or a colour (3, H, W) one."""
    if image.ndim == 3 and image.shape[0] == 3:
        return np.moveaxis(image, 0, 2).astype(np.uint8)
    grey = (image if image.ndim == 2 else image[0]).astype(np.float64)
    peak = grey.max()
    grey = np.sqrt(np.clip(grey / peak, 0, 1)) * 255 if peak > 0 else np.zeros_like(grey)
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, 2)
