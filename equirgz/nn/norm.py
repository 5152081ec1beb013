"""Normalisation of fields: one mean, variance, scale and shift per field, or one length where channels mix.

Legend: F fields, D channels of one field, C all channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.nn.autocast import float32_in_autocast
from equirgz.nn.derived import DerivedBuffers


class FieldBatchNorm2d(nn.Module):
    """Normalise each field over batch, space AND its channels, so that the fibre is not distorted.

    y = gamma_f (x - mean_f) / sqrt(var_f + eps) + beta_f, with statistics over (B, D, H, W).
    Shape: (B, in_type.size, H, W) -> the same. Parameters and buffers have length F.
    Raises InputError unless ``in_type`` holds one kind of fields whose channels are permuted.
    """

    def __init__(self, in_type: FieldType, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.in_type = self.out_type = _check_permutes("FieldBatchNorm2d", in_type)
        self.fields, self._field_size = in_type.count, in_type.field_size
        self.norm = nn.BatchNorm2d(self.fields, eps=eps, momentum=momentum)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        batch, channels, height, width = x_BCHW.shape
        by_field = x_BCHW.reshape(batch, self.fields, self._field_size * height, width)
        return self.norm(by_field).reshape(batch, channels, height, width)

    def to_plain(self) -> nn.BatchNorm2d:
        """Return the ordinary BatchNorm2d with the same outputs in eval mode."""
        return _repeated(self.norm, self._field_size)

    def extra_repr(self) -> str:
        return str(self.in_type)


class LengthBatchNorm2d(nn.Module):
    """Divide each field by its root mean square length, for fields whose channels mix: irreps, vectors.

    y = gamma_f x / sqrt(ms_f + eps), with ms_f the mean of x^2 over (B, D, H, W); there is nothing to
    subtract or to add, for no vector is invariant. In eval mode ms_f is the running mean.
    Shape: (B, in_type.size, H, W) -> the same; ``in_type`` holds one kind of fields.
    """

    def __init__(self, in_type: FieldType, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.fields, self._field_size = in_type.count, in_type.field_size
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(self.fields))
        self.register_buffer("running_var", torch.ones(self.fields))

    @float32_in_autocast
    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BFDHW = x_BCHW.unflatten(1, (self.fields, self._field_size))
        square_F = self.running_var
        if self.training:
            square_F = x_BFDHW.square().mean((0, 2, 3, 4))
            with torch.no_grad():
                self.running_var.lerp_(square_F.to(self.running_var.dtype), self.momentum)
        scale_F = self.weight * torch.rsqrt(square_F + self.eps)
        return (x_BFDHW * scale_F[:, None, None, None]).flatten(1, 2)

    def to_plain(self) -> nn.BatchNorm2d:
        """Return the ordinary BatchNorm2d with the same outputs in eval mode."""
        norm = nn.BatchNorm2d(self.fields, self.eps).to(self.weight)
        norm.load_state_dict({"weight": self.weight.detach(), "running_var": self.running_var}, strict=False)
        return _repeated(norm, self._field_size)

    def extra_repr(self) -> str:
        return str(self.in_type)


def _repeated(norm: nn.BatchNorm2d, times: int) -> nn.BatchNorm2d:
    """Return the norm of channels of which ``times`` neighbours share what ``norm`` has of one."""
    plain = nn.BatchNorm2d(norm.num_features * times, norm.eps, norm.momentum).to(norm.weight)
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(plain, name).copy_(getattr(norm, name).repeat_interleave(times))
        plain.num_batches_tracked.copy_(norm.num_batches_tracked)
    return plain


def _check_permutes(what: str, in_type: FieldType) -> FieldType:
    if not in_type.permutes or len(in_type.parts) > 1:
        expected = "one kind of fields whose channels are permuted (regular, trivial, quotient)"
        raise InputError(f"{what} input", expected=expected, got=str(in_type), mend="use make_norm")
    return in_type


class FieldGroupNorm2d(nn.Module):
    """Normalise each image over fields, their channels AND space; scale and shift each field.

    y_f(p, d) = gamma_f (x_f(p, d) - mean) / sqrt(var + eps) + beta_f, statistics over (F, D, H, W) of one image: group
    norm with one group (arXiv 1803.08494). Batches play no part, so training and eval agree, and images of very
    different noise may share a batch. Shape: (B, in_type.size, H, W) -> the same.
    Raises InputError unless ``in_type`` holds one kind of fields whose channels are permuted.
    """

    def __init__(self, in_type: FieldType, eps: float = 1e-5) -> None:
        super().__init__()
        self.in_type = self.out_type = _check_permutes("FieldGroupNorm2d", in_type)
        self.eps, self._field_size = eps, in_type.field_size
        # not weight and bias, so that weights of the norm of single positions do not fit here unnoticed
        self.gamma = nn.Parameter(torch.ones(in_type.count))
        self.beta = nn.Parameter(torch.zeros(in_type.count))

    @float32_in_autocast
    def forward(self, x_BCHW: Tensor) -> Tensor:
        gamma_C, beta_C = (p.repeat_interleave(self._field_size) for p in (self.gamma, self.beta))
        return torch.group_norm(x_BCHW, 1, gamma_C, beta_C, self.eps)

    def extra_repr(self) -> str:
        return f"{self.in_type}, eps={self.eps}"

    def to_plain(self) -> nn.GroupNorm:
        """Return the ordinary GroupNorm with the same outputs."""
        plain = nn.GroupNorm(1, self.in_type.size, self.eps).to(self.gamma)
        with torch.no_grad():
            plain.weight.copy_(self.gamma.repeat_interleave(self._field_size))
            plain.bias.copy_(self.beta.repeat_interleave(self._field_size))
        return plain


class FieldLayerNorm2d(nn.Module):
    """Normalise each position over fields AND their channels; scale and shift each field.

    y_f(p, d) = gamma_f (x_f(p, d) - mean(p)) / sqrt(var(p) + eps) + beta_f, statistics over (F, D).
    Batches play no part, so training and eval agree. Shape: (B, in_type.size, H, W) -> the same.
    Raises InputError unless ``in_type`` holds one kind of fields whose channels are permuted.
    """

    def __init__(self, in_type: FieldType, eps: float = 1e-5) -> None:
        super().__init__()
        self.in_type = self.out_type = _check_permutes("FieldLayerNorm2d", in_type)
        self.eps, self._field_size = eps, in_type.field_size
        self.weight = nn.Parameter(torch.ones(in_type.count))
        self.bias = nn.Parameter(torch.zeros(in_type.count))

    @float32_in_autocast
    def forward(self, x_BCHW: Tensor) -> Tensor:
        variance_B1HW, mean_B1HW = torch.var_mean(x_BCHW, 1, correction=0, keepdim=True)
        y_BCHW = (x_BCHW - mean_B1HW) * torch.rsqrt(variance_B1HW + self.eps)
        weight_C11, bias_C11 = (p.repeat_interleave(self._field_size)[:, None, None] for p in (self.weight, self.bias))
        return y_BCHW * weight_C11 + bias_C11

    def extra_repr(self) -> str:
        return f"{self.in_type}, eps={self.eps}"

    def to_plain(self) -> nn.Module:
        """Return the ordinary layers with the same outputs."""
        return ChannelLayerNorm2d(self)


class ChannelLayerNorm2d(nn.Module):
    """``torch.nn.LayerNorm`` over the channels of maps, the twin of a :class:`FieldLayerNorm2d`.

    Shape: (B, C, H, W) -> the same.
    """

    def __init__(self, field_norm: FieldLayerNorm2d) -> None:
        super().__init__()
        size = field_norm.in_type.field_size
        weight_C, bias_C = (p.detach().repeat_interleave(size) for p in (field_norm.weight, field_norm.bias))
        self.norm = nn.LayerNorm(len(weight_C), field_norm.eps).to(weight_C)
        self.norm.load_state_dict({"weight": weight_C, "bias": bias_C})

    @float32_in_autocast
    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.norm(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LengthLayerNorm2d(DerivedBuffers):
    """Divide each position by its root mean square over all channels; scale each field.

    y_f(p) = gamma_f x_f(p) / sqrt(mean_C x(p)^2 + eps), which commutes with every orthogonal representation:
    any fields, of several kinds too. Shape: (B, in_type.size, H, W) -> the same.
    """

    def __init__(self, in_type: FieldType, eps: float = 1e-5) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.eps = eps
        self.register_derived()
        self.weight = nn.Parameter(torch.ones(in_type.count))

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the field of each channel."""
        return {"field_of_channel_C": torch.from_numpy(self.in_type.field_of_channel_C.copy())}

    @float32_in_autocast
    def forward(self, x_BCHW: Tensor) -> Tensor:
        square_B1HW = x_BCHW.square().mean(1, keepdim=True)
        weight_C11 = self.weight.index_select(0, self.field_of_channel_C)[:, None, None]
        return x_BCHW * torch.rsqrt(square_B1HW + self.eps) * weight_C11

    def extra_repr(self) -> str:
        return f"{self.in_type}, eps={self.eps}"
