"""``to_plain``: the same network out of ordinary torch.nn layers, for export and deployment.

Every steerable layer knows its ordinary twin by its method ``to_plain`` (expanded Conv2d, repeated
BatchNorm2d or LayerNorm, fixed depthwise Conv2d, pooling over the group as MaxPool3d), so that every module
without children is one of torch.nn's own, but for :data:`WITHOUT_TWIN`, which torch.nn has no layer for:

* DiskMask, SoftDiskMask: the product of the image and a fixed image;
* SkipConcat: several maps side by side, ``torch.cat``;
* TurnedCopies: quarter turns, flips, and ``torch.nn.functional.grid_sample`` at fixed places;
* PowerSpectrum: lengths of the coordinates that a fixed matrix gives of each field;
* RelativeAttention: softmax attention over positions and group elements with a table of biases,
  ``torch.nn.functional.scaled_dot_product_attention`` of three stacks of maps;
* PositionAttention: the same over positions alone, with biases that fields steer.

They consist of ordinary torch operators, as the wiring between the layers does. The result needs
nothing of equirgz to run once exported, and gives the same outputs in eval mode.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from equirgz.backbones.reference.convert import native_twin
from equirgz.backbones.wrapped import copy_network, find_backbone, is_encoder, make_weights_plain
from equirgz.errors import InputError, require_package

WITHOUT_TWIN = (
    "DiskMask",
    "SoftDiskMask",
    "SkipConcat",
    "TurnedCopies",
    "PowerSpectrum",
    "RelativeAttention",
    "PositionAttention",
)


class PlainEncoder(nn.Module):
    """Images (B, C, H, W) to features (B, num_features), or logits, through ordinary layers, in eval mode only.

    What a network takes besides, such as noise levels, follows the images.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.num_features = network.num_features

    def forward(self, x_BCHW: Tensor, *others: Tensor) -> Tensor:
        return self.network.answer(x_BCHW, *others)

    def forward_maps(self, x_BCHW: Tensor, *others: Tensor) -> Tensor:
        """Return the equivariant maps (B, fields, |G|, H', W'), as the network did."""
        return self.network.maps(x_BCHW, *others).unflatten(1, (-1, self.network.group.order))


def to_plain(backbone: nn.Module) -> PlainEncoder:
    """Return ``backbone`` with every steerable layer replaced by its ordinary twin, in eval mode.

    The outputs agree to 1e-5 (float32) and the original is left as it is. Wrappers are taken off, and pruned
    or parametrized weights become the numbers that they are. Batch norms keep their
    running statistics; dropout vanishes. The shape check of the input is left out: a traced graph
    has a fixed image size anyway.
    """
    plain = make_weights_plain(copy_network(native_twin(find_backbone(backbone, "to_plain"))))
    _replace(plain)
    for parameter in plain.parameters():
        parameter.requires_grad_(False)
    return PlainEncoder(plain).eval()


def _replace(module: nn.Module) -> None:
    """Put the twin of every layer that knows one in its place; a backbone inside stays one, of ordinary layers."""
    for name, child in module.named_children():
        if hasattr(child, "to_plain") and not is_encoder(child):
            setattr(module, name, child.to_plain().eval())
        else:
            _replace(child)


def export_onnx(plain: PlainEncoder, path: Any, image_size: int | None = None, in_channels: int | None = None) -> None:
    """Write ``plain`` as one ONNX file in float32 with a dynamic batch (extra ``onnx``).

    Inputs ``images`` (B, C, H, W), output ``features`` (B, F), on the CPU; a network of another dtype is
    copied to float32, which every runtime has. ``image_size`` and ``in_channels`` are the network's own
    and need not be given. Needs onnx and onnxscript.

    Raises InputError for another size or number of channels than the network's, and MissingPackageError.
    """
    for package in ("onnx", "onnxscript"):
        require_package(package, "export_onnx")
    network = plain.network
    given = {"image_size": image_size, "in_channels": in_channels}
    for what, value in given.items():
        if value not in (None, getattr(network, what)):
            mend = f"leave {what} out, or build the backbone with it"
            raise InputError(f"export_onnx {what}", expected=getattr(network, what), got=value, mend=mend)
    example = network.make_example()
    batch = torch.export.Dim("batch", min=1)
    torch.onnx.export(
        copy.deepcopy(plain).to(device="cpu", dtype=torch.float32),
        (example,),
        str(path),
        input_names=["images"],
        output_names=["features"],
        dynamic_shapes=({0: batch},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
