r"""Make any network invariant from outside: canonicalisation and averages over the group.

With a steerable scorer s (one number per group element, s_g(h x) = s_{h^-1 g}(x)), the learned way shows the
network one turned copy of the image (arXiv 2211.06489, 2310.01647), the other way all of them (the average
over the whole group, the frame of arXiv 2110.03336 that needs no choice):

    learned    y(x) = f(g*^-1 x),   g* = argmax_g s_g(x),        average    y(x) = mean_g f(g^-1 x).

h x has g* = h g*, and so the same copy: y(h x) = y(x), exactly for h on the pixel lattice, whatever f is. In
training, the gradient of the softmax of s stands for that of the argmax (straight through).
Where two scores are equal to rounding, the choice between them is too; the copies then differ only if the
scorer cannot tell them apart.
Legend: B batch, C channels, G group elements, S side in pixels, F features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from equirgz.backbones.arguments import check_whole
from equirgz.backbones.networks.convnext import ConvNeXtBlock
from equirgz.backbones.probe import check_network
from equirgz.errors import InputError, check_choice
from equirgz.geometry.action import warp
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group
from equirgz.nn import DiskMask, TurnedCopies, make_conv, make_layer_norm, make_pointwise_conv
from equirgz.nn.autocast import float32_in_autocast
from equirgz.nn.derived import DerivedBuffers

HOW = ("learned", "average")
OUTPUTS = ("invariant", "maps")


class OrientationScorer(DerivedBuffers):
    """Scores s_g(x) of every group element, (B, C, S, S) -> (B, G), a small steerable network on a coarse image.

    The disk of the image is averaged down to at most ``side`` pixels, by areas, which keeps quarter turns and
    flips at every size, odd or even; then come a lifting convolution, one ConvNeXt block, and the mean over space.
    """

    def __init__(self, group: Group, in_channels: int, image_size: int, fields: int = 8, side: int = 17) -> None:
        super().__init__()
        self.image_size, self.side = image_size, min(side, image_size)
        in_type, out_type = FieldType.trivial(group, in_channels), FieldType.regular(group, fields)
        self.mask = DiskMask(image_size)
        self.lift = make_conv(in_type, out_type, 5)
        self.block = ConvNeXtBlock(out_type, 5, 2.0, "layer", None)
        self.norm = make_layer_norm(out_type)
        self.score = make_pointwise_conv(out_type, FieldType.regular(group, 1))
        self.register_derived()

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the share of each pixel in each coarse one, along one axis."""
        edge = np.arange(self.side + 1) * self.image_size / self.side
        pixel = np.arange(self.image_size)
        share_RS = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
        share_RS = np.clip(share_RS, 0.0, None) * self.side / self.image_size
        return {"share_RS": torch.from_numpy((share_RS + share_RS[::-1, ::-1]) / 2)}

    @float32_in_autocast  # rounding would choose anew
    def forward(self, x_BCSS: Tensor) -> Tensor:
        coarse_BCRR = self.share_RS @ self.mask(x_BCSS) @ self.share_RS.T
        maps_BCRR = self.norm(self.block(torch.relu(self.lift(coarse_BCRR))))
        return self.score(maps_BCRR).mean((-2, -1))


class Canonicaliser(nn.Module):
    """Choose one turned copy of each image, or give all of them.

    ``how`` "learned" has an :class:`OrientationScorer`. Where the group leaves the pixel lattice, images are cut
    to their disk first, since corners that an element turns away would tell which one it was.
    """

    def __init__(self, group: Group, in_channels: int, image_size: int, how: str) -> None:
        super().__init__()
        self.group = group
        on_lattice = all(group.is_lattice(g) for g in range(group.order))
        self.mask: nn.Module = nn.Identity() if on_lattice else DiskMask(image_size)
        self.copies = TurnedCopies(group, image_size)
        self.scorer = OrientationScorer(group, in_channels, image_size) if how == "learned" else None

    def all_copies(self, x_BCSS: Tensor) -> Tensor:
        """Return every copy g^-1 x, (B * G, C, S, S)."""
        return self.copies(self.mask(x_BCSS)).flatten(0, 1)

    def forward(self, x_BCSS: Tensor) -> tuple[Tensor, Tensor]:
        """Return the copies that the scorer chose, (B, C, S, S), and the numbers of their elements, (B,)."""
        copies_BGCSS = self.copies(self.mask(x_BCSS))
        score_BG = self.scorer(x_BCSS)
        element_B = score_BG.argmax(1)
        index = element_B[:, None, None, None, None].expand(-1, 1, *copies_BGCSS.shape[2:])
        chosen_BCSS = copies_BGCSS.gather(1, index)[:, 0]
        if self.training:
            share_BG = score_BG.softmax(1).to(copies_BGCSS.dtype)
            through_BG = share_BG - share_BG.detach()  # 0, with the gradient of the softmax
            chosen_BCSS = chosen_BCSS + torch.einsum("bg,bgcij->bcij", through_BG, copies_BGCSS)
        return chosen_BCSS, element_B

    def turn_back(self, maps_BCHW: Tensor, element_B: Tensor) -> Tensor:
        """Return g x for maps of the copies g^-1 x, and g as numbered for each of them."""
        n_rotations = self.group.n_rotations
        angle_deg_B = (element_B % n_rotations) * (360.0 / n_rotations)
        return warp(maps_BCHW, angle_deg_B.cpu(), (element_B >= n_rotations).cpu())


class Canonicalised(nn.Module):
    """What :func:`canonicalise` returns: images (B, C, S, S) to what the network inside gives, made symmetric.

    Attributes: ``module`` is that network, ``group``, ``image_size``.
    """

    def __init__(
        self, module: nn.Module, group: Group, image_size: int, in_channels: int, how: str, outputs: str
    ) -> None:
        super().__init__()
        self.group, self.image_size, self.how, self.outputs = group, image_size, how, outputs
        self.canonicaliser = Canonicaliser(group, in_channels, image_size, how)
        self.module = module

    def log_probabilities(self, x_BCSS: Tensor) -> Tensor:
        """Return log softmax of the scores, (B, G); minus the mean of column 0 is the loss that keeps images as
        they are (the prior of arXiv 2310.01647). Raises InputError where nothing is learned."""
        if self.canonicaliser.scorer is None:
            raise InputError("log_probabilities", expected="how='learned'", got="how='average'")
        return self.canonicaliser.scorer(x_BCSS).log_softmax(1)

    def forward(self, x_BCSS: Tensor) -> Tensor:
        if self.how == "learned":
            copy_BCSS, element_B = self.canonicaliser(x_BCSS)
            y = self.module(copy_BCSS)
            return self.canonicaliser.turn_back(y, element_B) if self.outputs == "maps" else y
        y = self.module(self.canonicaliser.all_copies(x_BCSS))
        if self.outputs == "maps":
            element_M = torch.arange(self.group.order).repeat(x_BCSS.shape[0])
            y = self.canonicaliser.turn_back(y, element_M)
        return y.unflatten(0, (-1, self.group.order)).mean(1)

    def extra_repr(self) -> str:
        return f"{self.group}, how={self.how}, outputs={self.outputs}"


def canonicalise(
    module: nn.Module,
    group: Group | str,
    image_size: int = 65,
    in_channels: int = 1,
    how: str = "learned",
    outputs: str = "invariant",
) -> Canonicalised:
    """Return ``module`` made invariant under ``group``, exactly for quarter turns and flips.

    Parameters
    ----------
    module : any network from images (B, in_channels, image_size, image_size) to one output per image.
    group : "C4", "D8", ..., or a Group.
    how : "learned" shows it one copy of each image, chosen by a scorer that is trained along; "average" shows
        it all |G| copies and takes the mean.
    outputs : "invariant" for vectors (features, logits); "maps" for (B, C, H, W), which turn with the image.

    The network is probed first, in a copy in eval mode. Raises InputError where it changes the order of a
    batch, holds state across samples, draws random numbers in eval mode, or lets one image see another.

    >>> from equirgz import create_backbone
    >>> canonicalise(create_backbone("lenet", image_size=33), "D4", image_size=33)(torch.zeros(2, 1, 33, 33)).shape
    torch.Size([2, 84])
    """
    group = get_group(group)
    check_choice("canonicalise how", how, HOW)
    check_choice("canonicalise outputs", outputs, OUTPUTS)
    image_size = check_whole("canonicalise image_size", image_size)
    in_channels = check_whole("canonicalise in_channels", in_channels)
    if not isinstance(module, nn.Module):
        raise InputError("canonicalise", expected="a torch.nn.Module", got=f"a {type(module).__name__}")
    tensor = check_network("canonicalise", module, (in_channels, image_size, image_size), 2 if outputs != "maps" else 4)
    wrapped = Canonicalised(module, group, image_size, in_channels, how, outputs)
    wrapped.canonicaliser.to(tensor)
    return wrapped.train(module.training)
