"""The JSON schema of a grid's YAML, for editors that complete keys and mark mistakes: ``equirgz bench schema``."""

from __future__ import annotations

from typing import Any

from equirgz.config import RunConfig
from equirgz.grid.plan.axes import ALIASES
from equirgz.grid.plan.document import GridDocument
from equirgz.grid.plan.keys import registries

#: where a run names something registered, by the key of its options
NAMED = {
    "task.params": ("TaskConfig", "name"),
    "backbone.params": ("BackboneConfig", "name"),
    "objective.params": ("ObjectiveConfig", "name"),
    "data.params": ("DataConfig", "name"),
    "train.augmentation_params": ("TrainConfig", "augmentation"),
}
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def make_schema() -> dict[str, Any]:
    """Return the schema: the model of the YAML, in which the base is a run, and names are those registered here."""
    schema = GridDocument.model_json_schema()
    run = RunConfig.model_json_schema()
    schema["$defs"] |= run.pop("$defs") | {"RunConfig": run}
    for key, registry in registries().items():
        section, field = NAMED[key]
        schema["$defs"][section]["properties"][field]["examples"] = registry.names()
    base = {"$ref": "#/$defs/RunConfig", "description": "the keys of one run"}
    axes = {
        "type": ["object", "null"],
        "propertyNames": {"anyOf": [{"enum": sorted(ALIASES)}, {"pattern": r"^\w[\w.]*$"}]},
    }
    for properties in (schema["properties"], schema["$defs"]["ProfileSection"]["properties"]):
        properties["base"] = {"anyOf": [base, {"type": "null"}]}
        properties["axes"] |= axes
    return {"$schema": DRAFT, **schema}
