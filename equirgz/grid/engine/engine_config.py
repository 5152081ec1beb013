"""Where and how runs are computed: options of the engine, from the command line or a profile file.

Nothing here is science: no option changes a number (tested), so none is part of a run's identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError

from equirgz.config import Section, explain_validation, load_yaml
from equirgz.errors import InputError, suggest
from equirgz.paths import as_path

ENGINES = ("local", "slurm", "inline")


class EngineConfig(Section):
    """Options of an engine; those of SLURM are ignored by the others."""

    name: Literal["local", "slurm", "inline"] = Field("local", description="worker processes, SLURM jobs, this process")
    jobs: int = Field(1, ge=1, description="runs at a time, on each node")
    device: str = Field("cpu", description="cpu, cuda or cuda:N")
    gpus: int = Field(0, ge=0, description="GPUs of each node; 0: workers are not bound to GPUs")
    cells_per_gpu: int = Field(1, ge=1, description="runs that share a GPU")
    time_limit_s: float | None = Field(None, gt=0, description="a run that takes longer is ended and recorded")
    memory_limit_gb: float | None = Field(None, gt=0, description="memory of one run on the CPU; default: a fair share")
    attempts: int = Field(3, ge=1, description="tries of a run whose worker died or ran out of memory")
    nodes: int = Field(1, ge=1, description="SLURM jobs of one node each")
    partition: str | None = Field(None, description="SLURM partition")
    account: str | None = Field(None, description="SLURM account")
    qos: str | None = Field(None, description="SLURM quality of service")
    constraint: str | None = Field(None, description="SLURM constraint on nodes, e.g. a100")
    gres: str | None = Field(None, description="SLURM generic resources; default: gpu:GPUS where gpus is set")
    cores_per_node: int | None = Field(None, ge=1, description="cores that a SLURM job asks for; default: one per run")
    node_memory_gb: int | None = Field(None, ge=1, description="memory that a SLURM job asks for, GB")
    walltime: str = Field("04:00:00", pattern=r"^(\d+-)?\d+:\d\d:\d\d$", description="of one SLURM job")
    exclusive: bool = Field(False, description="whether a SLURM job has its node alone")
    worker_init: str = Field("", description="shell lines before a worker starts, e.g. module load")
    scheduler_options: str = Field("", description="#SBATCH lines")
    poll_s: float = Field(60.0, gt=0, description="seconds between two looks at the SLURM jobs")
    connect_timeout_s: float | None = Field(
        None,
        gt=0,
        description="so long without a connected worker, a SLURM job that runs is replaced, and the engine "
        "local ends the grid with a message; default: 300 on SLURM, else 120",
    )
    address: str | None = Field(None, description="address under which nodes reach this host; default: probed")

    @property
    def workers(self) -> int:
        """Runs at a time on one node."""
        return self.gpus * self.cells_per_gpu if self.gpus else self.jobs

    @property
    def silence_s(self) -> float:
        """``connect_timeout_s``, or the engine's default."""
        return self.connect_timeout_s or (300.0 if self.name == "slurm" else 120.0)

    @property
    def accelerators(self) -> list[str]:
        """One GPU number per worker of a node."""
        return [str(gpu) for gpu in range(self.gpus) for _ in range(self.cells_per_gpu)]


def make_engine_config(
    name: str | None = None, of_grid: Mapping[str, Any] | None = None, **options: Any
) -> EngineConfig:
    """Return the options of engine ``name``, or of the profile file it is the path of.

    ``of_grid`` holds those of the grid's own YAML: a file or a name replaces its name, the file its options, and
    ``options`` that are not None override both. Raises InputError that names the option, what was expected and what
    was found.
    """
    fields: dict[str, Any] = {"name": "local", **(of_grid or {})}
    source = "--engine"
    if name is None:
        source = "engine" if of_grid else source
    elif name.endswith((".yaml", ".yml")):
        fields, source = fields | load_yaml(as_path(name)), name
    elif name in ENGINES:
        fields["name"] = name
    else:
        raise InputError(f"--engine: unknown {name!r}; {suggest(name, ENGINES)}; or the path of a YAML file")
    fields |= {key: value for key, value in options.items() if value is not None}
    try:
        return EngineConfig.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{source}: {explain_validation(error, EngineConfig)}") from error
