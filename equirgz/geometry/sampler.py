"""Images seen through an affine map, one interpolation, by the optional C library (:mod:`equirgz.kernels`).

It takes bytes as they are, and makes no grid: nearest or bilinear, 0 outside, NaN spreads to its neighbours. Equal to
``F.grid_sample`` to rounding. Legend: B batch, C channel, H W pixels.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from equirgz.kernels import Kernels, load_kernels

_PIXELS_A_THREAD = 2**20  # 5 ms on one core: below, threads that start beside torch's waiting ones cost more
MODES = ("bilinear", "nearest")


class _Call(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("images", "channels", "size", "out_size", "nearest", "bytes")),
        ("affine", ctypes.c_void_p),
    ]


def sampler_for(x_BCHW: Tensor, mode: str) -> Kernels | None:
    """Return the library where it samples such images, else None: gradients, traces and other devices are torch's."""
    able = (
        x_BCHW.device.type == "cpu"
        and mode in MODES
        and x_BCHW.dtype in (torch.float32, torch.uint8)
        and not (x_BCHW.requires_grad and torch.is_grad_enabled())
        and not torch.jit.is_tracing()
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and x_BCHW.numel() > 0
    )
    return load_kernels() if able else None


def sample(kernels: Kernels, x_BCHW: Tensor, inverse_B22: Tensor, shift_B2: Tensor, mode: str, out_size: int) -> Tensor:
    """Return float32 images of ``out_size`` pixels: at p, from the centre, stands x at inverse (p - shift)."""
    size = x_BCHW.shape[-1]
    offset_B2 = (size - 1) / 2 - torch.einsum("bij,bj->bi", inverse_B22, shift_B2 + (out_size - 1) / 2)
    affine_B23 = torch.cat([inverse_B22, offset_B2[:, :, None]], 2).double().contiguous()
    x_BCHW = x_BCHW.contiguous()
    y_BCHW = x_BCHW.new_empty(*x_BCHW.shape[:2], out_size, out_size, dtype=torch.float32)
    what = {"channels": x_BCHW.shape[1], "size": size, "out_size": out_size}
    what |= {"nearest": int(mode == "nearest"), "bytes": int(x_BCHW.dtype == torch.uint8)}

    def work(part: slice) -> None:
        call = _Call(images=part.stop - part.start, affine=affine_B23[part].data_ptr(), **what)
        kernels.run("sample", call, x_BCHW[part], y_BCHW[part])

    batch = len(x_BCHW)
    threads = min(torch.get_num_threads(), batch, y_BCHW.numel() // _PIXELS_A_THREAD)
    if threads < 2:
        work(slice(0, batch))
    else:
        parts = [slice(batch * i // threads, batch * (i + 1) // threads) for i in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, parts))
    return y_BCHW
