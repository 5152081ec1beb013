"""Run configurations: validated, hashable, and free of anything that is not science.

A *run* is one :class:`RunConfig`. Its ``run_key`` is the hash of all its fields; where data lie,
which device computes and how many jobs run are not fields. Unknown keys are errors that name the
nearest valid key. A *grid* is a base run and axes over dotted keys (see :mod:`equirgz.grid.plan`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from equirgz.errors import InputError, suggest
from equirgz.records import content_hash
from equirgz.registry import default_group


class Section(BaseModel):
    """A frozen part of a configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        words = str(cls.model_fields[info.field_name].annotation)
        if isinstance(value, bool) and "bool" not in words:
            raise ValueError("expected no truth value")
        return value


class DataConfig(Section):
    """Which sources are used and how their pixels reach the network.

    ``unlabelled_fri_share`` thins the unlabelled set, or without one the training sources used without labels,
    to a class balance (arXiv 2204.08816; see :func:`equirgz.data.share.thin_to_share`). Their labels serve this
    selection alone and are discarded after it. ``unlabelled_with_train`` adds the training sources outside
    validation, without their labels, to the unlabelled set, as arXiv 2206.11927 trains. ``allow_unchecked`` takes
    sources whose overlap with the test set cannot be found. Unset, the three are no part of a run's identity.
    """

    name: str = Field("synthetic_fr", description="registered dataset, e.g. mirabest_confident")
    image_size: int = Field(65, ge=1, description="side of the network's input, pixels")
    crop: int | None = Field(None, ge=1, description="side cut from the centre before resampling; default: all")
    stretch: Literal["linear", "sqrt", "asinh"] = Field("sqrt", description="intensity stretch of [0, 1] images")
    crop_arcsec: float | None = Field(None, gt=0, description="in place of crop: side of the cut on the sky, arcsec")
    softening: float = Field(0.05, gt=0, description="of the asinh stretch, in the units of the images")
    mask: bool = Field(True, description="zero the corners outside the inscribed disk")
    normalise: bool = Field(True, description="divide by the root mean square of the training images")
    unlabelled: str | None = Field(None, description="registered dataset used without labels")
    unlabelled_params: dict[str, Any] = Field(default_factory=dict, description="options of the unlabelled set")
    unlabelled_fri_share: float | None = Field(
        None, gt=0, lt=1, description="share of FRI to which the unlabelled set is thinned; None: as it is"
    )
    unlabelled_with_train: bool = Field(False, description="add the training sources to the unlabelled set")
    extra_tests: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="other registered datasets to test on, each with its options"
    )
    drop_leaks: bool = Field(False, description="drop leaking unlabelled and extra test sources; else refuse")
    allow_unchecked: bool = Field(False, description="take sources that cannot be compared with the test set")
    params: dict[str, Any] = Field(default_factory=dict, description="options of the dataset")

    @model_validator(mode="after")
    def _one_meaning(self) -> DataConfig:
        if self.crop is not None and self.crop_arcsec is not None:
            raise ValueError("expected crop or crop_arcsec, got both; leave one out (crop: null)")
        if self.unlabelled_with_train and self.unlabelled is None:
            raise ValueError("expected unlabelled with unlabelled_with_train; without it the training sources are all")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        younger = ("crop_arcsec", "softening", "unlabelled_fri_share", "unlabelled_with_train", "allow_unchecked")
        unset = {key for key in younger if fields.get(key) == type(self).model_fields[key].default}
        return {key: value for key, value in fields.items() if key not in unset}


class SplitConfig(Section):
    """Which training sources carry labels; depends on ``split_seed`` alone.

    With ``fold`` and ``n_folds`` training and test sources are pooled, and the run is tested on one of
    ``n_folds`` parts and trained on the others: see :func:`equirgz.data.folds.take_fold`. With ``hold_out``
    it is tested on training sources and the test set is not used, as a search for a recipe must: see
    :func:`equirgz.data.folds.hold_out`. Unset, the three are no part of a run's identity.
    """

    n_labels: int | None = Field(None, ge=1, description="labelled training sources; None: all")
    n_val: int = Field(0, ge=0, description="training sources held out for validation")
    split_seed: int = Field(0, ge=0)
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

    name: str = "steerable_lenet"
    group: str = Field(None, description="C1, C8, D16, ...; unset: D4 for a steerable backbone, C1 for a plain one")
    width: float | None = Field(None, gt=0, description="multiplier of the default field counts")
    match: str | None = Field(None, description="params:NAME, flops:NAME or activations:NAME")
    engine: Literal["native", "escnn", "e2cnn"] = "native"
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _resolve_group(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or fields.get("group") is not None:
            return fields
        return {**fields, "group": default_group(fields.get("name", cls.model_fields["name"].default))}


class ObjectiveConfig(Section):
    """A registered objective and its options."""

    name: str = "supervised"
    params: dict[str, Any] = Field(default_factory=dict)


class OptimizerConfig(Section):
    """Optimiser and learning-rate schedule of one training."""

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD only")
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = Field(0, ge=0, description="linear rise to lr; reaches lr exactly at its end")
    layer_decay: float = Field(1.0, gt=0, le=1, description="learning-rate factor per block from the top")
    clip_norm: float | None = Field(None, gt=0)


class TrainConfig(Section):
    """One training: ``steps`` optimiser updates on batches of ``batch_size`` sources."""

    steps: int = Field(600, ge=1)
    batch_size: int = Field(64, ge=1)
    augmentation: str = "rotation_flips"
    augmentation_params: dict[str, Any] = Field(default_factory=dict)
    optimizer: OptimizerConfig = OptimizerConfig()
    selection_rule: Literal["last_step", "best_val"] = "last_step"
    eval_every: int = Field(0, ge=0, description="validate every so many steps; 0: at the end only")
    precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true"


class PretrainConfig(Section):
    """Self-supervised training before the labelled one; ``objective`` needs no labels."""

    objective: ObjectiveConfig = ObjectiveConfig(name="byol")
    train: TrainConfig = TrainConfig()


class EvaluationConfig(Section):
    """What is measured once a run is trained."""

    readouts: tuple[str, ...] = Field(("network",), description="network, temperature, linear_probe, knn")
    rotation_angles: int = Field(24, ge=1, description="angles of the rotation curve over 360 degrees")
    views: int = Field(1, ge=1, description="test-time views averaged in probability")


class RunConfig(Section):
    """Everything that determines the numbers of one run."""

    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    backbone: BackboneConfig = BackboneConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    train: TrainConfig = TrainConfig()
    pretrain: PretrainConfig | None = None
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: int = Field(0, ge=0)

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


def explain_validation(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one line for the first problem of a pydantic ``error``."""
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        section: Any = model
        for part in path[:-1]:
            section = _section_type(section, part)
        valid = section.model_fields if section is not None else ()
        return f"unknown key {key!r}; {suggest(path[-1], valid)}"
    return f"key {key!r}: {problem['msg'].removeprefix('Value error, ')}, got {problem['input']!r}"


def _section_type(model: Any, name: str) -> Any:
    """Return the Section type behind field ``name`` of ``model``, through ``| None``."""
    annotation = model.model_fields[name].annotation if model is not None and name in model.model_fields else None
    options = getattr(annotation, "__args__", (annotation,))
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; a missing, unreadable or wrongly shaped file is an InputError."""
    try:
        content = yaml.load(Path(path).read_text(), Loader=_StrictLoader)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}; give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: it is no text; give the path of a YAML file") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a YAML mapping, got {type(content).__name__}")
    return content


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice in a mapping is an error, not a silent choice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merge = "tag:yaml.org,2002:merge"  # of "<<: *anchor", whose keys may be overridden
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != merge]
        twice = [key for i, key in enumerate(keys) if key in keys[:i]]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def parse_setting(text: str) -> tuple[str, Any]:
    """Return key and value of a ``key=value`` of the command line; the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set: expected key=value, got {text!r}")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"--set {key.strip()}: expected a YAML value, got {value!r}") from error


def set_dotted(fields: dict[str, Any], key: str, value: Any) -> None:
    """Set ``fields["a"]["b"] = value`` for the key ``"a.b"``, making mappings on the way."""
    *parents, last = key.split(".")
    for part in parents:
        if not isinstance(fields.get(part), dict):
            fields[part] = {}
        fields = fields[part]
    fields[last] = value
