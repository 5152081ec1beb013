"""Many small pictures in one file, for pages of thousands of sources.

Legend: N sources, H W pixels, T of a thumbnail.
"""

from __future__ import annotations

import base64
import io
import math

import numpy as np
from PIL import Image

from equirgz.errors import require

THUMBNAIL_PX = 32
QUALITY = 72  # of JPEG


def make_thumbnails(image_NHW: np.ndarray, share: float = 0.55) -> np.ndarray:
    """Return the middle ``share`` of byte images, square-root stretched, as thumbnails (N, 32, 32) uint8."""
    height = image_NHW.shape[-1]
    side = max(1, round(share * height))
    first = (height - side) // 2
    small = np.empty((len(image_NHW), THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)
    for i, image_HW in enumerate(image_NHW[:, first : first + side, first : first + side]):
        stretched = Image.fromarray((np.sqrt(image_HW / np.float32(255)) * 255).astype(np.uint8))
        small[i] = np.asarray(stretched.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))
    return small[:, ::-1]  # row 0 of an image is south, that of a picture its top


def make_sprite(thumbnail_NTT: np.ndarray) -> tuple[str, int]:
    """Return one JPEG with all thumbnails, row by row, as a data address, and how many are in a row."""
    n, side = len(thumbnail_NTT), thumbnail_NTT.shape[-1]
    require(n > 0, "sprite", expected="at least one thumbnail", got=0)
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.zeros((rows * columns, side, side), np.uint8)
    sheet[:n] = thumbnail_NTT
    whole = sheet.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)
    stream = io.BytesIO()
    Image.fromarray(whole).save(stream, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}", columns
