"""Whether a network treats the images of a batch one by one: told from what it gives, not from its layers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from equirgz.backbones.wrapped import copy_network
from equirgz.errors import InputError

_IMAGES = 4


@torch.no_grad()
def check_network(what: str, network: nn.Module, shape_CHW: tuple[int, int, int], dimensions: int) -> Tensor:
    """Return the output of a probe in eval mode; raise InputError unless it is one tensor per image.

    Four images of fixed noise go through a copy of ``network`` in eval mode: twice together (the same
    numbers, no state changed), and alone (the same numbers as together). ``dimensions`` of the output: 2 for
    (B, F), 4 for (B, C, H, W). Neither the network nor torch's random numbers change.
    """
    probe = copy_network(network).eval()
    tensor = next((p for p in probe.parameters() if p.is_floating_point()), torch.zeros(()))
    x_BCHW = torch.randn(_IMAGES, *shape_CHW, generator=torch.Generator().manual_seed(0), device="cpu").to(tensor)
    state = {name: value.clone() for name, value in probe.state_dict().items()}
    with torch.random.fork_rng(devices=[x_BCHW.device] if x_BCHW.is_cuda else []):
        y = _run(what, probe, x_BCHW)
        if not torch.is_tensor(y) or y.dim() != dimensions or len(y) != _IMAGES:
            shape = "(B, F)" if dimensions == 2 else "(B, C, H, W)"
            got = tuple(y.shape) if torch.is_tensor(y) else f"a {type(y).__name__}"
            mend = "wrap what gives features or logits" if dimensions == 2 else "wrap what gives maps"
            raise InputError(f"{what}, output for 4 images", expected=f"one tensor {shape}", got=got, mend=mend)
        again = _run(what, probe, x_BCHW)
        alone = torch.cat([_run(what, probe, x) for x in x_BCHW.split(1)])
    changed = next((k for k, v in probe.state_dict().items() if not torch.equal(v, state[k])), None)
    if changed is not None:
        mend = "keep it fixed in eval mode"
        got = f"a change of {changed!r} in eval mode"
        raise InputError(f"{what}, module", expected="no state that is held across samples", got=got, mend=mend)
    if not _same(again, y):
        mend = "remove what it remembers, or draws at random, in eval mode"
        got = "other outputs when the same images came again"
        raise InputError(f"{what}, module", expected="no state that is held across samples", got=got, mend=mend)
    if not _same(alone, y):
        places = [next((j for j in range(_IMAGES) if _same(alone[j], row)), None) for row in y]
        if sorted(p for p in places if p is not None) == list(range(_IMAGES)):
            expected, got = "outputs in the order of the images", f"those of images {places} for images 0 to 3"
            raise InputError(f"{what}, module", expected=expected, got=got, mend="keep the order of a batch")
        mend = "remove what mixes a batch in eval mode"
        expected, got = "outputs that depend on one image each", "others for images alone than in a batch"
        raise InputError(f"{what}, module", expected=expected, got=got, mend=mend)
    return y


def _run(what: str, probe: nn.Module, x_BCHW: Tensor) -> Tensor:
    try:
        return probe(x_BCHW)
    except Exception as error:  # whatever a user's network raises
        first = str(error).strip().partition("\n")[0]
        mend = "give the image_size and in_channels that it takes"
        expected = f"a network of images {tuple(x_BCHW.shape)}"
        raise InputError(
            f"{what}, module", expected=expected, got=f"{type(error).__name__}: {first}", mend=mend
        ) from error


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two outputs agree to rounding, relative to the largest number; NaN agrees with nothing."""
    if one.shape != other.shape:
        return False
    tolerance = math.sqrt(torch.finfo(one.dtype).eps) / 4 if one.is_floating_point() else 0.0
    return bool((one - other).abs().max() <= tolerance * other.abs().max())
