r"""Group convolution of regular and trivial fields.

With base filters psi_{oi,u} (output field o, input field i, relative element u) the layer computes

    y_o(p, g) = b_o + sum_{i, h, x} psi_{oi, g^-1 h}(g^-1 x)  f_i(p + x, h),

which commutes with every element of G (arXiv 1602.07576, 1911.08251). A trivial input has no h:
this is the lifting convolution. Base filters are expanded in a steerable basis; the weights
``w_{oiuk}`` are the layer's only parameters besides the bias, and nothing derived from them is ever
stored, so that copies, averages and checkpoints can never be stale.
Legend: O I output and input fields, G group elements, U relative elements, K basis functions,
P pixels of the filter.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError, check_choice
from equirgz.geometry.field_type import FieldType, check_kinds
from equirgz.nn.autocast import float32_in_autocast
from equirgz.nn.conv.steerable import SteerableConv2d
from equirgz.nn.cpu.compiled import kernels_for
from equirgz.nn.cpu.fourier import fourier_conv2d
from equirgz.nn.cpu.fourier_plan import can_factor
from equirgz.nn.cpu.path_choice import prefers_fourier
from equirgz.nn.filters.resolution import check_resolution


class GroupConv2d(SteerableConv2d):
    """Convolution from trivial or regular fields to regular fields of one group.

    Parameters
    ----------
    in_type : all regular, or all trivial (images: the lifting convolution).
    out_type : regular fields of the same group.
    kernel_size : odd.
    stride, padding : as ``torch.nn.Conv2d``; padding defaults to ``kernel_size // 2``.
    bias : one number per output field.
    basis : "harmonic" (any N) or "pixel" (N = 1, 2, 4).

    Shapes: (B, in_type.size, H, W) -> (B, out_type.size, H', W').
    With odd H and W the layer is exact on the pixel lattice for stride 1, and for stride 2.
    NaN in the input spreads to every output that sees it.

    Two ways lead to the same numbers, to rounding: ``F.conv2d`` with the expanded filters, or the
    Fourier components over the rotations, whose cost is linear in |G| (:mod:`equirgz.nn.cpu.fourier`).
    The attribute ``path`` is "auto" (a cost model decides from the layer, the map size, whether the package's
    compiled kernels are there, and the precision of the dense way), "dense" or "fourier". Always dense: lifting, on
    other devices than CPUs, in half precision, under tracing, export and compilation. Within autocast the Fourier
    way is float32, input to output. Only the dense way can be differentiated twice.

    Raises InputError for other types, an even kernel, pixel filters of a group that leaves the lattice, and
    a group too fine for the kernel (:mod:`equirgz.nn.filters.resolution`; C64 with 3x3 filters).
    """

    path = "auto"

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = False,
        basis: str = "harmonic",
    ) -> None:
        super().__init__(in_type, out_type, kernel_size, stride, padding, basis)
        check_kinds("GroupConv2d input", in_type, "regular", "trivial")
        check_kinds("GroupConv2d output", out_type, "regular")
        self.lifts = not in_type.is_regular
        check_resolution(self.basis, self.group, self.lifts)
        relative = 1 if self.lifts else self.group.order
        self.weight = nn.Parameter(torch.empty(self.out_fields, self.in_fields, relative, len(self.basis)))
        self.bias = nn.Parameter(torch.zeros(self.out_fields)) if bias else None
        self.register_derived()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights so that activations keep their variance through a ReLU (He, arXiv 1502.01852)."""
        fan_in = self.weight[0].numel()
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / fan_in))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @property
    def energy(self) -> float:
        """Squared filter values that one output channel sums over, for weights of unit variance."""
        return float(self.weight[0].numel())

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the turned basis and, for regular inputs, where each block of the filter bank comes from."""
        turned_GKP = torch.from_numpy(self.basis.turned_GKP(self.group))
        return {"turned_GKP": turned_GKP} | ({} if self.lifts else {"source_M": self._source_index()})

    def _source_index(self) -> Tensor:
        """Flat index (g, u = g^-1 h) that supplies block (g, h)."""
        order = self.group.order
        relative_GG = torch.from_numpy(self.group.product_GG[self.group.inverse_G])
        return (torch.arange(order)[:, None] * order + relative_GG).reshape(-1)

    def expand(self) -> Tensor:
        """Return the filter bank (O * G, I * Gin, k, k) of the equivalent ordinary convolution."""
        size, order = self.kernel_size, self.group.order
        if self.lifts:
            bank = torch.einsum("oik,gkp->ogip", self.weight[:, :, 0], self.turned_GKP)
            return bank.reshape(self.out_fields * order, self.in_fields, size, size)
        blocks_GUOIP = torch.einsum("oiuk,gkp->guoip", self.weight, self.turned_GKP)
        blocks_MOIP = blocks_GUOIP.flatten(0, 1).index_select(0, self.source_M)
        blocks_GHOIP = blocks_MOIP.unflatten(0, (order, order))
        bank = blocks_GHOIP.permute(2, 0, 3, 1, 4)
        return bank.reshape(self.out_fields * order, self.in_fields * order, size, size)

    def expand_bias(self) -> Tensor | None:
        """Return the bias repeated over the group, or None."""
        return None if self.bias is None else self.bias.repeat_interleave(self.group.order)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        self.check_input(x_BCHW)
        if not self.uses_fourier(x_BCHW):
            return F.conv2d(x_BCHW, self.expand(), self.expand_bias(), self.stride, self.padding)
        return self._factored(x_BCHW)

    @float32_in_autocast
    def _factored(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = fourier_conv2d(x_BCHW, self.weight, self.group, self.basis, self.stride, self.padding)
        return y_BCHW if self.bias is None else y_BCHW + self.expand_bias()[:, None, None]

    def uses_fourier(self, x_BCHW: Tensor) -> bool:
        """Return whether the forward pass of ``x_BCHW`` takes the Fourier components.

        Raises InputError for an unknown ``path``, or for "fourier" where they do not exist.
        """
        check_choice("GroupConv2d path", self.path, ("auto", "dense", "fourier"))
        possible = not self.lifts and can_factor(self.group, self.basis)
        if self.path == "fourier" and not possible:
            raise InputError(
                "GroupConv2d path 'fourier'",
                expected="regular inputs, harmonic filters and an even number of rotations, at least 4",
                got=str(self),
                mend="use path='auto'",
            )
        half = torch.is_autocast_enabled("cpu") and self.weight.dtype == torch.float32
        dtype = torch.float32 if half else x_BCHW.dtype
        if self.path == "dense" or not possible or self.weight.dtype != dtype or _needs_dense(x_BCHW, dtype):
            return False
        rows, columns = (self.out_size(size) for size in x_BCHW.shape[-2:])
        if min(rows, columns, len(x_BCHW)) < 1:
            return False
        sizes = (self.in_fields, self.out_fields, self.kernel_size, len(self.basis), rows * columns)
        compiled = kernels_for(dtype, self.kernel_size, self.stride) is not None
        return self.path == "fourier" or prefers_fourier(self.group, *sizes, compiled=compiled, half=half)


def _needs_dense(x_BCHW: Tensor, dtype: torch.dtype) -> bool:
    """Return whether only ordinary operators will do: exports and transforms, other devices, low precision."""
    return (
        torch.jit.is_tracing()
        or torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or x_BCHW.device.type != "cpu"
        or dtype not in (torch.float32, torch.float64)
    )
