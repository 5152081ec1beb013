"""A plain network made invariant from outside, as a backbone: canonicalisation, or the average over the group."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.backbones.canonical import HOW, Canonicaliser
from equirgz.errors import InputError, check_choice
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group
from equirgz.registry import STEERABLE, explained_by


class CanonicalBackbone(Backbone):
    """The plain backbone ``inner`` behind a :class:`equirgz.backbones.canonical.Canonicaliser`.

    Its features are those of the chosen copy, or the mean of those of all copies. Its maps are fields over the
    group, M(p, g) = [g . m(g^-1 x)](p) with the maps m of ``inner``; of a chosen copy, 0 for all other g.
    All sizes of ``inner`` are exact, odd or even.

    Parameters
    ----------
    inner : name of a registered plain backbone; ``width`` is its.
    how : "learned" (one copy of each image, chosen by a scorer that is trained along) or "average" (all of them).
    """

    def __init__(self, group: Group, in_channels: int, image_size: int, inner: str, how: str, width: float) -> None:
        super().__init__(group, in_channels, image_size)
        name = "steerable_canonical"
        if str(inner).startswith(STEERABLE):
            plain = ", ".join(n for n in BACKBONES.names() if not n.startswith(STEERABLE))
            raise InputError(f"{name} inner", expected=f"a plain backbone ({plain})", got=repr(inner))
        arguments: dict[str, Any] = {"in_channels": self.in_channels, "image_size": self.image_size, "width": width}
        self.how = check_choice(f"{name} how", how, HOW)
        self.inner = BACKBONES.create(inner, **arguments)
        self.canonicaliser = Canonicaliser(group, self.in_channels, self.image_size, how)
        self.num_features = self.inner.num_features
        for level in self.inner.levels:
            field_type = FieldType.regular(group, level.field_type.size)
            self.add_level(f"inner.{level.module}", field_type, level.reduction)

    @property
    def image_sizes(self) -> list[int]:
        """The sides with which ``inner`` can be built."""
        return self.inner.image_sizes

    def features(self, x_BCHW: Tensor) -> Tensor:
        if self.how == "learned":
            return self.inner.features(self.canonicaliser(x_BCHW)[0])
        h_MF = self.inner.features(self.canonicaliser.all_copies(x_BCHW))
        return h_MF.unflatten(0, (-1, self.group.order)).mean(1)

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        order = self.group.order
        if self.how == "learned":
            copy_BCHW, element_B = self.canonicaliser(x_BCHW)
            chosen_BG = nn.functional.one_hot(element_B, order).to(x_BCHW.dtype)
            turned = [self.canonicaliser.turn_back(maps, element_B) for maps in self.inner.stage_maps(copy_BCHW)]
            return [(maps[:, :, None] * chosen_BG[:, None, :, None, None]).flatten(1, 2) for maps in turned]
        element_M = torch.arange(order).repeat(len(x_BCHW))
        stages = self.inner.stage_maps(self.canonicaliser.all_copies(x_BCHW))
        turned = [self.canonicaliser.turn_back(maps, element_M) for maps in stages]
        return [maps.unflatten(0, (-1, order)).transpose(1, 2).flatten(1, 2) for maps in turned]

    def maps(self, x_BCHW: Tensor) -> Tensor:
        return self.stage_maps(x_BCHW)[-1]

    def blocks(self) -> list[nn.Module]:
        own = [self.canonicaliser] if self.how == "learned" else []
        return [*own, *self.inner.blocks()]


@BACKBONES.register("steerable_canonical")
@explained_by(CanonicalBackbone)
def steerable_canonical(
    group: str = "D4",
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    inner: str = "resnet18",
    how: str = "learned",
) -> Backbone:
    """A plain network made invariant from outside: learned canonicalisation (arXiv 2211.06489, 2310.01647), or
    the average over the group (arXiv 2110.03336).

    Exact on the lattice whatever the network is; :func:`equirgz.backbones.canonicalise` does it for one of yours.
    """
    return CanonicalBackbone(get_group(group), in_channels, image_size, inner, how, width)
