"""Two-view augmentation: equirgz's batched views against a per-sample Pillow pipeline.

Both make the two views of the radio BYOL recipe (turn by any angle, central cut, resized crop,
flips, brightness and contrast jitter, blur with chance 0.1) of the same images, and both end in one
float tensor (views, B, 1, H, W). Pillow works sample by sample from uint8 images, as a data loader's worker does.
The two alternate, and the ratio is taken inside each round, so that a busy machine slows both.

    python benchmarks/speed/augment.py [--size 150] [--cut 70] [--batch 256] [--rounds 9] [--threads 1] [--device cpu]

Prints one JSON line: median seconds of each, and median, 25 % and 75 % quantile of the ratio.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter

from equirgz.augment import create_augmentation
from equirgz.train.memory import keep_freed_memory


def pillow_view(image: Image.Image, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return one view of ``size`` pixels of one image, float32 in [0, 1]."""
    margin = (image.width - size) // 2
    view = image.rotate(rng.uniform(-180, 180), resample=Image.Resampling.NEAREST)
    view = view.crop((margin, margin, margin + size, margin + size))
    area, ratio = rng.uniform(0.8, 1.0), math.exp(rng.uniform(-math.log(4 / 3), math.log(4 / 3)))
    width, height = (min(size, size * math.sqrt(area * r)) for r in (ratio, 1 / ratio))
    left, top = rng.uniform(0, size - width), rng.uniform(0, size - height)
    box = (left, top, left + width, top + height)
    view = view.resize((size, size), Image.Resampling.BILINEAR, box=box)
    if rng.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if rng.random() < 0.8:
        view = ImageEnhance.Brightness(view).enhance(rng.uniform(0.6, 1.4))
        view = ImageEnhance.Contrast(view).enhance(rng.uniform(0.6, 1.4))
    if rng.random() < 0.1:
        view = view.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 2.0)))
    return np.asarray(view, np.float32) / 255.0


def measure(size: int, cut: int, batch: int, rounds: int, threads: int, device: str) -> dict[str, object]:
    """Return the medians of both and the quantiles of their ratio."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (batch, size, size), dtype=np.uint8)
    images = [Image.fromarray(g) for g in grey]
    x = torch.as_tensor(grey, dtype=torch.float32, device=device)[:, None] / 255.0
    augmentation, generator = create_augmentation("byol_radio", size_px=cut), torch.Generator().manual_seed(0)

    def with_pillow() -> torch.Tensor:
        views = np.stack([[pillow_view(image, cut, rng) for image in images] for _ in range(2)])
        return torch.from_numpy(views)[:, :, None].to(device)

    def with_equirgz() -> torch.Tensor:
        return torch.stack([augmentation(x, generator) for _ in range(2)])

    assert with_pillow().shape == with_equirgz().shape
    seconds = np.array([[_time(with_pillow, device), _time(with_equirgz, device)] for _ in range(rounds)])
    low, middle, high = np.quantile(seconds[:, 0] / seconds[:, 1], (0.25, 0.5, 0.75))
    pillow, equirgz = np.median(seconds, 0)
    return {
        "task": "two views", "size_px": size, "cut_px": cut, "batch": batch, "threads": threads,
        "device": device, "rounds": rounds,
        "pillow_seconds": round(float(pillow), 5), "equirgz_seconds": round(float(equirgz), 5),
        "ratio": round(float(middle), 2), "ratio_q25": round(float(low), 2), "ratio_q75": round(float(high), 2),
    }  # fmt: skip


def _time(call: Callable[[], torch.Tensor], device: str) -> float:
    start = time.perf_counter()
    call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=150)
    parser.add_argument("--cut", type=int, default=70)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(json.dumps(measure(**vars(options))))


if __name__ == "__main__":
    main()
