"""Adapters between tensors and the libraries' typed tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from equirgz.backbones.reference.engines import Engine
from equirgz.backbones.reference.filters import refine_layer
from equirgz.geometry.field_type import FieldType


class ReferenceModule(nn.Module):
    """A module of escnn or e2cnn that takes and returns plain tensors.

    ``body`` is the library's module for inputs ``in_type``. Its filters are sampled anew whenever
    the module is moved or cast, so that float64 is exact; ``sampled`` lists each layer inside that
    holds samples, an equal layer of ours, and the matrix between their weights (None: no weights).
    """

    def __init__(
        self,
        engine: Engine,
        body: nn.Module,
        in_type: FieldType,
        sampled: list[tuple[nn.Module, nn.Module, np.ndarray | None]],
    ) -> None:
        super().__init__()
        self.engine_name = engine.name
        self.body = body
        self.in_type = in_type
        self._wrap = (engine.nn.GeometricTensor, body.in_type)
        self._sampled = sampled

    def forward(self, x_BCHW: Tensor) -> Tensor:
        geometric_tensor, in_type = self._wrap
        return self.body(geometric_tensor(x_BCHW, in_type)).tensor

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ReferenceModule:
        super()._apply(fn, recurse)
        training = self.body.training
        self.body.train()
        for layer, native, change in self._sampled:
            refine_layer(layer, native, change)
        self.body.train(training)
        return self

    def extra_repr(self) -> str:
        return self.engine_name


class TypedLayer(nn.Module):
    """Our layer in the place of a library's: a typed tensor in gives a typed tensor out, a plain one a plain one.

    It lets a network whose own ``forward`` wraps and unwraps typed tensors run on our layers.
    """

    def __init__(self, layer: nn.Module, out_type: Any) -> None:
        super().__init__()
        self.layer = layer
        self._out_type = (out_type,)

    def forward(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            return self.layer(x)
        return type(x)(self.layer(x.tensor), self._out_type[0])
