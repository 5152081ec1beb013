"""Numbers per source or pixel, learnt in units of the training set. Legend: B batch, N sources, O outputs."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equirgz.objectives.heads.base import HEADS, Head, mean_of_known
from equirgz.objectives.precision import widen
from equirgz.tasks import Task


class StandardisedHead(Head):
    """Abstract: ``output = centre + scale raw``, centre and scale of each output those of the training set.

    They are the mean and standard deviation (1 where it is 0) of :meth:`learnt`, buffers that :meth:`learn` sets, so
    that they are saved with the weights and a loss of 1 is that of always giving the mean.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.register_buffer("centre_O", torch.zeros(task.n_outputs))
        self.register_buffer("scale_O", torch.ones(task.n_outputs))

    def learnt(self, target_N: np.ndarray) -> np.ndarray:
        """Return what a network learns of the targets, outputs on axis 1, NaN where missing."""
        return np.asarray(target_N, np.float64)

    def learn(self, target_N: np.ndarray) -> None:
        output_NO = np.moveaxis(self.learnt(target_N), 1, -1).reshape(-1, self.task.n_outputs)
        centre_O, scale_O = np.nanmean(output_NO, 0), np.nanstd(output_NO, 0)
        self.centre_O.copy_(torch.from_numpy(centre_O))
        self.scale_O.copy_(torch.from_numpy(np.where(scale_O > 0, scale_O, 1.0)))

    def answer(self, raw_B: Tensor) -> Tensor:
        centre, scale = self._shaped(raw_B)
        return centre + scale * raw_B

    def errors(self, raw_B: Tensor, target_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return raw outputs less the standardised targets (0 where missing), and where these are known."""
        centre, scale = self._shaped(raw_B)
        output_B = torch.from_numpy(self.learnt(target_B.detach().cpu().numpy())).to(raw_B)
        known_B = torch.isfinite(output_B)
        return torch.where(known_B, raw_B - (output_B.nan_to_num() - centre) / scale, 0), known_B

    def _shaped(self, raw_B: Tensor) -> tuple[Tensor, Tensor]:
        shape = (1, -1, *(1 for _ in raw_B.shape[2:]))
        return self.centre_O.to(raw_B).view(shape), self.scale_O.to(raw_B).view(shape)


@HEADS.register("regression")
class RegressionHead(StandardisedHead):
    """Smooth L1 of standardised outputs: ``e^2 / 2`` for ``|e| < 1``, else ``|e| - 1/2``, mean over what is known.

    Circular quantities are learnt as cosine and sine of their phase, others as they are or as log10.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.register_buffer("circular_O", torch.tensor(task.is_circular()))

    def learnt(self, target_N: np.ndarray) -> np.ndarray:
        return self.task.encode(target_N)

    def learn(self, target_N: np.ndarray) -> None:
        super().learn(target_N)
        self.centre_O[self.circular_O], self.scale_O[self.circular_O] = 0.0, 1.0

    def loss(self, raw_B: Tensor, target_B: Tensor) -> Tensor:
        error_BO, known_BO = self.errors(widen(raw_B), target_B)
        return mean_of_known(F.smooth_l1_loss(error_BO, torch.zeros_like(error_BO), reduction="none"), known_BO)


@HEADS.register("image_to_image")
class ImageHead(StandardisedHead):
    """The mean squared error of standardised images over the pixels that are known."""

    def loss(self, raw_B: Tensor, target_B: Tensor) -> Tensor:
        error_BOHW, known_BOHW = self.errors(widen(raw_B), target_B)
        return mean_of_known(error_BOHW.square(), known_BOHW)
