"""All turned copies of an image at once: what a network that knows no symmetry is shown.

Legend: B batch, C channels, G group elements, S side in pixels, R elements that leave the lattice.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equirgz.geometry.action import turn_lattice
from equirgz.geometry.group import Group
from equirgz.nn.derived import DerivedBuffers


class TurnedCopies(DerivedBuffers):
    """Images (B, C, S, S) to their copies g^-1 x of every element, (B, G, C, S, S).

    An element h of the group permutes the copies of h x: copy h g of h x is copy g of x. Elements that keep
    the lattice only move pixels; others interpolate bilinearly, with 0 beyond the image.
    """

    def __init__(self, group: Group, size: int) -> None:
        super().__init__()
        self.group, self.size = group, size
        self._off_lattice = [g for g in range(group.order) if not group.is_lattice(g)]
        # Of each element: which grid samples its copy, or how often to turn, and whether to flip.
        self._ways: list[tuple[int | None, int, bool]] = []
        for g, inverse in enumerate(map(int, group.inverse_G)):
            grid = None if group.is_lattice(g) else self._off_lattice.index(g)
            self._ways.append((grid, round(group.angle_deg(inverse) / 90.0), group.is_reflection(inverse)))
        self.register_derived()

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return, for elements that leave the lattice, where each pixel of g^-1 x lies on x, (R, S, S, 2)."""
        axis = np.arange(self.size) - (self.size - 1) / 2
        row, column = np.meshgrid(axis, axis, indexing="ij")
        up_SS2 = np.stack([column, -row], -1)
        turned = [up_SS2 @ matrix.T for matrix in self.group.matrix_G22[self._off_lattice]]  # (g^-1 x)(p) = x(g p)
        if not turned:
            return {}
        return {"grid_RSS2": torch.from_numpy(np.stack(turned) * np.array([2.0, -2.0]) / self.size)}

    def forward(self, x_BCSS: Tensor) -> Tensor:
        copies = []
        for grid, quarters, reflects in self._ways:
            if grid is None:
                copies.append(turn_lattice(x_BCSS, quarters, reflects))
            else:
                grid_BSS2 = self.grid_RSS2[grid].to(x_BCSS.dtype).expand(x_BCSS.shape[0], -1, -1, -1)
                copies.append(F.grid_sample(x_BCSS, grid_BSS2, align_corners=False))
        return torch.stack(copies, 1)

    def extra_repr(self) -> str:
        return f"{self.group}, size={self.size}"
