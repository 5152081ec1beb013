"""Run configurations: the model of a run, its identity, and the YAML that it is written in."""

from equirgz.config.run import (
    BackboneConfig,
    DataConfig,
    EvaluationConfig,
    ObjectiveConfig,
    OptimizerConfig,
    PoolConfig,
    PretrainConfig,
    RunConfig,
    SplitConfig,
    TaskConfig,
    TrainConfig,
    parse_run,
)
from equirgz.config.section import Section, explain_validation, section_type
from equirgz.config.yaml_text import load_yaml, parse_setting, parse_yaml, set_dotted

__all__ = [
    "BackboneConfig",
    "DataConfig",
    "EvaluationConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "PoolConfig",
    "PretrainConfig",
    "RunConfig",
    "Section",
    "SplitConfig",
    "TaskConfig",
    "TrainConfig",
    "explain_validation",
    "load_yaml",
    "parse_run",
    "parse_setting",
    "parse_yaml",
    "section_type",
    "set_dotted",
]
