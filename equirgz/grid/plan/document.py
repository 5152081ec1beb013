"""The whole YAML of a grid as one model: every key with its type, range, unit and meaning.

``equirgz bench keys`` prints it (:mod:`equirgz.grid.plan.keys`), ``equirgz bench schema`` writes it for editors
(:mod:`equirgz.grid.plan.schema`), and :mod:`equirgz.grid.plan.grid` checks every YAML against it.
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from equirgz.config import Section, explain_validation
from equirgz.errors import InputError
from equirgz.grid.engine.engine_config import EngineConfig
from equirgz.report.tables.extras import EXTRAS

AXIS = "axis: one value or a list; mappings set several keys together and have a `label`"


class ScalingSection(Section):
    """Against what the power laws of error are fitted."""

    x: str = Field(description="n_labels, parameters, or an axis whose labels are numbers above 0")


class ReportedNumber(Section):
    """A published number, shown beside the measured ones; the keys of axes say in which row it stands."""

    model_config = ConfigDict(extra="allow", frozen=True)

    value: float | str = Field(description="the number as published; text where it is 'about 2' or '3.07 ± 1.47'")
    source: str = Field(description="network, size and arXiv id it comes from")
    metric: str | None = Field(None, description="the metric that it is a value of; default: the headline of the task")
    split: str = Field("test", description="the test set")
    data: str | None = Field(None, description="registered dataset; default: that of the table")
    readout: str | None = Field(None, description="read-out; default: that of the table")


class ReportSection(Section):
    """What tables and figures show beyond the measured rows; it changes no run."""

    ensemble: dict[str, Any] | None = Field(
        None,
        description="axis: label under which the mean over the seeds of a row stands, such as {method: ensemble}",
    )
    reference: dict[str, Any] | None = Field(
        None, description="axis: label of the row that others are compared with, such as {method: supervised}"
    )
    scaling: ScalingSection | None = Field(None, description="power laws of error against something else than labels")
    extras: tuple[str, ...] = Field(
        (), description="further tables and figures", json_schema_extra={"items": {"enum": list(EXTRAS)}}
    )
    reported: tuple[ReportedNumber, ...] = Field((), description="published numbers, each in the row of its axes")
    plateau: str | None = Field(
        None,
        description="folder of results, with an axis steps, that shows held-out error against updates to be flat where "
        "these trainings end; the index of results says `not shown` without",
    )

    @field_validator("ensemble", "reference")
    @classmethod
    def _one_label_each(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None and (not value or any(isinstance(label, (list, dict)) for label in value.values())):
            raise ValueError("expected a mapping of axes to one label each, such as {method: supervised}")
        return value


class ProfileSection(Section):
    """What ``--profile NAME`` lays over a grid."""

    base: dict[str, Any] = Field(default_factory=dict, description="keys of a run, merged into those of the grid")
    axes: dict[str, Any] = Field(default_factory=dict, description="axes that replace those of the same name")
    exclude: list[dict[str, Any]] | None = Field(None, description="replaces that of the grid")
    cost: str | None = Field(None, description="what the profile costs, measured")


class GridDocument(Section):
    """The YAML of a grid: one run as the base, and axes over its keys."""

    name: str = Field(description="a word of letters, digits, - and _; names the results folder")
    question: str = Field("", description="what the grid is to answer, one sentence")
    cost: str | None = Field(None, description="what it costs on a named machine, measured")
    base: dict[str, Any] = Field(default_factory=dict, description="the keys of one run; see RunConfig")
    axes: dict[str, Any] = Field(default_factory=dict, description=AXIS)
    exclude: list[dict[str, Any]] = Field(
        default_factory=list, description="runs to leave out: axis: label or list of labels, all of which must match"
    )
    report: ReportSection = Field(ReportSection(), description="what tables and figures show beyond the rows")
    profiles: dict[str, ProfileSection] = Field(default_factory=dict, description="overlays for --profile")
    engine: EngineConfig | None = Field(None, description="where and how runs are computed; options given win over it")

    @field_validator("name")
    @classmethod
    def _word(cls, value: str) -> str:
        if not value.replace("_", "").replace("-", "").isalnum():
            raise ValueError("expected a word of letters, digits, - and _")
        return value

    @field_validator("base", "axes", "exclude", "report", "profiles", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any, info: Any) -> Any:
        """Take a key without a value, as YAML has it where all of its lines are commented out, for its default."""
        return cls.model_fields[info.field_name].get_default(call_default_factory=True) if value is None else value


def check_document(document: dict[str, Any], source: str) -> GridDocument:
    """Return the model of a YAML; InputError with ``source``, the key, what was expected and what was found."""
    try:
        return GridDocument.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{source}: {explain_validation(error, GridDocument)}") from error
