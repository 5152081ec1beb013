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

from equirgz.errors import InputError, check_choice, explain
from equirgz.geometry.group import Group
from equirgz.nn.cpu.fourier import fourier_conv2d
from equirgz.nn.cpu.fourier_plan import can_factor
from equirgz.nn.cpu.path_choice import prefers_fourier
from equirgz.nn.derived import DerivedBuffers
from equirgz.nn.filters.basis import FilterBasis
from equirgz.nn.filters.resolution import check_resolution


class GroupConv2d(DerivedBuffers):
    """Convolution from trivial or regular fields to regular fields of ``group``.

    Parameters
    ----------
    group : the symmetry group.
    in_fields, out_fields : numbers of fields.
    kernel_size : odd.
    lifting : True when the input fields are trivial (images), False when regular.
    stride, padding : as ``torch.nn.Conv2d``; padding defaults to ``kernel_size // 2``.
    bias : one number per output field.
    basis : "harmonic" (any N) or "pixel" (N = 1, 2, 4).

    Shapes: (B, in_fields * (1 if lifting else |G|), H, W) -> (B, out_fields * |G|, H', W').
    With odd H and W the layer is exact on the pixel lattice for stride 1, and for stride 2.
    NaN in the input spreads to every output that sees it.

    Two ways lead to the same numbers, to rounding: ``F.conv2d`` with the expanded filters, or the
    Fourier components over the rotations, whose cost is linear in |G| (:mod:`equirgz.nn.cpu.fourier`).
    The attribute ``path`` is "auto" (a cost model decides from the layer and the map size), "dense"
    or "fourier". Always dense: lifting, on other devices than CPUs, in half precision or autocast,
    under tracing, export and compilation. Only the dense way can be differentiated twice.

    Raises InputError for an even kernel, for pixel filters of a group that leaves the lattice, and for a
    group too fine for the kernel (:mod:`equirgz.nn.filters.resolution`; C64 with 3x3 filters).
    """

    path = "auto"

    def __init__(
        self,
        group: Group,
        in_fields: int,
        out_fields: int,
        kernel_size: int,
        *,
        lifting: bool = False,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = False,
        basis: str = "harmonic",
    ) -> None:
        super().__init__()
        self.group = group
        self.in_fields, self.out_fields = in_fields, out_fields
        self.kernel_size, self.stride, self.lifting = kernel_size, stride, lifting
        self.padding = kernel_size // 2 if padding is None else padding
        self.basis = FilterBasis(kernel_size, basis)
        check_resolution(self.basis, group, lifting)
        relative = 1 if lifting else group.order
        self.weight = nn.Parameter(torch.empty(out_fields, in_fields, relative, len(self.basis)))
        self.bias = nn.Parameter(torch.zeros(out_fields)) if bias else None
        self.register_derived()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights so that activations keep their variance through a ReLU (He, arXiv 1502.01852)."""
        fan_in = self.weight[0].numel()
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / fan_in))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the turned basis and, for regular inputs, where each block of the filter bank comes from."""
        turned_GKP = torch.from_numpy(self.basis.turned_GKP(self.group))
        return {"turned_GKP": turned_GKP} | ({} if self.lifting else {"source_M": self._source_index()})

    def _source_index(self) -> Tensor:
        """Flat index (g, u = g^-1 h) that supplies block (g, h)."""
        order = self.group.order
        relative_GG = torch.from_numpy(self.group.product_GG[self.group.inverse_G])
        return (torch.arange(order)[:, None] * order + relative_GG).reshape(-1)

    def expand(self) -> Tensor:
        """Return the filter bank (O * G, I * Gin, k, k) of the equivalent ordinary convolution."""
        size, order = self.kernel_size, self.group.order
        if self.lifting:
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
        channels = self.in_fields * (1 if self.lifting else self.group.order)
        if x_BCHW.dim() != 4 or x_BCHW.shape[1] != channels:
            raise InputError(
                explain(
                    f"{self._get_name()} input", expected=f"(B, {channels}, H, W)", got=tuple(x_BCHW.shape)
                )
            )
        if not self.uses_fourier(x_BCHW):
            return F.conv2d(x_BCHW, self.expand(), self.expand_bias(), self.stride, self.padding)
        y_BCHW = fourier_conv2d(x_BCHW, self.weight, self.group, self.basis, self.stride, self.padding)
        return y_BCHW if self.bias is None else y_BCHW + self.expand_bias()[:, None, None]

    def uses_fourier(self, x_BCHW: Tensor) -> bool:
        """Return whether the forward pass of ``x_BCHW`` takes the Fourier components.

        Raises InputError for an unknown ``path``, or for "fourier" where they do not exist.
        """
        check_choice("GroupConv2d path", self.path, ("auto", "dense", "fourier"))
        possible = not self.lifting and can_factor(self.group, self.basis)
        if self.path == "fourier" and not possible:
            raise InputError(
                explain(
                    "GroupConv2d path 'fourier'",
                    expected="regular inputs, harmonic filters and an even number of rotations, at least 4",
                    got=str(self),
                    mend="use path='auto'",
                )
            )
        if self.path == "dense" or not possible or _needs_dense(x_BCHW, self.weight):
            return False
        rows, columns = (
            (size + 2 * self.padding - self.kernel_size) // self.stride + 1 for size in x_BCHW.shape[-2:]
        )
        if min(rows, columns, len(x_BCHW)) < 1:
            return False
        sizes = (self.in_fields, self.out_fields, self.kernel_size, len(self.basis), rows * columns)
        return self.path == "fourier" or prefers_fourier(self.group, *sizes)

    def to_conv2d(self) -> nn.Conv2d:
        """Return the ordinary convolution with the same outputs."""
        bank = self.expand().detach()
        plain = nn.Conv2d(
            bank.shape[1],
            bank.shape[0],
            self.kernel_size,
            self.stride,
            self.padding,
            bias=self.bias is not None,
        ).to(bank)
        plain.weight.data.copy_(bank)
        if self.bias is not None:
            plain.bias.data.copy_(self.expand_bias().detach())
        return plain

    def extra_repr(self) -> str:
        source = "trivial" if self.lifting else "regular"
        return (
            f"{self.group}, {self.in_fields} {source} -> {self.out_fields} regular, "
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, basis={self.basis.kind}"
        )


def _needs_dense(x_BCHW: Tensor, weight: Tensor) -> bool:
    """Return whether only ordinary operators will do: exports and transforms, other devices, low precision."""
    return (
        torch.jit.is_tracing()
        or torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or x_BCHW.device.type != "cpu"
        or weight.dtype != x_BCHW.dtype
        or x_BCHW.dtype not in (torch.float32, torch.float64)
        or torch.is_autocast_enabled("cpu")
    )


def make_conv(
    group: Group,
    in_fields: int,
    out_fields: int,
    kernel_size: int,
    *,
    lifting: bool = False,
    stride: int = 1,
    padding: int | None = None,
    bias: bool = False,
    basis: str | None = None,
) -> nn.Module:
    """Return a :class:`GroupConv2d`, or for C1 the ordinary ``torch.nn.Conv2d`` that it equals.

    ``basis=None`` means "pixel" for C1 and "harmonic" for every other group; C1 with
    ``basis="harmonic"`` is the band-limited control without symmetry.
    """
    if group.order == 1 and basis in (None, "pixel"):
        padding = FilterBasis(kernel_size, "pixel").kernel_size // 2 if padding is None else padding
        conv = nn.Conv2d(in_fields, out_fields, kernel_size, stride, padding, bias=bias)
        nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
        if bias:
            nn.init.zeros_(conv.bias)
        return conv
    return GroupConv2d(
        group,
        in_fields,
        out_fields,
        kernel_size,
        lifting=lifting,
        stride=stride,
        padding=padding,
        bias=bias,
        basis=basis or "harmonic",
    )
