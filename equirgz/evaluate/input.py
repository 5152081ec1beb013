"""Whatever holds images, as the tensor that a network takes. Legend: N images, C channel, H W pixels."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from equirgz.errors import ImagesChangedWarning
from equirgz.images import as_images, check_shape, refuse_bad


def as_input(images: Any, module: nn.Module | None = None, what: str = "images", *, flat: bool = False) -> Tensor:
    """Return x_NCHW, floats, for ``module``: a backbone, or what holds one as ``backbone``.

    :func:`equirgz.images.as_images` says what is taken and what integers mean. Tensors of floats stay on their
    device and in their type. Square images of another size than the network's are resampled to it, antialiased, as
    ``equirgz embed`` does, with an ImagesChangedWarning.
    Raises ImageError for what cannot be used.
    """
    network = getattr(module, "backbone", module)
    channels, size, rows = (getattr(network, name, None) for name in ("in_channels", "image_size", "takes_rows"))
    if _is_ready(images, flat):
        check_shape(tuple(images.shape), what, channels, rows)
        x_NCHW = images.detach()
        x_NCHW = x_NCHW[:, None] if x_NCHW.ndim == 3 else x_NCHW
        refuse_bad((~torch.isfinite(x_NCHW)).flatten(1).any(1).cpu().numpy(), what)
    else:
        x_NCHW = torch.from_numpy(as_images(images, what, channels=channels, size=size, rows=rows, flat=flat))
    return x_NCHW if rows or size in (None, x_NCHW.shape[-1]) else _resample(x_NCHW, size, what)


def _is_ready(images: Any, flat: bool) -> bool:
    dense = torch.is_tensor(images) and images.layout is torch.strided and not images.is_meta
    return dense and images.is_floating_point() and not (flat and images.ndim == 2)


def _resample(x_NCHW: Tensor, size: int, what: str) -> Tensor:
    from equirgz.data.preprocess import resample

    line = f"{what}: resampled from {x_NCHW.shape[-1]} to {size} px, the side that the network takes"
    warnings.warn(line, ImagesChangedWarning, stacklevel=4)
    return torch.from_numpy(resample(x_NCHW.cpu().float().numpy(), size)).to(x_NCHW)
