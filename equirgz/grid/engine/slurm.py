"""Parsl's SLURM provider and executor, for clusters that forget a job or run one that does nothing."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from parsl.executors import HighThroughputExecutor
from parsl.jobs.states import JobState, JobStatus
from parsl.providers import SlurmProvider


class ForgettingSlurmProvider(SlurmProvider):
    """Counts a job that the controller does not know as ended, so that another one is submitted.

    A controller that is killed before it saved its state comes back without its newest job, and
    ``squeue`` then refuses the unknown id. Parsl takes that refusal for a passing fault and waits
    for the job without end. ``poll_s`` is the time between two calls of ``squeue``.

    What a job prints goes to ``log_dir``, by a quoted redirection in its script: Parsl's ``#SBATCH --output`` would
    be a path of this host's temporary folder, and is read by SLURM word for word and for ``%``.
    """

    def __init__(self, *, poll_s: float, log_dir: Path, **options: Any) -> None:
        super().__init__(**options)
        self._poll_s = poll_s
        self._log_dir = log_dir

    def _write_submit_script(self, template: str, script_filename: str, job_name: str, configs: dict) -> None:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        out = shlex.quote(str(self._printed(job_name)))
        configs = {
            **configs,
            "job_stdout_path": "/dev/null",
            "job_stderr_path": "/dev/null",
            "worker_init": f"exec >>{out} 2>&1\n{configs['worker_init']}",
        }
        super()._write_submit_script(template, script_filename, job_name, configs)

    def submit(self, command: str, tasks_per_node: int, job_name: str = "parsl.slurm") -> str:
        job = super().submit(command, tasks_per_node, job_name)
        printed = str(self._printed(Path(self.resources[job]["job_stdout_path"]).stem))
        self.resources[job] |= {"job_stdout_path": printed, "job_stderr_path": printed}
        return job

    def _printed(self, job_name: str) -> Path:
        return self._log_dir / f"{job_name}.out"

    @property
    def status_polling_interval(self) -> float:
        return self._poll_s

    def execute_wait(self, cmd: str, timeout: int | None = None) -> tuple[int, str, str]:
        code, out, error = super().execute_wait(cmd, timeout)
        if code != 0 and "Invalid job id specified" in (error or ""):
            return 0, out, error
        return code, out, error

    def describe(self, jobs: list[str]) -> str:
        """Return SLURM's words on the ``jobs`` that it holds, such as ``SLURM job 7 is PENDING (Priority)``."""
        _, out, _ = self.execute_wait(f"squeue --noheader --format='%i is %T (%r)' --jobs={','.join(jobs)}")
        return "; ".join(f"SLURM job {line.strip()}" for line in out.splitlines())


class CallbackExecutor(HighThroughputExecutor):
    """Cancels a job that SLURM counts as running while no worker of it is connected for ``silence_s``.

    Such a job ran into an address that its node cannot reach, hangs in its set-up, or was lost by
    its node while the controller was away. Parsl waits for it up to its walltime; here it counts as
    failed, another is submitted, and too many in a row end the grid with a message.
    """

    def __init__(self, *, silence_s: float, **options: Any) -> None:
        super().__init__(**options)
        self._silence_s = silence_s
        self._silent_since: dict[str, float] = {}
        self._ended: dict[str, JobStatus] = {}

    def status(self) -> dict[str, JobStatus]:
        status = super().status()
        connected = {manager["block_id"] for manager in self.connected_managers()}
        for block, job_status in status.items():
            if job_status.state != JobState.RUNNING or block in connected or block in self._ended:
                self._silent_since.pop(block, None)
            elif time.monotonic() - self._silent_since.setdefault(block, time.monotonic()) > self._silence_s:
                self._end(block)
        return {**status, **self._ended}

    def waiting(self) -> str:
        """Return the state of the SLURM jobs while none of them has a worker; else an empty string."""
        jobs = list(self.blocks_to_job_id.values())
        return "" if not jobs or self.connected_managers() else self.provider.describe(jobs)

    def _end(self, block: str) -> None:
        """Cancel the job of ``block`` and keep why; where the cluster does not answer, try at the next poll."""
        job = self.blocks_to_job_id[block]
        if all(self.provider.cancel([job])):
            reason = (
                f"SLURM job {job} ran for {self._silence_s:g} s while no worker of it called back at "
                f"{self.address or 'any address of this host'}; expected a call: give an address of this host that "
                "the nodes reach (--address), mend worker_init, or raise connect_timeout_s"
            )
            self._ended[block] = JobStatus(JobState.MISSING, message=reason)
