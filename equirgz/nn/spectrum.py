r"""What the group leaves of regular fields: the power of each irrep, at each position.

With the coordinates f^(k, c, m) of :mod:`equirgz.geometry.transform`, an element acts on c alone and by an
orthogonal matrix, so that

    p_0 = mean_g f(g),        p_k = |f^(k, ., .)| / sqrt |G|   for every other irrep k,

do not change; the squares sum to the mean of f(g)^2. Where the maximum keeps one number of each field, the
spectrum keeps one for each irrep: N / 2 + 1 for C_N, N / 2 + 3 for D_N (N even).
Legend: B batch, F fields, G group elements, I coordinates, R irreps, T positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from equirgz.geometry.field_type import FieldType, check_kinds
from equirgz.geometry.transform import irreps_of, regular_transform
from equirgz.nn.derived import DerivedBuffers


class PowerSpectrum(DerivedBuffers):
    """Regular fields to the powers of their irreps: (B, in_type.size, H, W) -> (B, F * R, H, W), trivial fields.

    Field f gives the channels f R ... f R + R - 1, the signed mean first. Where p_k = 0, its gradient is 0.
    Raises InputError for other fields than regular ones.
    """

    def __init__(self, in_type: FieldType) -> None:
        super().__init__()
        self.in_type = check_kinds("PowerSpectrum input", in_type, "regular")
        self.irreps = len(irreps_of(in_type.group))
        self.out_type = FieldType.trivial(in_type.group, in_type.count * self.irreps)
        self.register_derived()

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the transform over sqrt |G|, and which coordinates each irrep but the trivial one sums over."""
        transform = regular_transform(self.in_type.group)
        matrix_IG = torch.from_numpy(transform.matrix_IG / self.in_type.group.order**0.5)
        member_RI = torch.from_numpy(transform.irrep_of_row_I == torch.arange(1, self.irreps)[:, None].numpy())
        return {"matrix_IG": matrix_IG, "member_RI": member_RI.double()}

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BFGT = x_BCHW.unflatten(1, (self.in_type.count, -1)).flatten(3)
        y_BFIT = self.matrix_IG @ x_BFGT
        tiny = torch.finfo(y_BFIT.dtype).tiny
        power_BFRT = (self.member_RI @ y_BFIT.square()).clamp(min=tiny).sqrt()
        spectrum_BFRT = torch.cat([y_BFIT[:, :, :1], power_BFRT.to(y_BFIT.dtype)], 2)
        return spectrum_BFRT.flatten(1, 2).unflatten(2, x_BCHW.shape[-2:])

    def multiply_adds(self, height: int, width: int) -> int:
        """Return the products of one image: of the transform."""
        return self.in_type.size * self.in_type.group.order * height * width

    def extra_repr(self) -> str:
        return f"{self.in_type}, irreps={self.irreps}"
