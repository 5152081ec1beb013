r"""Equivariant multi-head self-attention over positions, with scores summed over the group.

A token is a position p with its regular fields, all |G| numbers of each. With queries, keys, values and a
steering field s per head from products in the irreps of the group, each head computes

    y(p, h) = sum_q softmax_q( sum_g <Q(p, g), K(q, g)> / sqrt(d |G|) + b(p, q) ) V(q, h),
    b(p, q) = sum_g (1 + s(p, g)) w(g^-1 (q - p)),        w(x) = sum_k w_k B_k(x),

so that the softmax runs over P positions and not |G| P pairs (the idea of octic networks, arXiv 2505.15441,
for every C_N and D_N). An element of G moves positions and permutes g, in Q, K and s alike, which leaves every
sum over g as it is: y(g . f) = g . y(f). The bias knows the direction of q as seen from each pose g of the
query (the position is lifted as g^-1 (q - p)), and s, which the features choose, says which pose counts.
For trivial fields there is one pose, and w depends on the distance alone; for C1 on the direction too.
Legend: B batch, C channels (F * |G|), S side of the map, P positions, N heads, D fields per head,
E = D * |G|, G group elements (1 for trivial fields), X mixed fields (3 F + N), K functions, O offsets.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType, check_kinds
from equirgz.geometry.group import get_group
from equirgz.nn.attention.offsets import (
    map_offsets,
    offset_index,
    place_of_pixel,
    positions_on_map,
    turned_functions,
)
from equirgz.nn.conv.pointwise import PointwiseConv2d, from_elements, make_pointwise_conv, to_elements
from equirgz.nn.derived import DerivedBuffers

MIB = 2**20


def estimate_position_bytes(map_size: int, heads: int, disk: bool = True) -> int:
    """Return the float32 bytes that one image keeps for the backward pass of one attention over positions:
    scores, weights and biases, 3 N P^2."""
    return 4 * 3 * heads * len(positions_on_map(map_size, disk)) ** 2


def check_heads(what: str, fields: int, heads: int) -> None:
    """Raise InputError unless ``fields`` is a multiple of ``heads``."""
    if heads < 1 or fields % heads:
        nearest = [n for n in (fields // heads * heads, (fields // heads + 1) * heads) if n] if heads > 0 else []
        mend = f"use {' or '.join(map(str, nearest))}" if nearest else "use at least one head"
        raise InputError(f"{what} fields", expected=f"a multiple of {heads} heads", got=fields, mend=mend)


class PositionAttention(DerivedBuffers):
    """The sum over positions of the module docstring, given queries, keys, values and steering fields.

    Parameters
    ----------
    in_type : regular or trivial fields.
    map_size : side of the map, pixels.
    heads : a divisor of the number of fields.
    disk : leave out positions beyond the inscribed disk (plus half a pixel), which would tell how the image
        was turned; the output is 0 there.
    max_frequency : highest angular frequency of the positional functions.
    memory_budget_mib : bound on :func:`estimate_position_bytes`.

    Shape: stacks of elements (G, 3 F + N, B, S * S) -> (G, F, B, S * S). NaN in a token spreads to all that
    attend to it. Raises InputError for other fields, heads that do not divide, and beyond the budget.
    """

    def __init__(
        self,
        in_type: FieldType,
        map_size: int,
        heads: int,
        *,
        disk: bool = True,
        max_frequency: int = 2,
        memory_budget_mib: float = 64.0,
    ) -> None:
        super().__init__()
        self.in_type = check_kinds("attention", in_type, "regular", "trivial")
        self.map_size, self.heads, self.disk, self.max_frequency = map_size, heads, disk, max_frequency
        check_heads("attention", in_type.count, heads)
        needed_mib = estimate_position_bytes(map_size, heads, disk) / MIB
        if needed_mib > memory_budget_mib:
            positions = len(positions_on_map(map_size, disk))
            got = f"{needed_mib:.1f} MiB ({heads} heads, {positions} positions of a {map_size} x {map_size} map)"
            mend = f"use a smaller map, fewer heads, or memory_budget_mib={math.ceil(needed_mib)}"
            expected = f"at most {memory_budget_mib:g} MiB"
            raise InputError("attention memory per image", expected=expected, got=got, mend=mend)
        self.register_derived()
        self.weight = nn.Parameter(torch.empty(heads, self.turned_GKO.shape[1]))
        nn.init.normal_(self.weight, std=0.2)

    @property
    def mixed_type(self) -> FieldType:
        """Fields of queries, keys, values and of one steering field per head, together."""
        return FieldType(self.in_type.group, f"{3 * self.in_type.count + self.heads} {self.in_type.fields.split()[-1]}")

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the turned positional functions, and the tables of positions and offsets."""
        pixel_P = positions_on_map(self.map_size, self.disk)
        group = get_group("C1") if self.in_type.is_trivial else self.in_type.group
        frequency = 0 if group != self.in_type.group else self.max_frequency
        tables = {
            "pixel_P": pixel_P,
            "home_S": place_of_pixel(self.map_size, pixel_P),
            "offset_PP": offset_index(self.map_size, pixel_P),
            "turned_GKO": turned_functions(group, map_offsets(self.map_size), frequency),
        }
        return {name: torch.from_numpy(table) for name, table in tables.items()}

    def bias(self, steer_GNBP: Tensor) -> Tensor:
        """Return b(p, q) of every head and image, (B, N, P, P)."""
        table_NGO = torch.einsum("nk,gko->ngo", self.weight, self.turned_GKO)
        table_NGM = table_NGO.index_select(2, self.offset_PP.flatten())
        table_NGPP = table_NGM.unflatten(2, self.offset_PP.shape).to(steer_GNBP.dtype)
        return torch.einsum("gnbp,ngpq->bnpq", steer_GNBP, table_NGPP) + table_NGPP.sum(1)

    def _tokens(self, x_GXBS: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, N, P, E), and the bias (B, N, P, P)."""
        x_GXBP = x_GXBS.index_select(3, self.pixel_P)
        fields = self.in_type.count
        *qkv, steer_GNBP = x_GXBP.split([fields, fields, fields, self.heads], 1)
        q, k, v = (x.unflatten(1, (self.heads, -1)).permute(3, 1, 4, 2, 0).flatten(3) for x in qkv)
        return q, k, v, self.bias(steer_GNBP)

    def forward(self, x_GXBS: Tensor) -> Tensor:
        q, k, v, bias_BNPP = self._tokens(x_GXBS)
        y_BNPE = F.scaled_dot_product_attention(q, k, v, attn_mask=bias_BNPP.to(q.dtype))
        y_GNDBP = y_BNPE.unflatten(3, (-1, x_GXBS.shape[0])).permute(4, 1, 3, 0, 2)
        return self._on_map(y_GNDBP.flatten(1, 2))

    def _on_map(self, y_GFBP: Tensor) -> Tensor:
        """Put positions where they are on the map, 0 where there is none."""
        return F.pad(y_GFBP, (0, 1)).index_select(3, self.home_S)

    def received(self, x_GXBS: Tensor) -> Tensor:
        """Return the attention each position receives, averaged over heads and queries: (B, 1, S, S), of sum 1."""
        q, k, _, bias_BNPP = self._tokens(x_GXBS)
        weights_BNPP = ((q * q.shape[-1] ** -0.5) @ k.transpose(2, 3) + bias_BNPP).softmax(-1)
        received_BS = self._on_map(weights_BNPP.mean((1, 2))[None, None])[0, 0]
        return received_BS[:, None].unflatten(2, (self.map_size, self.map_size))

    def multiply_adds(self, height: int, width: int) -> int:
        """Return the products of one image: of queries and keys, weights and values, steering fields and biases."""
        elements = self.in_type.field_size
        return (2 * self.in_type.count + self.heads) * elements * self.pixel_P.shape[0] ** 2

    def activation_bytes(self) -> int:
        """Return the bytes that one image keeps besides the output."""
        return estimate_position_bytes(self.map_size, self.heads, self.disk)

    def extra_repr(self) -> str:
        return (
            f"{self.in_type}, map_size={self.map_size}, heads={self.heads}, disk={self.disk}, "
            f"max_frequency={self.max_frequency}"
        )


class PositionSelfAttention(nn.Module):
    """Multi-head self-attention over the positions of a ``map_size`` x ``map_size`` map of regular or trivial fields.

    Law: y(g . f) = g . y(f), exact for lattice elements. Options as in :class:`PositionAttention`.
    Shape: (B, in_type.size, S, S) -> the same.
    """

    def __init__(self, in_type: FieldType, map_size: int, heads: int = 4, **options: object) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.attend = PositionAttention(in_type, map_size, heads, **options)
        self.qkv = make_pointwise_conv(in_type, self.attend.mixed_type)
        self.out = make_pointwise_conv(in_type, in_type, bias=True)

    def _mixed(self, x_BCSS: Tensor) -> Tensor:
        """Return queries, keys, values and steering fields, (G, X, B, S * S)."""
        size = self.in_type.field_size
        if isinstance(self.qkv, PointwiseConv2d):
            mixed_GXT = self.qkv(to_elements(x_BCSS, size))
        else:
            mixed_GXT = to_elements(self.qkv(x_BCSS), size)
        return mixed_GXT.unflatten(2, (x_BCSS.shape[0], -1))

    def forward(self, x_BCSS: Tensor) -> Tensor:
        y_GFT = self.attend(self._mixed(x_BCSS)).flatten(2)
        if isinstance(self.out, PointwiseConv2d):
            return from_elements(self.out(y_GFT), x_BCSS)
        return self.out(from_elements(y_GFT, x_BCSS))

    def received(self, x_BCSS: Tensor) -> Tensor:
        """Return the map of :meth:`PositionAttention.received`."""
        return self.attend.received(self._mixed(x_BCSS))
