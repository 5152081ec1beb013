r"""Whether a group convolution is cheaper expanded or by Fourier components: a formula, fitted once.

Nanoseconds of a forward and backward pass of one image on one core,

    dense   = a_1 (O |G|) (I |G|) k^2 Q
    fourier = b_0 + Q (b_1 MIX + b_2 BASIS + b_3 I |G| k^2 + b_4 O |G|),
    MIX     = 4 K I' O' N,        BASIS = 2 K k^2 I' N,

with Q output pixels, K basis functions, N rotations, I' and O' the fields times flips: the four
terms are the mixing, the basis maps, their shifted copies and the way back. Fitted by non-negative
least squares of relative errors to 21 layers (C4 ... C16, D4 ... D16, 2 to 32 fields, kernels 3, 5,
7, maps of 9 to 36 pixels; float32, AVX-512, torch 2.13). A wrong choice costs time, never digits.

The choice depends on the layer and the map size alone, never on timings, batch or thread count, so
that runs repeat exactly; it changes a result by rounding only.
"""

from __future__ import annotations

from equirgz.geometry.group import Group

_DENSE = 0.0445
_FIXED, _MIX, _BASIS, _COPY, _BACK = 0.82e6, 0.087, 0.073, 2.3, 4.7
_MARGIN = 1.15  # dense unless the gain is worth the doubt


def dense_ns(group: Group, in_fields: int, out_fields: int, kernel_size: int, pixels: int) -> float:
    """Return the modelled time of the expanded convolution, ns per image."""
    return _DENSE * out_fields * in_fields * group.order**2 * kernel_size**2 * pixels


def fourier_ns(group: Group, in_fields: int, out_fields: int, kernel_size: int, n_functions: int, pixels: int) -> float:
    """Return the modelled time of the factored convolution, ns per image."""
    flips = group.order // group.n_rotations
    channels_in, channels_out = in_fields * group.order, out_fields * group.order
    mix = 4 * n_functions * channels_in * out_fields * flips
    basis = 2 * n_functions * kernel_size**2 * channels_in
    per_pixel = _MIX * mix + _BASIS * basis + _COPY * channels_in * kernel_size**2 + _BACK * channels_out
    return _FIXED + pixels * per_pixel


def prefers_fourier(
    group: Group, in_fields: int, out_fields: int, kernel_size: int, n_functions: int, pixels: int
) -> bool:
    """Return whether the factored convolution is clearly cheaper on a CPU, for ``pixels`` output pixels."""
    dense = dense_ns(group, in_fields, out_fields, kernel_size, pixels)
    return dense > _MARGIN * fourier_ns(group, in_fields, out_fields, kernel_size, n_functions, pixels)
