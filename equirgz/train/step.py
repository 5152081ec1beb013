"""One step of a training as a forward pass, and what tells one training from another."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from equirgz.backbones.structure import describe_layer
from equirgz.config import TrainConfig
from equirgz.objectives.base import Batch, Objective
from equirgz.records import content_hash
from equirgz.train.images import TrainImages


class Sealed:
    """Holds a batch that Fabric passes on as it is: labels and votes must not be rounded to bfloat16."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch


class Step(nn.Module):
    """The training step as a forward pass, so that autocast and DDP apply to it."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, sealed: Sealed, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        return self.objective.training_step(sealed.batch, step, n_steps)


def fingerprint(objective: Objective, images: TrainImages, config: TrainConfig, seed: int, world_size: int) -> str:
    """Hash what determines a training, apart from the values of the initial weights."""
    frozen = [name for name, p in objective.backbone.named_parameters() if not p.requires_grad]
    return content_hash(
        ({"frozen": frozen} if frozen else {})
        | {
            "config": config.model_dump(mode="json"),
            "seed": seed,
            "data": images.checksum(),
            "objective": type(objective).__name__,
            "layers": [(name, *describe_layer(module)) for name, module in objective.named_modules()],
            "shapes": {name: list(value.shape) for name, value in objective.state_dict().items()},
            "processes": world_size,
        }
    )
