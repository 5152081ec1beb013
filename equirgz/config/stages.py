"""What comes before the training of a run, stage by stage, or beside it, with sources of its own."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from equirgz.config.learning import ObjectiveConfig, TaskConfig, TrainConfig
from equirgz.config.section import Section
from equirgz.config.sources import DataConfig

#: keys of ``data`` that say how pixels reach the network; unset in a stage they are those of the run
PIXELS = ("image_size", "crop", "crop_arcsec", "stretch", "softening", "mask", "normalise")
#: a key of them that is set in a stage settles these too
TOGETHER = {"crop": "crop_arcsec", "crop_arcsec": "crop", "stretch": "softening"}


class PretrainConfig(Section):
    """One stage of pre-training: a training of its own before that of the run, or a saved encoder to start from.

    Without ``data`` a stage sees the run's unlabelled sources (or its training sources without their labels), and its
    objective needs no labels. With ``data`` it sees all training sources of that set, labels and the columns of its
    table included, so that any objective and ``task`` will do; what the run tests and validates on is refused there.
    Keys of ``data`` on pixels (size, crop, stretch, mask, normalise) are those of the run unless they are set. With
    ``seed`` the stage, and as the first one the network's initial weights, are the same for all runs, which share it.
    Unset, the younger keys are no part of a run's identity.
    """

    encoder: str | None = Field(None, description="name of a shipped encoder, or path of a saved one; the whole stage")
    data: DataConfig | None = Field(None, description="sources of this stage; unset: the run's, without labels")
    task: TaskConfig | None = Field(None, description="what the network is asked of them; unset: their class")
    objective: ObjectiveConfig = Field(
        ObjectiveConfig(name="byol"), description="an objective; without data, one without labels"
    )
    train: TrainConfig = Field(TrainConfig(), description="the training of this stage")
    seed: int | None = Field(None, ge=0, description="of this stage, shared by all runs; unset: the run's seed")

    @model_validator(mode="after")
    def _whole(self) -> PretrainConfig:
        beside = sorted(self.model_fields_set - {"encoder"})
        if self.encoder is not None and beside:
            raise ValueError(f"expected encoder alone, got {beside[0]} beside it; train on in a stage after it")
        if self.task is not None and self.data is None:
            raise ValueError("expected data beside task, got none; the run's own sources come without targets")
        if self.data is not None and self.data.extra_tests:
            raise ValueError("expected data without extra_tests, got some; a stage is not tested")
        if self.data is not None and self.train.selection_rule == "best_val":
            raise ValueError(
                "expected train.selection_rule last_step with data, got best_val; there is no validation set"
            )
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        if self.encoder is not None:
            return {"encoder": self.encoder}
        younger = ("encoder", "data", "task", "seed")
        return {key: value for key, value in fields.items() if key not in younger or value is not None}


class JointConfig(Section):
    """Labelled sources of another set in every batch of a run's own training, such as simulated ones beside few real.

    Their classes are matched by name with the run's; those that the run does not know are left out. Keys of ``data`` on
    pixels are those of the run unless they are set. What the run tests and validates on is refused there.
    """

    data: DataConfig = Field(description="the other set, all of whose training sources are used")
    share: float = Field(0.5, gt=0, lt=1, description="part of every batch that comes from it")

    @model_validator(mode="after")
    def _labelled_alone(self) -> JointConfig:
        if self.data.extra_tests or self.data.unlabelled is not None:
            raise ValueError("expected data without extra_tests and unlabelled, got some; it gives training sources")
        return self


def inherit_pixels(stage: Any, data: Any) -> Any:
    """Return the fields of a stage as they were given, with the run's settings of pixels where it has none."""
    own = stage.get("data") if isinstance(stage, dict) else None
    if not (isinstance(own, dict) and isinstance(data, dict)):
        return stage
    settled = {*own, *(TOGETHER[key] for key in own if key in TOGETHER)}
    given = {key: data[key] for key in PIXELS if key in data and key not in settled}
    return {**stage, "data": {**given, **own}}


def check_stages(stages: tuple[PretrainConfig, ...], joint: JointConfig | None, data: DataConfig) -> None:
    """Raise ValueError for an encoder after other stages, and for images of another size than the run's."""
    sizes = {} if joint is None else {"joint": joint.data.image_size}
    for place, stage in enumerate(stages):
        where = "pretrain" if len(stages) == 1 else f"pretrain.{place}"
        if stage.encoder is not None and place:
            raise ValueError(f"expected an encoder as the first stage, got {where}.encoder; it would undo those before")
        if stage.data is not None:
            sizes[where] = stage.data.image_size
    for where, size in sizes.items():
        if size != data.image_size:
            raise ValueError(f"expected {where}.data.image_size {data.image_size} as the run's, got {size}")
