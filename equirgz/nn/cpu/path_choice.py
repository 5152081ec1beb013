r"""Whether a group convolution is cheaper expanded or by Fourier components: a formula, fitted once.

Nanoseconds of a forward and backward pass of one image on one core,

    dense   = (a_1 Q + a_2 / 16) BANK + a_3 Q MAPS,
    fourier = b_0 + Q (b_1 MIX + b_2 BASIS + b_3 SUM),
    BANK    = O I |G|^2 k^2,      MAPS  = (I + O) |G|,
    MIX     = 4 K I O |G|,        BASIS = K k^2 I |G|,        SUM = K I |G|,

with Q output pixels and K basis functions: the products, expanding the filters once for 16 images, and what each map
costs; and the mixing, the filters over every map, and the sums of two of those. Fitted by non-negative least squares
of relative errors: fourier to 28 layers (C4 ... C16, D4 ... D16, 2 to 128 fields, kernels 3, 5, 7, maps of 3 to 40
pixels; float32, AVX-512, torch 2.13), with the compiled kernels (:mod:`equirgz.nn.cpu.compiled`) and without; dense, in
float32 and within bfloat16 autocast, to 25 (4 to 181 fields, kernels 1, 3, 5, 7, maps of 5 to 75 pixels; Zen 4, which
has the instructions). Of those the choice took 0.5 % longer than the better way in float32, 6 % in bfloat16, where the
factored way stays float32. A wrong choice costs time, never digits.

The choice depends on the layer, the map size, the precision, whether those kernels do the work, and on what was
measured on this machine once and for all if that was asked for (:mod:`equirgz.nn.cpu.machine_costs`); never on batch,
thread count or timings of a run, so that runs repeat exactly. It changes a result by rounding only, which within
autocast is that of bfloat16.
"""

from __future__ import annotations

from typing import NamedTuple

from equirgz.geometry.group import Group
from equirgz.nn.cpu.machine_costs import load_costs

_MARGIN = 1.15  # dense unless the gain is worth the doubt


class _DenseRates(NamedTuple):
    product: float
    expand: float
    map: float


class _Rates(NamedTuple):
    fixed: float
    mix: float
    basis: float
    sum: float


_DENSE = _DenseRates(0.044, 10.0, 7.0)
_DENSE_HALF = _DenseRates(0.021, 7.0, 7.0)
_TORCH = _Rates(0.70e6, 0.040, 0.247, 6.4)
_COMPILED = _Rates(0.35e6, 0.052, 0.087, 4.0)


def dense_ns(group: Group, in_fields: int, out_fields: int, kernel_size: int, pixels: int, half: bool = False) -> float:
    """Return the modelled time of the expanded convolution, of ``half`` that in bfloat16, ns per image."""
    rates = _DENSE_HALF if half else _DENSE
    bank = out_fields * in_fields * group.order**2 * kernel_size**2
    per_pixel = rates.product * bank + rates.map * (in_fields + out_fields) * group.order
    return pixels * per_pixel + rates.expand * bank / 16


def fourier_ns(
    group: Group,
    in_fields: int,
    out_fields: int,
    kernel_size: int,
    n_functions: int,
    pixels: int,
    compiled: bool = False,
) -> float:
    """Return the modelled time of the factored convolution, ns per image."""
    rates = _COMPILED if compiled else _TORCH
    maps = n_functions * in_fields * group.order
    per_pixel = maps * (rates.mix * 4 * out_fields + rates.basis * kernel_size**2 + rates.sum)
    return rates.fixed + pixels * per_pixel


def prefers_fourier(
    group: Group,
    in_fields: int,
    out_fields: int,
    kernel_size: int,
    n_functions: int,
    pixels: int,
    compiled: bool = False,
    half: bool = False,
) -> bool:
    """Return whether the factored convolution is clearly cheaper on a CPU, for ``pixels`` output pixels.

    With ``half`` cheaper than the expanded one in bfloat16.
    """
    costs = load_costs()
    dense = dense_ns(group, in_fields, out_fields, kernel_size, pixels, half) * (costs.half if half else costs.dense)
    sizes = (in_fields, out_fields, kernel_size, n_functions, pixels)
    return dense > _MARGIN * costs.fourier * fourier_ns(group, *sizes, compiled=compiled)
