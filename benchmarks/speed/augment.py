"""Loading, two augmented views, normalising: equirgz's batched views against a per-sample Pillow pipeline.

Both take the same uint8 images in a random order and end in two normalised float batches
(B, 1, H, W) of the radio BYOL recipe: turn by any angle, central cut, resized crop, flips, brightness
and contrast jitter, blur with chance 0.1. Pillow works as a data set of the field does: each sample
is made an image, augmented twice, made a tensor, normalised, and stacked with the others of its batch,
in one process or (``--workers 2``) in a data loader's. The published code turns by nearest pixels and then
resizes; ``--turn bilinear`` makes Pillow's turn as smooth as the one interpolation that equirgz makes of both, and
``--own nearest`` makes that of equirgz as rough as Pillow's. Equirgz gathers a batch of bytes and augments it whole.
The two alternate, and the ratio is taken inside each round.

    python -m benchmarks.speed.augment [--images 1024] [--size 150] [--cut 70] [--batch 128] [--rounds 9]
                                       [--threads 2] [--workers 0] [--turn nearest] [--own bilinear] [--device cpu]

Prints one JSON line: images per second of each, and median, 25 % and 75 % quantile of the ratio.
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
from torch.utils.data import DataLoader, Dataset

from equirgz.augment import create_augmentation
from equirgz.train.memory import keep_freed_memory

MEAN, DEVIATION = 0.1, 0.2


def pillow_view(image: Image.Image, size: int, rng: np.random.Generator, turn: str = "nearest") -> np.ndarray:
    """Return one view of ``size`` pixels of one image, float32 in [0, 1], turned by ``turn`` interpolation."""
    margin = (image.width - size) // 2
    view = image.rotate(rng.uniform(-180, 180), resample=Image.Resampling[turn.upper()])
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


class PillowSet(Dataset):
    """Sample by sample: two normalised views of one uint8 image."""

    def __init__(self, grey_NHW: np.ndarray, cut: int, turn: str) -> None:
        self.grey_NHW, self.cut, self.turn = grey_NHW, cut, turn

    def __len__(self) -> int:
        return len(self.grey_NHW)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, rng = Image.fromarray(self.grey_NHW[index]), np.random.default_rng(index)
        first, second = (torch.from_numpy(pillow_view(image, self.cut, rng, self.turn))[None] for _ in range(2))
        return (first - MEAN) * (1 / DEVIATION), (second - MEAN) * (1 / DEVIATION)


def measure(
    images: int,
    size: int,
    cut: int,
    batch: int,
    rounds: int,
    threads: int,
    workers: int,
    turn: str,
    own: str,
    device: str,
) -> dict[str, object]:
    """Return the medians of both and the quantiles of their ratio."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    grey = np.random.default_rng(0).integers(0, 256, (images, size, size), dtype=np.uint8)
    loader = DataLoader(
        PillowSet(grey, cut, turn), batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    x_N1HW = torch.as_tensor(grey, device=device)[:, None]
    augmentation, generator = (
        create_augmentation("byol_radio", size_px=cut, interpolation=own),
        torch.Generator().manual_seed(0),
    )

    def with_pillow() -> list[torch.Size]:
        return [second.to(device).shape for first, second in loader if first.to(device) is not None]

    def with_equirgz() -> list[torch.Size]:
        shapes = []
        for index_B in torch.randperm(images, device=device).split(batch):
            x_B1HW = x_N1HW.index_select(0, index_B)
            first, second = (augmentation(x_B1HW, generator).sub_(MEAN).mul_(1 / DEVIATION) for _ in range(2))
            shapes.append(second.shape)
        return shapes

    assert with_pillow() == with_equirgz()
    seconds = np.array([[_time(with_pillow, device), _time(with_equirgz, device)] for _ in range(rounds)])
    low, middle, high = np.quantile(seconds[:, 0] / seconds[:, 1], (0.25, 0.5, 0.75))
    pillow, equirgz = images / np.median(seconds, 0)
    return {
        "task": "load, two views, normalise", "size_px": size, "cut_px": cut, "batch": batch, "threads": threads,
        "pillow_workers": workers, "pillow_turn": turn, "own_turn": own, "device": device, "rounds": rounds,
        "pillow_images_per_s": round(float(pillow)), "equirgz_images_per_s": round(float(equirgz)),
        "ratio": round(float(middle), 2), "ratio_q25": round(float(low), 2), "ratio_q75": round(float(high), 2),
    }  # fmt: skip


def _time(call: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in {
        "images": 1024,
        "size": 150,
        "cut": 70,
        "batch": 128,
        "rounds": 9,
        "threads": 2,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--turn", choices=["nearest", "bilinear"], default="nearest", help="of Pillow")
    parser.add_argument("--own", choices=["nearest", "bilinear"], default="bilinear", help="turn of equirgz")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(json.dumps(measure(**vars(options))))


if __name__ == "__main__":
    main()
