r"""Filters of the reference libraries in our basis, and back.

An R2Conv between stacks of equal fields has weights ``v[o, i, b]`` and a sampled basis
``S[b, out element, in element, pixel]``. Ours has ``w[o, i, u, k]`` with relative element u and
basis function k. Both span the same filters, so there is one matrix T with

    w[o, i, (u, k)] = sum_b v[o, i, b] T[b, (u, k)],        dL/dv = dL/dw T^T.

T is found by least squares on the row of the identity element; the other rows follow from the
group law, and their residual is checked. Legend: b library functions, G H output and input group
elements, U relative elements, K our basis functions, P pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from equirgz.errors import InputError
from equirgz.nn import GroupConv2d
from equirgz.nn.conv.trivial import TrivialConv2d, invariant_functions_KP

NativeConv = GroupConv2d | TrivialConv2d
_TOLERANCE = 1e-5  # libraries sample in float32: 4e-8 to 3e-7 was measured


def sampled_basis(conv: nn.Module) -> torch.Tensor:
    """Return the library's basis tensor (b, |out|, |in|, P), the very buffer that it computes with."""
    found = [b for name, b in conv.named_buffers() if name.split(".")[-1] == "sampled_basis"]
    if len(found) != 1:
        raise InputError("R2Conv", expected="one kind of input and output field", got=f"{len(found)} blocks")
    return found[0]


def basis_change(conv: nn.Module, native: NativeConv) -> np.ndarray:
    """Return T (b, U * K) in float64.

    Raises InputError when the library's filters are not in the span of ours (other rings, widths,
    frequencies, or another reflection axis than the columns).
    """
    basis_bGHP = sampled_basis(conv).detach().cpu().numpy().astype(np.float64)
    functions_GKP = exact_functions(native)
    n_relative = basis_bGHP.shape[2] if isinstance(native, GroupConv2d) else 1
    change_bUK = basis_bGHP[:, 0, :n_relative] @ np.linalg.pinv(functions_GKP[0])
    error = square = 0.0
    for g in range(basis_bGHP.shape[1]):
        error += float(np.sum((native_row(change_bUK, native, functions_GKP, g) - basis_bGHP[:, g]) ** 2))
        square += float(np.sum(basis_bGHP[:, g] ** 2))
    residual = (error / square) ** 0.5
    if residual > _TOLERANCE:
        raise InputError(
            "R2Conv filters",
            expected="the libraries' default rings, widths and frequencies, and a reflection of columns",
            got=f"a relative residual of {residual:.1e} in our basis",
            mend="build the layer with default basis options",
        )
    return change_bUK.reshape(len(change_bUK), -1)


def exact_functions(native: NativeConv) -> np.ndarray:
    """Return our basis functions turned by every element, (G, K, P) in float64; one G for trivial -> trivial."""
    if isinstance(native, GroupConv2d) or native.in_type.is_regular:
        return native.basis.turned_GKP(native.group)
    return invariant_functions_KP(native.basis, native.group)[None]


def native_row(change_bUK: np.ndarray, native: NativeConv, functions_GKP: np.ndarray, g: int) -> np.ndarray:
    """Return the filters (b, H, P) at output element ``g`` of our layer with weights ``change_bUK``."""
    if isinstance(native, TrivialConv2d):
        return np.einsum("bk,hkp->bhp", change_bUK[:, 0], functions_GKP)
    if native.in_type.is_regular:
        change_bUK = change_bUK[:, native.group.product_GG[native.group.inverse_G[g]]]
    return change_bUK @ functions_GKP[g]


@torch.no_grad()
def refine_layer(layer: nn.Module, native: nn.Module, change: np.ndarray | None) -> None:
    """Replace a library's float32 samples by those of our exact functions, in the layer's own dtype.

    For an R2Conv, ``change`` is the matrix of :func:`basis_change`, and the samples move by no more
    than the residual which that tolerates; for antialiased pooling it is None.
    """
    if change is None:
        layer.filter.copy_(native.exact_kernel().expand_as(layer.filter))
    else:
        _resample(layer, native, change)


def _resample(conv: nn.Module, native: NativeConv, change: np.ndarray) -> None:
    basis_bGHP = sampled_basis(conv)
    change_bUK = change.reshape(len(change), -1, exact_functions(native).shape[1])
    functions_GKP = exact_functions(native)
    for g in range(basis_bGHP.shape[1]):
        row_bHP = torch.from_numpy(native_row(change_bUK, native, functions_GKP, g))
        basis_bGHP[:, g] = row_bHP.to(basis_bGHP)


@torch.no_grad()
def copy_to_native(conv: nn.Module, native: NativeConv) -> None:
    """Give ``native`` the filters and bias of the library's R2Conv."""
    change = torch.from_numpy(basis_change(conv, native))
    weights = conv.weights.detach().cpu().double().reshape(native.out_fields, native.in_fields, -1)
    native.weight.copy_((weights @ change).reshape(native.weight.shape))
    if native.bias is not None:
        native.bias.copy_(conv.bias.detach().cpu().double() * bias_scale(conv))


@torch.no_grad()
def copy_to_library(native: NativeConv, conv: nn.Module) -> np.ndarray:
    """Give the library's R2Conv the filters and bias of ``native``; return T.

    Raises InputError when the library's layer has fewer filters than ours.
    """
    change = basis_change(conv, native)
    if change.shape[0] != change.shape[1]:
        raise InputError("R2Conv basis", expected=f"{change.shape[1]} functions", got=change.shape[0])
    weight = native.weight.detach().cpu().double().flatten(2)
    conv.weights.copy_((weight @ torch.from_numpy(np.linalg.inv(change))).reshape(-1))
    if native.bias is not None:
        conv.bias.copy_(native.bias.detach().cpu().double() / bias_scale(conv))
    _resample(conv, native, change)
    return change


def bias_scale(conv: nn.Module) -> float:
    """Return the factor from the library's bias parameter to the number added to the channels."""
    return float(conv.bias_expansion.max())
