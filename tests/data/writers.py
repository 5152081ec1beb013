"""Small files in published formats, written by the tests."""

import io
import pickle
import tarfile

import numpy as np


def make_pixels(n, size=6, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


def write_batches(path, sizes, *, flat=False, labels=lambda n: [k % 2 for k in range(n)], extras=lambda n, k: {}):
    """Write an archive of batches of the given sizes; return their pixels."""
    pixels = {}
    with tarfile.open(path, "w:gz") as archive:
        for k, (name, n) in enumerate(sizes.items()):
            pixels[name] = make_pixels(n, seed=k)
            fields = {
                "batch_label": name,
                "data": list(pixels[name].reshape(n, -1) if flat else pixels[name]),
                "filenames": [np.str_(f"{i}_example.png") for i in range(n)],
                **({} if labels is None else {"labels": labels(n)}),
                **extras(n, k),
            }
            content = pickle.dumps(fields, protocol=2)
            info = tarfile.TarInfo(f"set/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return pixels
