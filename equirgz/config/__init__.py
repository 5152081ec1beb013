"""Run configurations: the model of a run, its identity, and the YAML that it is written in."""

from equirgz.config.learning import BackboneConfig, ObjectiveConfig, OptimizerConfig, TaskConfig, TrainConfig
from equirgz.config.run import EvaluationConfig, RunConfig, parse_run
from equirgz.config.section import Section, explain_validation, item_type, section_type
from equirgz.config.sources import DataConfig, PoolConfig, SplitConfig
from equirgz.config.stages import JointConfig, PretrainConfig
from equirgz.config.yaml_text import load_yaml, parse_setting, parse_yaml, set_dotted

__all__ = [
    "BackboneConfig",
    "DataConfig",
    "EvaluationConfig",
    "JointConfig",
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
    "item_type",
    "load_yaml",
    "parse_run",
    "parse_setting",
    "parse_yaml",
    "section_type",
    "set_dotted",
]
