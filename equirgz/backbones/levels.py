"""The maps of a backbone at every level, first to last, as other code expects them: lists, and what they hold.

``create_backbone(NAME, features_only=True)`` gives a network that returns a list of maps, one per level, and
says by ``feature_info`` how many channels each has, by how much it is coarser than the image, which module
gave it, and which fields its channels are (after the customs of timm). Legend: B batch, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from equirgz.backbones.arguments import check_whole
from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType


@dataclass(frozen=True)
class Level:
    """One level: the module that ends it, the fields of its maps, and image pixels per pixel of the map."""

    module: str
    field_type: FieldType
    reduction: int


class FeatureInfo(list):
    """A list of dictionaries ``num_chs``, ``reduction``, ``module``, ``field_type``, one per level, first to last."""

    def __init__(self, levels: Sequence[Level]) -> None:
        super().__init__(
            {
                "num_chs": level.field_type.size,
                "reduction": level.reduction,
                "module": level.module,
                "field_type": level.field_type,
            }
            for level in levels
        )

    def channels(self, idx: int | None = None) -> Any:
        """Return the number of channels of every level, or of level ``idx``."""
        return self._of("num_chs", idx)

    def reduction(self, idx: int | None = None) -> Any:
        """Return how many times coarser than the image every level is, or level ``idx``."""
        return self._of("reduction", idx)

    def module_name(self, idx: int | None = None) -> Any:
        """Return the name of the module that gives every level, or level ``idx``."""
        return self._of("module", idx)

    def field_type(self, idx: int | None = None) -> Any:
        """Return the fields of every level, or of level ``idx``."""
        return self._of("field_type", idx)

    def get_dicts(self, keys: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return the dictionaries, with ``keys`` alone where given."""
        return [{k: v for k, v in entry.items() if keys is None or k in keys} for entry in self]

    def _of(self, key: str, idx: int | None) -> Any:
        return [entry[key] for entry in self] if idx is None else self[idx][key]


class FeatureMaps(nn.Module):
    """Images (B, C, S, S) to the list of equivariant maps of ``backbone`` at levels ``out_indices`` (None: all).

    Raises InputError for a level that the backbone does not have.
    """

    def __init__(self, backbone: nn.Module, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        levels = backbone.levels
        self.out_indices = tuple(_check_level(i, len(levels)) for i in out_indices or range(len(levels)))
        self.backbone = backbone
        self.feature_info = FeatureInfo([levels[i] for i in self.out_indices])

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        self.backbone.check_input(x_BCHW)
        maps = self.backbone.stage_maps(x_BCHW)
        return [maps[i] for i in self.out_indices]

    def to_plain(self) -> FeatureMaps:
        """Return the same network out of ordinary layers, in eval mode."""
        return FeatureMaps(self.backbone.to_plain().network, self.out_indices).eval()


def _check_level(index: object, count: int) -> int:
    number = check_whole("out_indices", index, minimum=-count)
    if number >= count:
        expected = f"levels 0 to {count - 1}"
        raise InputError("out_indices", expected=expected, got=number, mend="leave it out for all levels")
    return number % count
