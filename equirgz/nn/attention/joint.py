r"""Equivariant multi-head self-attention over positions AND group elements (after arXiv 2010.00977).

A token is a pair (p, g) of a position and a group element of a stack of regular fields. With queries,
keys and values from 1x1 group convolutions, each head computes

    y(p, g) = sum_{q, h} softmax_{q, h}( <Q(p, g), K(q, h)> / sqrt(d) + b(g^-1 (q - p), g^-1 h) ) V(q, h),
    b(x, u) = sum_k w_{uk} B_k(x).

The position enters only through the offset seen from the query's own pose, g^-1 (q - p), so that the
layer commutes with every element of G that keeps the lattice, and nearly with the others. The B_k are
circular harmonics on rings, evaluated at the turned offsets in float64, never interpolated.
Legend: B batch, C channels (F * |G|), S side of the map, P positions, N heads, D fields per head,
G H group elements of query and key, U relative elements g^-1 h, K basis functions, O offsets.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType, check_kinds
from equirgz.geometry.group import Group
from equirgz.nn.attention.offsets import (
    map_offsets,
    offset_index,
    place_of_pixel,
    positions_on_map,
    turned_functions,
    window_offsets,
)
from equirgz.nn.derived import DerivedBuffers
from equirgz.nn.factory import make_conv

MIB = 2**20


def estimate_attention_bytes(
    group: Group, map_size: int, fields: int, heads: int, window: int | None = None, disk: bool = True
) -> int:
    """Return the float32 bytes that one image keeps for the backward pass of one attention layer.

    Scores and weights, 2 N (|G| P)(|G| P'), with P' = P, or the number of lattice points within ``window``
    pixels; a windowed layer also gathers keys and values, 2 F |G| P P'. The bias is shared by a batch.
    """
    positions = len(positions_on_map(map_size, disk))
    if window is None:
        return 4 * 2 * heads * (group.order * positions) ** 2
    pairs = positions * len(window_offsets(window)) * group.order
    return 4 * 2 * pairs * (heads * group.order + fields)


class RelativeAttention(DerivedBuffers):
    """The sum over tokens of the module docstring, given queries, keys and values.

    Parameters
    ----------
    in_type, map_size, heads : as in :class:`GroupSelfAttention`.
    window : None attends to every position; a number of pixels, to positions at most that far away.
    disk : leave out positions beyond the inscribed disk (plus half a pixel), which would tell how the
        image was turned; the output is 0 there.
    max_frequency : highest angular frequency of the positional functions.
    memory_budget_mib : bound on :func:`estimate_attention_bytes`.

    Shapes: three times (B, fields * |G|, S, S) -> (B, fields * |G|, S, S). NaN in a token spreads to all
    that attend to it. Raises InputError when fields are no multiple of heads, and beyond the budget.
    """

    def __init__(
        self,
        in_type: FieldType,
        map_size: int,
        heads: int,
        *,
        window: int | None = None,
        disk: bool = True,
        max_frequency: int = 2,
        memory_budget_mib: float = 64.0,
    ) -> None:
        super().__init__()
        self.in_type = self.out_type = check_kinds("attention", in_type, "regular")
        group, fields = in_type.group, in_type.count
        self.group, self.map_size, self.fields, self.heads = group, map_size, fields, heads
        if heads < 1 or fields % heads:
            raise InputError("attention fields", expected=f"a multiple of {heads} heads", got=fields)
        if window is not None and window < 1:
            raise InputError("attention window", expected="None or at least 1 pixel", got=window)
        self.window, self.disk, self.max_frequency = window, disk, max_frequency
        self._check_memory(memory_budget_mib)
        self.register_derived()
        self.weight = nn.Parameter(torch.empty(heads, group.order, self.turned_GKO.shape[1]))
        nn.init.normal_(self.weight, std=0.2)

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the turned positional functions, and the tables of positions, offsets and group elements."""
        group, map_size = self.group, self.map_size
        pixel_P = positions_on_map(map_size, self.disk)
        home_S = place_of_pixel(map_size, pixel_P)
        row_P, column_P = np.divmod(pixel_P, map_size)
        tables = {"pixel_P": pixel_P, "home_S": home_S}
        if self.window is None:
            tables["offset_PP"] = offset_index(map_size, pixel_P)
        else:
            column_PO = column_P[:, None] + window_offsets(self.window)[:, 0]
            row_PO = row_P[:, None] + window_offsets(self.window)[:, 1]
            on_map_PO = (np.minimum(row_PO, column_PO) >= 0) & (np.maximum(row_PO, column_PO) < map_size)
            neighbour_PO = home_S[np.where(on_map_PO, row_PO * map_size + column_PO, 0)]
            missing_PO = ~on_map_PO | (neighbour_PO == len(pixel_P))
            tables["neighbour_PO"] = np.where(missing_PO, 0, neighbour_PO)
            tables["missing_PO"] = missing_PO
        relative_GG = group.product_GG[group.inverse_G]
        tables["source_M"] = np.arange(group.order)[:, None] * group.order + relative_GG
        indices = {name: torch.from_numpy(table) for name, table in tables.items()}
        return indices | {"turned_GKO": self.exact_basis()}

    def _check_memory(self, budget_mib: float) -> None:
        shape = (self.group, self.map_size, self.fields, self.heads)
        needed_mib = estimate_attention_bytes(*shape, self.window, self.disk) / MIB
        if needed_mib <= budget_mib:
            return
        tokens = self.group.order * len(positions_on_map(self.map_size, self.disk))
        mend = f"use a smaller map, group or number of heads, or memory_budget_mib={math.ceil(needed_mib)}"
        for window in range((self.window or self.map_size) - 1, 0, -1):
            windowed_mib = estimate_attention_bytes(*shape, window, self.disk) / MIB
            if windowed_mib <= budget_mib:
                mend = f"use window={window} ({windowed_mib:.1f} MiB), or {mend.removeprefix('use ')}"
                break
        got = (
            f"{needed_mib:.1f} MiB ({self.heads} heads, {tokens} tokens = {self.group.order} elements of "
            f"{self.group} x {tokens // self.group.order} positions of a {self.map_size} x {self.map_size} map"
            f"{'' if self.window is None else f', window {self.window}'})"
        )
        expected = f"at most {budget_mib:g} MiB"
        raise InputError("attention memory per image", expected=expected, got=got, mend=mend)

    @property
    def offsets_O2(self) -> np.ndarray:
        """All offsets q - p, (column, row down), in the order of ``turned_GKO``."""
        return map_offsets(self.map_size) if self.window is None else window_offsets(self.window)

    def exact_basis(self) -> Tensor:
        """Return B_k(g^-1 x) for every element and offset, (G, K, O), float64."""
        return torch.from_numpy(turned_functions(self.group, self.offsets_O2, self.max_frequency))

    def bias_table(self) -> Tensor:
        """Return b(g^-1 x, g^-1 h) for every offset x, (N, G, H, O)."""
        order = self.group.order
        blocks_GUNO = torch.einsum("nuk,gko->guno", self.weight, self.turned_GKO)
        blocks_MNO = blocks_GUNO.flatten(0, 1).index_select(0, self.source_M.flatten())
        return blocks_MNO.unflatten(0, (order, order)).permute(2, 0, 1, 3)

    def bias(self) -> Tensor:
        """Return the bias between all tokens (without a window), (N, G * P, G * P); token (p, g) is g * P + p."""
        positions = self.pixel_P.shape[0]
        bias_NGHM = self.bias_table().index_select(3, self.offset_PP.flatten())
        bias_NGHPP = bias_NGHM.unflatten(3, (positions, positions))
        return bias_NGHPP.permute(0, 1, 3, 2, 4).flatten(3, 4).flatten(1, 2)

    def _tokens(self, x_BCSS: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, N, D, G, P)."""
        x_BCP = x_BCSS.flatten(2).index_select(2, self.pixel_P)
        return x_BCP.unflatten(1, (self.heads, self.fields // self.heads, self.group.order))

    def _on_map(self, y_BXP: Tensor) -> Tensor:
        """(B, X, P) -> (B, X, S, S), 0 at the positions left out."""
        y_BXS = F.pad(y_BXP, (0, 1)).index_select(2, self.home_S)
        return y_BXS.unflatten(2, (self.map_size, self.map_size))

    def attention_weights(self, q_BCSS: Tensor, k_BCSS: Tensor) -> Tensor:
        """Return the softmax: (B, N, G * P, H * P), or with a window (B, N, G, P, H, O)."""
        q, k = self._tokens(q_BCSS), self._tokens(k_BCSS)
        scale = (self.fields // self.heads) ** -0.5
        if self.window is None:
            scores = torch.einsum("bndt,bnds->bnts", q.flatten(3) * scale, k.flatten(3)) + self.bias()
            return scores.softmax(-1)
        scores = torch.einsum("bndgp,bndhpo->bngpho", q * scale, self._gather(k))
        scores = scores + self.bias_table()[:, :, None]
        scores = scores.masked_fill(self.missing_PO[:, None], -math.inf)
        return scores.flatten(4).softmax(-1).reshape_as(scores)

    def _gather(self, k_BNDHP: Tensor) -> Tensor:
        """Keys or values around each query: (B, N, D, H, P, O)."""
        return k_BNDHP.index_select(4, self.neighbour_PO.flatten()).unflatten(4, self.neighbour_PO.shape)

    def forward(self, q_BCSS: Tensor, k_BCSS: Tensor, v_BCSS: Tensor) -> Tensor:
        v_BNDHP = self._tokens(v_BCSS)
        if self.window is None:
            tokens = (self._tokens(q_BCSS), self._tokens(k_BCSS), v_BNDHP)
            q, k, v = (x_BNDGP.flatten(3).transpose(2, 3) for x_BNDGP in tokens)
            y_BNTD = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias()[None].to(q.dtype))
            y_BNDGP = y_BNTD.transpose(2, 3).unflatten(3, (self.group.order, -1))
        else:
            weights = self.attention_weights(q_BCSS, k_BCSS)
            y_BNDGP = torch.einsum("bngpho,bndhpo->bndgp", weights.to(v_BNDHP.dtype), self._gather(v_BNDHP))
        return self._on_map(y_BNDGP.flatten(1, 3))

    def received(self, q_BCSS: Tensor, k_BCSS: Tensor) -> Tensor:
        """Return the attention each position receives, averaged over heads and queries, summed over the
        key's group elements: (B, 1, S, S), of sum 1."""
        weights = self.attention_weights(q_BCSS, k_BCSS)
        if self.window is None:
            received_BP = weights.mean((1, 2)).unflatten(1, (self.group.order, -1)).sum(1)
        else:
            queries = self.pixel_P.shape[0]
            given_BM = weights.mean((1, 2)).sum(2).flatten(1) / queries
            none_BP = given_BM.new_zeros(given_BM.shape[0], queries)
            received_BP = none_BP.index_add(1, self.neighbour_PO.flatten(), given_BM)
        return self._on_map(received_BP[:, None])

    def multiply_adds(self, height: int, width: int) -> int:
        """Return the products of one image: of queries and keys, and of weights and values."""
        keys = self.pixel_P.shape[0] if self.window is None else self.neighbour_PO.shape[1]
        pairs = self.pixel_P.shape[0] * keys * self.group.order**2
        return 2 * self.fields * pairs

    def activation_bytes(self) -> int:
        """Return the bytes of scores and weights that one image keeps besides the output."""
        shape = (self.group, self.map_size, self.fields, self.heads)
        return estimate_attention_bytes(*shape, self.window, self.disk)

    def extra_repr(self) -> str:
        return (
            f"{self.in_type}, map_size={self.map_size}, heads={self.heads}, "
            f"window={self.window}, disk={self.disk}, max_frequency={self.max_frequency}"
        )


class GroupSelfAttention(nn.Module):
    """Multi-head self-attention of the regular fields ``in_type`` on a ``map_size`` x ``map_size`` map.

    Law: y(g . f) = g . y(f), exact for lattice elements. Queries, keys, values and output are 1x1 group
    convolutions; options as in :class:`RelativeAttention`. For C1 this is ordinary self-attention.
    Shape: (B, in_type.size, S, S) -> the same.
    """

    def __init__(self, in_type: FieldType, map_size: int, heads: int = 4, **options: object) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.attend = RelativeAttention(in_type, map_size, heads, **options)
        self.query, self.key, self.value = (make_pointwise(in_type, in_type) for _ in range(3))
        self.out = make_pointwise(in_type, in_type, bias=True)

    def forward(self, x_BCSS: Tensor) -> Tensor:
        return self.out(self.attend(self.query(x_BCSS), self.key(x_BCSS), self.value(x_BCSS)))

    def received(self, x_BCSS: Tensor) -> Tensor:
        """Return the map of :meth:`RelativeAttention.received`."""
        return self.attend.received(self.query(x_BCSS), self.key(x_BCSS))


def make_pointwise(in_type: FieldType, out_type: FieldType, bias: bool = False) -> nn.Module:
    """Return a 1x1 group convolution that keeps the variance of its input (no ReLU follows)."""
    conv = make_conv(in_type, out_type, 1, bias=bias)
    with torch.no_grad():
        conv.weight.mul_(0.5**0.5)
    return conv
