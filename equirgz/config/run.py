"""Run configurations: validated, hashable, and free of anything that is not science.

A *run* is one :class:`RunConfig`. Its ``run_key`` is the hash of all its fields; where data lie,
which device computes and how many jobs run are not fields. Unknown keys are errors that name the
nearest valid key. A *grid* is a base run and axes over dotted keys (see :mod:`equirgz.grid.plan.grid`).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from equirgz.config.learning import BackboneConfig, ObjectiveConfig, TaskConfig, TrainConfig
from equirgz.config.section import Section, explain_validation
from equirgz.config.sources import DataConfig, SplitConfig
from equirgz.config.stages import JointConfig, PretrainConfig, check_stages, inherit_pixels
from equirgz.errors import InputError
from equirgz.records import content_hash

Further = Literal[
    "anomalies", "attention", "class_shares", "clusters", "conformal", "imaging", "masks", "neighbours", "outside",
    "pruning", "residual", "sizes", "source_rotation", "spectra", "turned_queries",
]  # fmt: skip


class EvaluationConfig(Section):
    """What is measured once a run is trained.

    ``temperature``, ``vector``, ``platt`` and ``isotonic`` are the network's probabilities mended by what its
    validation sources (``split.n_val``) say of them (:mod:`equirgz.metrics.calibration.recalibration`).
    ``probe`` is logistic regression on the features, its penalty chosen inside the labelled sources (or
    ``probe_penalty``); after a training without labels batch norm is settled on the target's plain training images
    first (``settle_batch_norm``), and the untrained network of the same seed is read out beside it.
    ``linear_probe`` has the penalty C = 1 and no such care, as in the first results. ``zero_shot`` are the answers of
    the head that the last stage of a pre-training learnt, on its own data, for classes of the same names. ``further``
    names what costs extra time and is measured only where asked for (:mod:`equirgz.grid.further`). Unset, the three
    options are no part of a run's identity.
    """

    readouts: tuple[str, ...] = Field(
        ("network",),
        description="network, temperature, vector, platt, isotonic, probe, knn, linear_probe, zero_shot",
    )
    rotation_angles: int = Field(24, ge=1, description="angles of the rotation curve over 360 degrees")
    views: int = Field(1, ge=1, description="test-time views averaged in probability")
    probe_penalty: Literal["cv"] | float = Field(
        "cv", description="C of the read-out probe, above 0, or cv: by cross-validation inside the labelled sources"
    )
    settle_batch_norm: bool = Field(True, description="with probe: bring batch norm to the target's plain images")
    further: tuple[Further, ...] = Field((), description="what else is measured on the trained network")

    @model_validator(mode="after")
    def _positive_penalty(self) -> EvaluationConfig:
        if self.probe_penalty != "cv" and not 0 < self.probe_penalty < float("inf"):
            raise ValueError(f"expected probe_penalty cv or a number above 0, got {self.probe_penalty}")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        younger = ("probe_penalty", "settle_batch_norm")
        unset = {key for key in younger if fields.get(key) == type(self).model_fields[key].default}
        unset |= set() if self.further else {"further"}
        return {key: value for key, value in fields.items() if key not in unset}


class RunConfig(Section):
    """Everything that determines the numbers of one run.

    Classification, the default task, is no part of a run's identity, and neither is ``joint`` where it is unset.
    """

    data: DataConfig = Field(DataConfig(), description="sources and their pixels")
    task: TaskConfig = Field(TaskConfig(), description="what the network is asked of each source")
    split: SplitConfig = Field(SplitConfig(), description="who is labelled, and who tests")
    backbone: BackboneConfig = Field(BackboneConfig(), description="the network")
    objective: ObjectiveConfig = Field(ObjectiveConfig(), description="the training method")
    train: TrainConfig = Field(TrainConfig(), description="the training")
    pretrain: PretrainConfig | tuple[PretrainConfig, ...] | None = Field(
        None, description="training before it: a stage, or a list of stages in a row; usually without labels"
    )
    joint: JointConfig | None = Field(None, description="labelled sources of another set in every batch of `train`")
    evaluation: EvaluationConfig = Field(EvaluationConfig(), description="what is measured")
    seed: int = Field(0, ge=0, description="weights, batches, views and samples; everything but the split")

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        if fields.get("joint") is not None:
            fields = {**fields, "joint": inherit_pixels(fields["joint"], fields.get("data"))}
        stages = fields.get("pretrain")
        if not isinstance(stages, (list, tuple)):
            return fields if stages is None else {**fields, "pretrain": inherit_pixels(stages, fields.get("data"))}
        if not stages:
            raise ValueError("expected at least one stage in pretrain, got an empty list; leave it out for none")
        stages = [inherit_pixels(stage, fields.get("data")) for stage in stages]
        return {**fields, "pretrain": stages if len(stages) > 1 else stages[0]}

    @model_validator(mode="after")
    def _check_stages(self) -> RunConfig:
        check_stages(self.stages, self.joint, self.data)
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        if self.task == TaskConfig():
            fields.pop("task", None)
        if self.joint is None:
            fields.pop("joint", None)
        return fields

    @property
    def stages(self) -> tuple[PretrainConfig, ...]:
        """The stages of the pre-training, in their order; none without one."""
        if self.pretrain is None:
            return ()
        return self.pretrain if isinstance(self.pretrain, tuple) else (self.pretrain,)

    def run_key(self) -> str:
        """Return the identity of this run: the hash of every scientific field."""
        return content_hash(self.model_dump(mode="json"))

    def cell_key(self) -> str:
        """Return the identity shared by runs that differ only in ``seed``, ``split_seed`` and ``fold``."""
        return content_hash(self.shared_fields())

    def shared_fields(self) -> dict[str, Any]:
        """Return the fields that all runs of a cell have in common."""
        fields = self.model_dump(mode="json")
        del fields["seed"], fields["split"]["split_seed"]
        fields["split"].pop("fold", None)
        return fields


def parse_run(fields: dict[str, Any], source: str = "run configuration") -> RunConfig:
    """Validate ``fields``; raise InputError that names ``source``, the key, what was expected and found."""
    try:
        return RunConfig.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{source}: {explain_validation(error, RunConfig)}") from error
