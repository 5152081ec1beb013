"""What every backbone is: images in, equivariant maps inside, one feature vector out."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from equirgz.backbones.arguments import check_whole
from equirgz.backbones.hub import HubMethods
from equirgz.backbones.levels import FeatureInfo, Level
from equirgz.errors import ImageError, InputError
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group
from equirgz.images import guess_mend
from equirgz.registry import STEERABLE, Registry


class BackboneRegistry(Registry):
    """A registry that holds to one rule: who takes a ``group`` is called ``steerable_...``, and nobody else is.

    Names alone then tell what ``group=None`` means, in a YAML too, where no network is imported.
    """

    def register(self, name: str) -> Callable[[Any], Any]:
        enter = super().register(name)

        def checked(factory: Any) -> Any:
            steerable = "group" in inspect.signature(factory).parameters
            if steerable != name.startswith(STEERABLE):
                expected = f"{'a' if steerable else 'no'} name that begins with {STEERABLE}"
                got = f"{name!r}, which takes {'a' if steerable else 'no'} group"
                raise InputError("backbone", expected=expected, got=got, mend="register it under another name")
            return enter(factory)

        return checked


BACKBONES: Registry = BackboneRegistry(
    "backbone",
    (
        "equirgz.backbones.networks.lenet",
        "equirgz.backbones.networks.resnet",
        "equirgz.backbones.networks.convnext",
        "equirgz.backbones.networks.attention",
        "equirgz.backbones.networks.transformer",
        "equirgz.backbones.networks.vit",
        "equirgz.backbones.networks.spectral",
        "equirgz.backbones.networks.canonical",
        "equirgz.backbones.networks.unet",
        "equirgz.backbones.networks.published",
    ),
)


LARGEST_LISTED_SIZE = 400


class Backbone(HubMethods, nn.Module):
    """Abstract backbone. A subclass sets ``num_features``, calls :meth:`check_size` and defines
    :meth:`maps`, :meth:`read_out` and :meth:`blocks`.

    Attributes
    ----------
    group : symmetry group G of the maps.
    image_size : side of the square input in pixels; other sizes are refused.
    takes_rows : whether the input are rows (B, C, 1, L) such as spectra, of any length, and no images.
    image_sizes : sides with which the same architecture can be built.
    num_features : length of the feature vector.
    is_invariant : whether the features claim to be invariant under the lattice elements of G.
    config : keyword arguments with which ``create_backbone`` builds this network again.
    facts : what was saved with the weights (training, preprocessing); empty for a network that was not loaded.
    num_classes, classifier : of a classifier on the features (:meth:`reset_classifier`); 0 and None without.
    """

    num_features: int
    num_classes: int = 0
    classifier: nn.Linear | None
    is_invariant: bool = True
    takes_rows: bool = False
    smallest_size: int = 1
    size_step: int = 1

    def __init__(self, group: Group, in_channels: int, image_size: int) -> None:
        super().__init__()
        self.group = group
        self.in_channels = check_whole("in_channels", in_channels)
        self.image_size = check_whole("image_size", image_size)
        self.config: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}
        self.classifier = None
        self._levels: list[Level] = []

    @property
    def in_chans(self) -> int:
        """Number of channels of the images; another word for ``in_channels``."""
        return self.in_channels

    @property
    def image_sizes(self) -> list[int]:
        """Sides in pixels, ascending, with which this architecture and group can be built, up to
        :data:`LARGEST_LISTED_SIZE` (larger ones of the same step are valid too).

        An invariant steerable network is exact on the pixel lattice at every one of them.
        """
        return list(range(self.smallest_size, LARGEST_LISTED_SIZE + 1, self.size_step))

    @property
    def shape_CHW(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one input."""
        return self.in_channels, 1 if self.takes_rows else self.image_size, self.image_size

    def make_example(self, n: int = 2, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return ``n`` inputs of fixed random numbers that this network takes, on the CPU."""
        return torch.randn(n, *self.shape_CHW, generator=torch.Generator().manual_seed(seed), dtype=dtype, device="cpu")

    def check_size(self, name: str, n_stride2: int, minimum: int, up_again: bool = False) -> None:
        """Declare the valid sizes and raise InputError unless ``image_size`` is one of them.

        With odd kernels, ``n_stride2`` stages of stride 2 keep quarter turns and flips exact where
        size = 1 mod 2^n_stride2: every subsampled grid then keeps a central pixel. A group without
        quarter turns and flips is held to ``minimum`` alone, but where maps come ``up_again`` to the size they had.
        """
        acts_on_lattice = any(self.group.is_lattice(g) for g in range(1, self.group.order))
        step = 2**n_stride2 if acts_on_lattice or up_again else 1
        smallest = math.ceil((minimum - 1) / step) * step + 1
        self.size_step, self.smallest_size = step, smallest
        size = self.image_size
        if size >= smallest and (size - 1) % step == 0:
            return
        if size < smallest:
            expected, nearest = f"at least {smallest}", [smallest]
        else:
            below = (size - 1) // step * step + 1
            why = "lead down and up again" if up_again else f"keep {self.group} exact"
            expected = f"1 mod {step} ({n_stride2} stages of stride 2 {why} only there)"
            nearest = [below, below + step]
        mend = f"use {' or '.join(map(str, nearest))}"
        raise InputError(f"{name} image_size", expected=expected, got=size, mend=mend)

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """Return the last maps, (B, fields * |G|, H', W')."""
        raise NotImplementedError

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        """Return features (B, num_features) of the last maps."""
        raise NotImplementedError

    def blocks(self) -> list[nn.Module]:
        """Return the parts that hold parameters, bottom to top (for per-block learning rates)."""
        raise NotImplementedError

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return the maps of every level (see ``levels``), of images whose shape was checked.

        A subclass that has more than its last maps says so here and by :meth:`add_level`.
        """
        return [self.maps(x_BCHW)]

    def add_level(self, module: str, field_type: FieldType, reduction: int) -> None:
        """Declare the next level of :meth:`stage_maps`: the module that ends it, its fields, its coarseness."""
        self._levels.append(Level(module, field_type, reduction))

    @property
    def levels(self) -> list[Level]:
        """The levels of :meth:`stage_maps`, from first to last maps: finest first, of a network that goes up again
        coarsest first; where none is declared, the last maps."""
        return list(self._levels) or [self._last_level()]

    def _last_level(self) -> Level:
        bare = copy.deepcopy(self).to("meta").eval()
        weight = next(bare.parameters())
        maps = bare.maps(torch.zeros(1, *self.shape_CHW, dtype=weight.dtype, device="meta"))
        kind = FieldType.trivial if maps.shape[1] % self.group.order else FieldType.regular
        count = maps.shape[1] // kind(self.group, 1).size
        return Level("maps", kind(self.group, count), max(1, round(self.image_size / maps.shape[-1])))

    @property
    def feature_info(self) -> FeatureInfo:
        """What each level holds: channels, reduction, module, fields (:mod:`equirgz.backbones.levels`)."""
        return FeatureInfo(self.levels)

    def attention_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return attention maps, one (B, 1, H, W) per gate; an empty list where there are none."""
        return []

    def forward_maps(self, x_BCHW: Tensor, *others: Tensor) -> Tensor:
        """Return equivariant maps (B, fields, |G|, H', W'); element order: geometry.group."""
        self.check_input(x_BCHW)
        return self.maps(x_BCHW, *others).unflatten(1, (-1, self.group.order))

    def features(self, x_BCHW: Tensor, *others: Tensor) -> Tensor:
        """Return features (B, num_features) of images whose shape was checked."""
        return self.read_out(self.maps(x_BCHW, *others))

    def answer(self, x_BCHW: Tensor, *others: Tensor) -> Tensor:
        """Return logits where there is a classifier, else features, of images whose shape was checked."""
        h_BF = self.features(x_BCHW, *others)
        return h_BF if self.classifier is None else self.classifier(h_BF)

    def forward(self, x_BCHW: Tensor, *others: Tensor) -> Tensor:
        """Return features h_BF (B, num_features), or with a classifier logits (B, num_classes).

        ``others`` are what :meth:`maps` takes besides the images, such as noise levels; most networks take nothing.
        """
        self.check_input(x_BCHW)
        return self.answer(x_BCHW, *others)

    def forward_features(self, x_BCHW: Tensor, *others: Tensor) -> Tensor:
        """Return the last maps as they are, (B, channels, H', W'); :meth:`forward_maps` tells the group apart."""
        self.check_input(x_BCHW)
        return self.maps(x_BCHW, *others)

    def forward_head(self, maps_BCHW: Tensor, pre_logits: bool = False) -> Tensor:
        """Return what :meth:`forward` makes of the last maps; ``pre_logits``: without the classifier.

        Raises InputError where the features are read from more than the last maps.
        """
        try:
            h_BF = self.read_out(maps_BCHW)
        except NotImplementedError:
            expected, got = "a network that reads its last maps alone", type(self).__name__
            raise InputError("forward_head", expected=expected, got=got, mend="call the network") from None
        return h_BF if self.classifier is None or pre_logits else self.classifier(h_BF)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a new linear classifier on the features, or with 0 take it away, so that features come out.

        Raises InputError for anything but a whole number, and for another pooling than the one built in.
        """
        if global_pool is not None:
            mend = "build the backbone with readout='mean', 'max' or 'mean_max'"
            raise InputError("global_pool", expected="None", got=repr(global_pool), mend=mend)
        self.num_classes = check_whole("num_classes", num_classes, minimum=0)
        weight = next(p for p in self.parameters() if p.is_floating_point())
        self.classifier = nn.Linear(self.num_features, self.num_classes).to(weight) if self.num_classes else None
        self.config.pop("num_classes", None)
        if self.num_classes and self.config:
            self.config["num_classes"] = self.num_classes

    def get_classifier(self) -> nn.Module:
        """Return the classifier, or the identity where there is none."""
        return nn.Identity() if self.classifier is None else self.classifier

    def to_plain(self) -> nn.Module:
        """Return the same encoder out of ordinary layers (see :mod:`equirgz.backbones.plain`)."""
        from equirgz.backbones.plain import to_plain

        return to_plain(self)

    def check_input(self, x_BCHW: Tensor) -> None:
        """Raise ImageError unless the batch is a tensor (B, in_channels, image_size, image_size) of the own type."""
        shape = self.shape_CHW
        expected = f"(B, {shape[0]}, {shape[1]}, {shape[2]})"
        if not torch.is_tensor(x_BCHW):
            mend = "equirgz.evaluate.embed(backbone, images) takes arrays and lists"
            raise ImageError("images", expected=f"a tensor {expected}", got=type(x_BCHW).__name__, mend=mend)
        if x_BCHW.dim() != 4 or tuple(x_BCHW.shape[1:]) != shape:
            mend = "crop or resample them, or build the backbone with that image_size and in_channels"
            if x_BCHW.dim() != 4 or x_BCHW.shape[1] != shape[0] or x_BCHW.shape[2] != x_BCHW.shape[3]:
                mend = f"{guess_mend(tuple(x_BCHW.shape), shape[0])}; {mend}"
            raise ImageError("images", expected=expected, got=tuple(x_BCHW.shape), mend=mend)
        if not torch.compiler.is_compiling():
            self._check_type(x_BCHW)

    def _check_type(self, x_BCHW: Tensor) -> None:
        if not x_BCHW.is_floating_point():
            mend = "integers from 0 to 255 become floats by images / 255"
            raise ImageError("images", expected="real floats", got=x_BCHW.dtype, mend=mend)
        weight = next((p for p in self.parameters() if p.is_floating_point()), x_BCHW)
        if weight.dtype != x_BCHW.dtype and not torch.is_autocast_enabled(x_BCHW.device.type):
            mend = f"use images.to({weight.dtype}) or backbone.to({x_BCHW.dtype})"
            raise ImageError("images", expected=f"{weight.dtype} as the weights", got=x_BCHW.dtype, mend=mend)


@torch.no_grad()
def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
