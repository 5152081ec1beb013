"""How noisy an image is, told to a network in a way that commutes with every group.

A noise level is one number per image that no turn changes; scaling and shifting whole fields by functions of it
therefore commutes with the group (feature-wise modulation, arXiv 1709.07871, field by field).
Legend: B batch, C channels, E embedding, K frequencies, F fields.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.nn.derived import DerivedBuffers

_FREQUENCIES = 8


def check_noise_level(noise_level_B: Tensor, batch: int) -> Tensor:
    """Return noise levels (B,), one for each of ``batch`` images; a single one stands for all.

    Raises InputError for another shape, for whole numbers, and for levels that are not finite and above 0.
    """
    if not torch.is_tensor(noise_level_B) or not noise_level_B.is_floating_point():
        got = noise_level_B.dtype if torch.is_tensor(noise_level_B) else type(noise_level_B).__name__
        raise InputError("noise level", expected=f"a tensor of floats, ({batch},)", got=got)
    if tuple(noise_level_B.shape) not in ((), (1,), (batch,)):
        mend = "give the standard deviation of the noise of each image"
        raise InputError(
            "noise level", expected=f"one per image, ({batch},)", got=tuple(noise_level_B.shape), mend=mend
        )
    if not torch.compiler.is_compiling() and not noise_level_B.is_meta:
        bad = noise_level_B[~((noise_level_B > 0) & torch.isfinite(noise_level_B))]
        if bad.numel():
            mend = "leave it out for images without noise"
            raise InputError("noise level", expected="finite and above 0", got=float(bad.reshape(-1)[0]), mend=mend)
    return noise_level_B.expand(batch)


class NoiseEmbedding(DerivedBuffers):
    """e = W_2 silu(W_1 [sin(w_k log sigma), cos(w_k log sigma)] + b_1) + b_2, with w_k = 1/8, 1/4, ... 16.

    Shape: noise_level_B (B,), sigma in units of the images, above 0 -> (B, length). Raises InputError for others
    (:func:`check_noise_level`).
    """

    def __init__(self, length: int = 32) -> None:
        super().__init__()
        self.length = length
        self.layers = nn.Sequential(nn.Linear(2 * _FREQUENCIES, length), nn.SiLU(), nn.Linear(length, length))
        self.register_derived()

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the frequencies."""
        return {"frequency_K": 2.0 ** torch.arange(-3, _FREQUENCIES - 3, dtype=torch.float64)}

    def forward(self, noise_level_B: Tensor) -> Tensor:
        phase_BK = noise_level_B.log()[:, None] * self.frequency_K
        return self.layers(torch.cat([phase_BK.sin(), phase_BK.cos()], 1))


class FieldModulation(DerivedBuffers):
    """y_f = (1 + a_f(e)) x_f + b_f(e), a and b linear in the embedding; b is left out where channels of a field mix.

    Shapes: (B, in_type.size, H, W), (B, length) -> (B, in_type.size, H, W). Commutes with the group, since a and b are
    the same for all channels of a field. Weights start small, so that the network starts near the unmodulated one.
    """

    def __init__(self, in_type: FieldType, length: int) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.scale = _small(nn.Linear(length, in_type.count))
        self.shift = _small(nn.Linear(length, in_type.count)) if in_type.permutes else None
        self.register_derived()

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the field of each channel."""
        return {"field_of_channel_C": torch.from_numpy(self.in_type.field_of_channel_C.copy())}

    def forward(self, x_BCHW: Tensor, embedding_BE: Tensor) -> Tensor:
        y_BCHW = x_BCHW * (1 + self._per_channel(self.scale, embedding_BE))
        return y_BCHW if self.shift is None else y_BCHW + self._per_channel(self.shift, embedding_BE)

    def _per_channel(self, layer: nn.Linear, embedding_BE: Tensor) -> Tensor:
        return layer(embedding_BE).index_select(1, self.field_of_channel_C)[:, :, None, None]

    def extra_repr(self) -> str:
        return str(self.in_type)


def _small(layer: nn.Linear) -> nn.Linear:
    nn.init.normal_(layer.weight, std=0.1 * layer.in_features**-0.5)
    nn.init.zeros_(layer.bias)
    return layer
