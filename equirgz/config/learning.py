"""What is learnt and how: the network, the task, the objective, and one training with its optimiser."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from equirgz.config.section import Section
from equirgz.registry import default_group


class BackboneConfig(Section):
    """A registered backbone and what ``create_backbone`` is told.

    Without a ``group``, or with null, the configuration holds the default of its backbone, D4 or C1
    (:func:`~equirgz.registry.default_group`), and so does the run's key.
    """

    name: str = Field("steerable_lenet", description="registered backbone")
    group: str = Field(
        None,
        description="C_N: N turns; D_N: N turns and flips; unset: D4 for a steerable backbone, C1 for a plain one",
    )
    width: float | None = Field(None, gt=0, description="multiplier of the default field counts")
    match: str | None = Field(None, description="params:NAME, flops:NAME or activations:NAME")
    engine: Literal["native", "escnn", "e2cnn"] = Field("native", description="library that computes the layers")
    params: dict[str, Any] = Field(default_factory=dict, description="options of the backbone")

    @model_validator(mode="before")
    @classmethod
    def _resolve_group(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or fields.get("group") is not None:
            return fields
        return {**fields, "group": default_group(fields.get("name", cls.model_fields["name"].default))}


class ObjectiveConfig(Section):
    """A registered objective and its options."""

    name: str = Field("supervised", description="registered objective")
    params: dict[str, Any] = Field(default_factory=dict, description="options of the objective")


class TaskConfig(Section):
    """A registered task, what the network is asked of each source, and its options (:mod:`equirgz.tasks`)."""

    name: str = Field("classification", description="registered task: what the network answers for a source")
    params: dict[str, Any] = Field(default_factory=dict, description="options of the task, such as its columns")


class OptimizerConfig(Section):
    """Optimiser and learning-rate schedule of one training."""

    name: Literal["adamw", "sgd"] = Field("adamw", description="AdamW (arXiv 1711.05101) or SGD with momentum")
    lr: float = Field(2e-3, gt=0, description="learning rate at the end of the warm-up")
    weight_decay: float = Field(
        1e-2, ge=0, description="decoupled decay per unit of learning rate; not of norms, biases"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD only")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="of the learning rate; cosine ends at 0")
    warmup_steps: int = Field(0, ge=0, description="linear rise to lr; reaches lr exactly at its end")
    layer_decay: float = Field(1.0, gt=0, le=1, description="learning-rate factor per block from the top")
    clip_norm: float | None = Field(
        None, gt=0, description="largest norm of the gradient; larger ones are scaled to it"
    )


class TrainConfig(Section):
    """One training: ``steps`` optimiser updates on batches of ``batch_size`` sources.

    With ``ema`` the moving average of the weights is validated and kept (:mod:`equirgz.train.average`); unset, it is no
    part of a run's identity.
    """

    steps: int = Field(600, ge=1, description="optimiser updates")
    batch_size: int = Field(64, ge=1, description="sources in a batch, over all processes")
    augmentation: str = Field("rotation_flips", description="registered augmentation of the training views")
    augmentation_params: dict[str, Any] = Field(default_factory=dict, description="options of the augmentation")
    optimizer: OptimizerConfig = Field(OptimizerConfig(), description="optimiser and schedule")
    selection_rule: Literal["last_step", "best_val"] = Field(
        "last_step", description="weights that are evaluated; best_val needs split.n_val, never the test set"
    )
    eval_every: int = Field(0, ge=0, description="validate every so many steps; 0: at the end only")
    precision: Literal["32-true", "64-true", "bf16-mixed"] = Field("32-true", description="of weights and arithmetic")
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay per update of the moving average of the weights, which is kept",
    )

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        return {key: value for key, value in fields.items() if key != "ema" or value is not None}
