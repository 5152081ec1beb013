r"""Products over fields and the group at each position, block-diagonal in the irreps of the group.

The same linear maps as 1x1 group convolutions of regular fields, with as many free numbers, at a fraction of
the multiplications (:mod:`equirgz.geometry.transform`): a change of basis, one matrix per irrep, and back.
The idea is that of octic networks (arXiv 2505.15441), here for every C_N and D_N.

Inside, tensors are stacks of group elements, (G, F, T) with all positions of the batch as T, so that both
changes of basis are one matrix product and every block is a view.
Legend: B batch, C channels (F * |G|), G group elements, F O fields in and out, T positions of the batch,
L lines and M coordinates of planes (their sum is |G|), K planes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType, check_kinds, check_same_group
from equirgz.geometry.transform import regular_transform
from equirgz.nn.derived import DerivedBuffers
from equirgz.nn.multiply_adds import count_multiply_adds

Spectrum = tuple[Tensor, Tensor | None]


def to_elements(x_BCHW: Tensor, order: int) -> Tensor:
    """(B, F * |G|, H, W) -> (G, F, B * H * W)."""
    return x_BCHW.unflatten(1, (-1, order)).permute(2, 1, 0, 3, 4).flatten(2)


def from_elements(x_GFT: Tensor, like_BCHW: Tensor) -> Tensor:
    """(G, F, B * H * W) -> (B, F * |G|, H, W), with the batch and the size of ``like_BCHW``."""
    batch, _, height, width = like_BCHW.shape
    return x_GFT.unflatten(2, (batch, height, width)).permute(2, 1, 0, 3, 4).flatten(1, 2)


class PointwiseConv2d(DerivedBuffers):
    """Mix regular fields of one group at each position by what commutes with the group.

    Parameters
    ----------
    in_type, out_type : regular fields of one group.
    bias : one number per output field.

    Shape: (B, in_type.size, H, W) -> (B, out_type.size, H, W), or of stacks of elements (G, F, T) -> (G, O, T).
    Law: y(g . f) = g . y(f) for every g, whatever the map; NaN stays at its position. Weights start as normal
    draws that keep the variance of the input. Raises InputError for other types, and for an input of other
    channels than ``in_type`` has.
    """

    def __init__(self, in_type: FieldType, out_type: FieldType, *, bias: bool = False) -> None:
        super().__init__()
        self.group = check_same_group("PointwiseConv2d", in_type, out_type)
        check_kinds("PointwiseConv2d input", in_type, "regular")
        check_kinds("PointwiseConv2d output", out_type, "regular")
        self.in_type, self.out_type = in_type, out_type
        transform = regular_transform(self.group)
        self._copies = transform.copies
        fields = (out_type.count, in_type.count)
        self.weight_lines = nn.Parameter(torch.empty(transform.lines, *fields))
        blocks = (transform.planes, 2, 2) if self._copies == 2 else (transform.planes, 2)
        self.weight_planes = nn.Parameter(torch.empty(*blocks, *fields)) if transform.planes else None
        self.bias = nn.Parameter(torch.zeros(out_type.count)) if bias else None
        self.register_derived()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights so that the output has the variance of the input."""
        nn.init.normal_(self.weight_lines, std=self.in_type.count**-0.5)
        if self.weight_planes is not None:
            nn.init.normal_(self.weight_planes, std=(2 * self.in_type.count) ** -0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the change of basis to lines and planes, and the coordinates of a constant."""
        transform = regular_transform(self.group)
        matrix_IG = torch.from_numpy(transform.matrix_IG.copy())
        constant_L = torch.zeros(transform.lines, dtype=torch.float64)
        constant_L[0] = math.sqrt(self.group.order)
        buffers = {"lines_LG": matrix_IG[: transform.lines].clone(), "constant_L": constant_L}
        return buffers | ({"planes_MG": matrix_IG[transform.lines :].clone()} if transform.planes else {})

    def to_irreps(self, x_GFT: Tensor) -> Spectrum:
        """Return the coordinates of lines (L, F, T) and planes (M, F, T; None where there are none)."""
        flat = x_GFT.flatten(1)
        lines_LFT = (self.lines_LG @ flat).unflatten(1, x_GFT.shape[1:])
        if self.weight_planes is None:
            return lines_LFT, None
        return lines_LFT, (self.planes_MG @ flat).unflatten(1, x_GFT.shape[1:])

    def to_fields(self, spectrum: Spectrum) -> Tensor:
        """Return the regular fields (G, F, T) of coordinates."""
        lines_LFT, planes_MFT = spectrum
        flat = self.lines_LG.T @ lines_LFT.flatten(1)
        if planes_MFT is not None:
            flat = flat + self.planes_MG.T @ planes_MFT.flatten(1)
        return flat.unflatten(1, lines_LFT.shape[1:])

    def mix_irreps(self, spectrum: Spectrum) -> Spectrum:
        """Apply the block of every irrep to coordinates."""
        lines_LFT, planes_MFT = spectrum
        if self.bias is None:
            lines_LOT = torch.bmm(self.weight_lines, lines_LFT)
        else:
            bias_LO1 = self.constant_L[:, None, None] * self.bias[:, None]
            lines_LOT = torch.baddbmm(bias_LO1.to(lines_LFT.dtype), self.weight_lines, lines_LFT)
        if planes_MFT is None:
            return lines_LOT, None
        block_KYX = self._plane_blocks()
        batches = 2 if self._copies == 2 else 1  # both components of an irrep meet one block
        block_NYX = block_KYX.repeat_interleave(batches, 0)
        planes_NXT = planes_MFT.unflatten(0, (block_NYX.shape[0], 2)).flatten(1, 2)
        planes_NYT = torch.bmm(block_NYX, planes_NXT)
        return lines_LOT, planes_NYT.unflatten(1, (2, -1)).flatten(0, 1)

    def _plane_blocks(self) -> Tensor:
        """The matrix of every plane, (K, 2 O, 2 F): free for D_N, (A -B; B A) for C_N."""
        if self._copies == 2:
            return self.weight_planes.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        real_KOF, imaginary_KOF = self.weight_planes.unbind(1)
        upper = torch.cat([real_KOF, -imaginary_KOF], 2)
        return torch.cat([upper, torch.cat([imaginary_KOF, real_KOF], 2)], 1)

    def mix(self, x_GFT: Tensor) -> Tensor:
        """Return the output for stacks of group elements, (G, F, T) -> (G, O, T)."""
        return self.to_fields(self.mix_irreps(self.to_irreps(x_GFT)))

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            return self.mix(x)
        self.check_input(x)
        return from_elements(self.mix(to_elements(x, self.group.order)), x)

    def check_input(self, x_BCHW: Tensor) -> None:
        """Raise InputError unless the input has the channels of ``in_type``."""
        if x_BCHW.dim() != 4 or x_BCHW.shape[1] != self.in_type.size:
            expected = f"(B, {self.in_type.size}, H, W)"
            raise InputError("PointwiseConv2d input", expected=expected, got=tuple(x_BCHW.shape))

    def multiply_adds(self, height: int, width: int) -> int:
        """Return the products at ``height * width`` positions: of the blocks, and of both changes of basis."""
        blocks = regular_transform(self.group).products * self.in_type.count * self.out_type.count
        bases = self.group.order**2 * (self.in_type.count + self.out_type.count)
        return height * width * (blocks + bases)

    def expand(self) -> Tensor:
        """Return the dense matrix (O * |G|, F * |G|) of the same map."""
        order, fields = self.group.order, self.in_type.count
        unit_CC = torch.eye(order * fields, dtype=self.weight_lines.dtype, device=self.weight_lines.device)
        bias, self.bias = self.bias, None
        try:
            y_GOC = self.mix(unit_CC.reshape(fields, order, -1).transpose(0, 1))
        finally:
            self.bias = bias
        return y_GOC.transpose(0, 1).flatten(0, 1)

    @torch.no_grad()
    def to_plain(self) -> nn.Conv2d:
        """Return the ordinary 1x1 convolution with the same outputs."""
        matrix_CC = self.expand()
        plain = nn.Conv2d(self.in_type.size, self.out_type.size, 1, bias=self.bias is not None).to(matrix_CC)
        plain.weight.copy_(matrix_CC[:, :, None, None])
        if self.bias is not None:
            plain.bias.copy_(self.bias.repeat_interleave(self.group.order))
        return plain

    def extra_repr(self) -> str:
        return f"{self.in_type} -> {self.out_type.fields}"


@count_multiply_adds.register
def _(layer: PointwiseConv2d, x: Tensor, y: Tensor) -> int:
    return layer.multiply_adds(1, y.numel() // layer.out_type.size)


def make_pointwise_conv(in_type: FieldType, out_type: FieldType, *, bias: bool = False) -> nn.Module:
    """Return the map of single positions between regular, or trivial, fields: :class:`PointwiseConv2d`, and the
    ordinary 1x1 convolution for trivial fields, drawn alike."""
    if not in_type.is_trivial:
        return PointwiseConv2d(in_type, out_type, bias=bias)
    check_kinds("pointwise output", out_type, "trivial")
    conv = nn.Conv2d(in_type.size, out_type.size, 1, bias=bias)
    nn.init.normal_(conv.weight, std=in_type.size**-0.5)
    if bias:
        nn.init.zeros_(conv.bias)
    conv.in_type, conv.out_type = in_type, out_type
    return conv


class PointwiseMLP(nn.Module):
    """Two maps of single positions around a GELU, y = down(gelu(up(x))), ``hidden`` fields in between.

    The GELU acts on regular (or trivial) fields, whose channels the group permutes, so that all of it commutes
    with the group. Shape: (B, in_type.size, H, W) -> the same.
    """

    def __init__(self, in_type: FieldType, hidden: int) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        inner = FieldType(in_type.group, f"{hidden} {in_type.parts[0].representation.name}")
        self.up = make_pointwise_conv(in_type, inner, bias=True)
        self.gelu = nn.GELU()
        self.down = make_pointwise_conv(inner, in_type, bias=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if not isinstance(self.up, PointwiseConv2d) or not isinstance(self.down, PointwiseConv2d):
            return self.down(self.gelu(self.up(x_BCHW)))
        self.up.check_input(x_BCHW)
        x_GFT = to_elements(x_BCHW, self.up.group.order)
        return from_elements(self.down(self.gelu(self.up(x_GFT))), x_BCHW)
