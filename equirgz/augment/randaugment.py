"""RandAugment on tensors (arXiv 1909.13719, 2111.04357): every sample draws its own operations.

The geometric operations of the pool (shear, translation) join the pose, so that a view remains ONE
interpolation; the point operations follow it in the order drawn. Legend: B batch, R rounds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from equirgz.augment.base import Augmentation, Change, Pose
from equirgz.augment.operations import OPERATIONS
from equirgz.augment.pose import check_range, draw_chance, draw_uniform, make_pose_drawer
from equirgz.errors import InputError, check_choice, require

GEOMETRIC = ("shear_columns", "shear_rows", "shift_columns", "shift_rows")
POOL = ("identity", *OPERATIONS, *GEOMETRIC)
_MAX_SHEAR = 0.3
_MAX_SHIFT = 0.3  # of the image's side


class RandAugment(Augmentation):
    """A pose of any orientation, then ``n_operations`` draws (with replacement) from ``pool`` per sample.

    The strength of each draw is uniform in [0, ``magnitude``]: a shear of up to +-0.3, a translation
    of up to +-0.3 of the side, and the blends of :mod:`equirgz.augment.operations`, for images in [0, 1].

    Parameters
    ----------
    n_operations : operations drawn, with replacement, for each sample; 0 or more.
    magnitude : largest strength of an operation; 0 to 1.
    pool : names of the operations that are drawn from; default: all of them.
    """

    def __init__(
        self,
        name: str,
        *,
        n_operations: int,
        magnitude: float,
        pool: tuple[str, ...],
        max_angle_deg: float,
        flip_probability: float,
        mask: bool,
        mask_margin_px: float,
    ) -> None:
        if not isinstance(n_operations, int) or n_operations < 0:
            raise InputError("n_operations", expected="an integer >= 0", got=repr(n_operations))
        self.magnitude = check_range("magnitude", magnitude, 0.0, 1.0)
        self.n_operations = n_operations
        self.pool = tuple(check_choice("RandAugment operation", operation, POOL) for operation in pool)
        require(self.pool, "pool", expected="at least one operation", got="none")
        draw = make_pose_drawer(max_angle_deg=max_angle_deg, flip_probability=flip_probability)
        super().__init__(name, draw, mask=mask, mask_margin_px=mask_margin_px)

    def draw(self, batch: int, size: int, generator: torch.Generator) -> tuple[Pose, Change]:
        """Draw poses with the geometric operations joined, and return with them the others."""
        pose = self.draw_pose(batch, size, generator)
        shape = (batch, self.n_operations)
        choice_BR = (draw_uniform(shape, 0, len(self.pool), generator)).long().clamp_max(len(self.pool) - 1)
        strength_BR = draw_uniform(shape, 0.0, self.magnitude, generator)
        sign_BR = 1.0 - 2.0 * draw_chance(batch * self.n_operations, 0.5, generator).reshape(shape).double()
        return self._join(pose, choice_BR, strength_BR * sign_BR, size), partial(self._operate, choice_BR, strength_BR)

    def _operate(self, choice_BR: Tensor, strength_BR: Tensor, y_BCHW: Tensor) -> Tensor:
        for choice_B, strength_B in zip(choice_BR.unbind(1), strength_BR.unbind(1), strict=True):
            for index, operation in enumerate(self.pool):
                if operation in OPERATIONS:
                    y_BCHW = _apply_to(y_BCHW, OPERATIONS[operation], choice_B == index, strength_B)
        return y_BCHW

    def _join(self, pose: Pose, choice_BR: Tensor, amount_BR: Tensor, size: int) -> Pose:
        total = {
            operation: (amount_BR * (choice_BR == self.pool.index(operation))).sum(1)
            if operation in self.pool
            else torch.zeros(len(amount_BR), dtype=amount_BR.dtype, device=amount_BR.device)
            for operation in GEOMETRIC
        }
        shear_B2 = _MAX_SHEAR * torch.stack([total["shear_columns"], total["shear_rows"]], -1)
        shift_B2 = _MAX_SHIFT * size * torch.stack([total["shift_columns"], total["shift_rows"]], -1)
        return replace(pose, shear_B2=shear_B2, shift_px_B2=shift_B2)


def _apply_to(x_BCHW: Tensor, operation, chosen_B: Tensor, strength_B: Tensor) -> Tensor:  # noqa: ANN001
    index_b = torch.nonzero(chosen_B)[:, 0]
    if index_b.numel() == 0:
        return x_BCHW
    strength_b = strength_B[index_b].to(x_BCHW.device)
    index_b = index_b.to(x_BCHW.device)
    return x_BCHW.index_copy(0, index_b, operation(x_BCHW[index_b], strength_b))
