"""Run configurations: validated, hashable, and free of anything that is not science.

A *run* is one :class:`RunConfig`. Its ``run_key`` is the hash of all its fields; where data lie,
which device computes and how many jobs run are not fields. Unknown keys are errors that name the
nearest valid key. A *grid* is a base run and axes over dotted keys (see :mod:`equirgz.grid.plan.grid`).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from equirgz.config.section import Section, explain_validation
from equirgz.errors import InputError
from equirgz.records import content_hash
from equirgz.registry import default_group


class PoolConfig(Section):
    """One of several sets used without labels, and its share of every batch."""

    name: str = Field(description="registered dataset")
    share: float | None = Field(None, gt=0, description="part of every batch, relative to others; unset: by size")
    params: dict[str, Any] = Field(default_factory=dict, description="options of the set")


class DataConfig(Section):
    """Which sources are used and how their pixels reach the network.

    ``unlabelled_class_share`` thins the unlabelled set, or without one the training sources used without labels,
    to a class balance (see :mod:`equirgz.data.splits.class_share`). Their labels serve this
    selection alone and are discarded after it. ``unlabelled`` may be a list of sets with shares: every batch holds
    each of them in its share, or, where none has one, all of them as one set. ``unlabelled_with_train`` adds the
    training sources outside validation, without their labels, to the unlabelled set, as arXiv 2206.11927 trains.
    ``allow_unchecked`` takes sources whose overlap with the test set cannot be found. Unset, the three are no part of
    a run's identity.
    """

    name: str = Field("synthetic_fr", description="registered dataset, e.g. mirabest_confident")
    image_size: int = Field(65, ge=1, description="side of the network's input, pixels")
    crop: int | None = Field(None, ge=1, description="side cut from the centre before resampling; default: all")
    stretch: Literal["linear", "sqrt", "asinh"] = Field("sqrt", description="intensity stretch of [0, 1] images")
    crop_arcsec: float | None = Field(None, gt=0, description="in place of crop: side of the cut on the sky, arcsec")
    softening: float = Field(0.05, gt=0, description="of the asinh stretch, in the units of the images")
    mask: bool = Field(True, description="zero the corners outside the inscribed disk")
    normalise: bool = Field(True, description="divide by the root mean square of the training images")
    unlabelled: str | tuple[PoolConfig, ...] | None = Field(
        None, description="registered dataset used without labels, or a list of {name, share, params}"
    )
    unlabelled_params: dict[str, Any] = Field(default_factory=dict, description="options of the unlabelled set")
    unlabelled_class_share: dict[str, float] | None = Field(
        None,
        min_length=1,
        description="classes and the shares (above 0, at most 1 in all) to which the unlabelled set is thinned, "
        "e.g. {FRI: 0.3}; the other classes share the rest; None: as it is",
    )
    unlabelled_with_train: bool = Field(False, description="add the training sources to the unlabelled set")
    extra_tests: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="other test sets: datasets by name, or name inside, with options"
    )
    drop_leaks: bool = Field(False, description="drop leaking unlabelled and extra test sources; else refuse")
    allow_unchecked: bool = Field(False, description="take sources that cannot be compared with the test set")
    params: dict[str, Any] = Field(default_factory=dict, description="options of the dataset")

    @model_validator(mode="after")
    def _one_meaning(self) -> DataConfig:
        if self.crop is not None and self.crop_arcsec is not None:
            raise ValueError("expected crop or crop_arcsec, got both; leave one out (crop: null)")
        shares = (self.unlabelled_class_share or {}).values()
        if not all(share > 0 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ValueError("expected unlabelled_class_share of numbers above 0 that add up to at most 1")
        if self.unlabelled_with_train and self.unlabelled is None:
            raise ValueError("expected unlabelled with unlabelled_with_train; without it the training sources are all")
        if isinstance(self.unlabelled, tuple):
            self._check_pools(self.unlabelled)
        return self

    def _check_pools(self, pools: tuple[PoolConfig, ...]) -> None:
        shared = [pool.share is not None for pool in pools]
        if not pools:
            raise ValueError("expected at least one set in unlabelled; leave it out for none")
        if any(shared) and not all(shared):
            raise ValueError("expected a share for every set in unlabelled, or for none")
        if any(shared) and self.unlabelled_with_train:
            raise ValueError("expected unlabelled sets without shares with unlabelled_with_train")
        if self.unlabelled_params or self.unlabelled_class_share is not None:
            raise ValueError(
                "expected params in the list unlabelled, without unlabelled_params, unlabelled_class_share"
            )

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        younger = ("crop_arcsec", "softening", "unlabelled_class_share", "unlabelled_with_train", "allow_unchecked")
        unset = {key for key in younger if fields.get(key) == type(self).model_fields[key].default}
        return {key: value for key, value in fields.items() if key not in unset}


class SplitConfig(Section):
    """Which training sources carry labels; depends on ``split_seed`` alone.

    With ``fold`` and ``n_folds`` training and test sources are pooled, and the run is tested on one of
    ``n_folds`` parts and trained on the others: see :func:`equirgz.data.splits.folds.make_folds`. With ``hold_out``
    it is tested on training sources and the test set is not used, as a search for a recipe must: see
    :func:`equirgz.data.splits.folds.hold_out`. Unset, the three are no part of a run's identity.
    """

    n_labels: int | None = Field(None, ge=1, description="labelled training sources; None: all")
    n_val: int = Field(0, ge=0, description="training sources held out for validation")
    split_seed: int = Field(
        0, ge=0, description="decides who is labelled, held out and in which fold; nothing else does"
    )
    fold: int | None = Field(None, ge=0, description="the part of the pooled sources that tests, from 0")
    n_folds: int | None = Field(None, ge=2, description="parts of a cross-validation over all sources")
    hold_out: int | None = Field(None, ge=1, description="training sources tested on in place of the test set")

    @model_validator(mode="after")
    def _fold_of_how_many(self) -> SplitConfig:
        if (self.fold is None) != (self.n_folds is None):
            raise ValueError("expected both or neither of fold and n_folds")
        if self.fold is not None and self.fold >= self.n_folds:
            raise ValueError("expected fold below n_folds")
        if self.fold is not None and self.hold_out is not None:
            raise ValueError("expected fold or hold_out, not both")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        optional = ("fold", "n_folds", "hold_out")
        return {key: value for key, value in fields.items() if key not in optional or value is not None}


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
    """One training: ``steps`` optimiser updates on batches of ``batch_size`` sources."""

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


class PretrainConfig(Section):
    """Self-supervised training before the labelled one; ``objective`` needs no labels."""

    objective: ObjectiveConfig = Field(ObjectiveConfig(name="byol"), description="an objective without labels")
    train: TrainConfig = Field(TrainConfig(), description="the training without labels")


Further = Literal[
    "anomalies", "attention", "class_shares", "clusters", "conformal", "neighbours", "outside", "pruning", "sizes",
    "source_rotation",
]  # fmt: skip


class EvaluationConfig(Section):
    """What is measured once a run is trained.

    ``probe`` is logistic regression on the features, its penalty chosen inside the labelled sources (or
    ``probe_penalty``); after a training without labels batch norm is settled on the target's plain training images
    first (``settle_batch_norm``), and the untrained network of the same seed is read out beside it.
    ``linear_probe`` has the penalty C = 1 and no such care, as in the first results. ``further`` names what costs extra
    time and is measured only where asked for (:mod:`equirgz.grid.further`). Unset, the three options are no part of a
    run's identity.
    """

    readouts: tuple[str, ...] = Field(("network",), description="network, temperature, probe, knn, linear_probe")
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

    Classification, the default task, is no part of a run's identity.
    """

    data: DataConfig = Field(DataConfig(), description="sources and their pixels")
    task: TaskConfig = Field(TaskConfig(), description="what the network is asked of each source")
    split: SplitConfig = Field(SplitConfig(), description="who is labelled, and who tests")
    backbone: BackboneConfig = Field(BackboneConfig(), description="the network")
    objective: ObjectiveConfig = Field(ObjectiveConfig(), description="the training method")
    train: TrainConfig = Field(TrainConfig(), description="the training")
    pretrain: PretrainConfig | None = Field(None, description="training without labels before it")
    evaluation: EvaluationConfig = Field(EvaluationConfig(), description="what is measured")
    seed: int = Field(0, ge=0, description="weights, batches, views and samples; everything but the split")

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        if self.task == TaskConfig():
            fields.pop("task", None)
        return fields

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
