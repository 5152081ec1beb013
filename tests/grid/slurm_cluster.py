"""A real SLURM cluster of one node on loopback, run by the calling user, from Debian's packages.

The packages are unpacked into a folder (nothing is installed, no service is touched, no root is
needed): munged, slurmctld and slurmd run in the foreground as children of the test, with a key,
ports and folders of their own.
"""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.debian import unpack_packages

PACKAGES = (
    "slurmctld",
    "slurmd",
    "slurm-client",
    "slurm-wlm-basic-plugins",
    "munge",
    "libmunge2",
    "libhwloc15",
    "libnuma1",
    "liblz4-1",
    "libgcrypt20",
    "libjson-c5",
    "libyaml-0-2",
    "libreadline8",
)
LIBRARIES = Path("usr/lib") / f"{platform.machine()}-linux-gnu"


def unpack_slurm(folder: Path) -> Path:
    """Unpack Debian's SLURM below ``folder``, once; return the root of its files (see unpack_packages)."""
    return unpack_packages(folder, PACKAGES)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """One node with ``cpus`` processors; use as a context.

    SLURM's configuration takes no quoted path: the ``files`` of the packages are reached by a link in a folder without
    special characters.
    """

    def __init__(self, files: Path, cpus: int = 2) -> None:
        self.run_dir = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: sockets have short names
        self.root = root = self.run_dir / "root"
        root.symlink_to(files, target_is_directory=True)
        self.node = platform.node().split(".")[0]
        self._processes: dict[str, subprocess.Popen] = {}
        self.config = self.run_dir / "slurm.conf"
        user, here = getpass.getuser(), self.run_dir
        settings = {
            "ClusterName": "test",
            "SlurmctldHost": f"{self.node}(127.0.0.1)",
            "SlurmctldPort": free_port(),
            "SlurmdPort": free_port(),
            "SlurmUser": user,
            "SlurmdUser": user,
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={here}/munge.sock",
            "CredType": "cred/munge",
            "PluginDir": root / LIBRARIES / "slurm-wlm",
            "StateSaveLocation": here / "state",
            "SlurmdSpoolDir": here / "spool",
            "SlurmctldPidFile": here / "slurmctld.pid",
            "SlurmdPidFile": here / "slurmd.pid",
            "SlurmctldLogFile": here / "slurmctld.log",
            "SlurmdLogFile": here / "slurmd.log",
            "ProctrackType": "proctrack/pgid",
            "TaskPlugin": "task/none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core",
            "SchedulerType": "sched/backfill",
            "ReturnToService": 2,
            "MailProg": "/bin/true",
            "SlurmdTimeout": 300,
            "KillWait": 1,
            "MessageTimeout": 60,
            "TCPTimeout": 30,
            "UnkillableStepTimeout": 600,  # the machine may be busy
        }
        nodes = [
            f"NodeName={self.node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN",
            "PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
            "PartitionName=closed Nodes=ALL MaxTime=INFINITE State=DOWN",
        ]
        self.config.write_text("\n".join([*(f"{key}={value}" for key, value in settings.items()), *nodes]) + "\n")
        for name in ("state", "spool"):
            (here / name).mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to see the cluster."""
        libraries = [self.root / LIBRARIES, self.root / LIBRARIES / "slurm-wlm"]
        return {
            **os.environ,
            "SLURM_CONF": str(self.config),
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
            "PATH": os.pathsep.join([str(self.root / "usr/bin"), os.environ["PATH"]]),
        }

    def __enter__(self) -> Cluster:
        try:
            self._start_all()
        except BaseException:
            self._stop_all()
            raise
        return self

    def _start_all(self) -> None:
        here, programs = self.run_dir, self.root / "usr/sbin"
        key = here / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self._start(
            "munged",
            [
                programs / "munged",
                f"--key-file={key}",
                f"--socket={here}/munge.sock",
                f"--pid-file={here}/munged.pid",
                f"--log-file={here}/munged.log",
                f"--seed-file={here}/munge.seed",
                "--foreground",
                "--force",
            ],
        )
        self._await(lambda: (here / "munge.sock").exists())
        self.start_controller()
        self._start("slurmd", [programs / "slurmd-wlm", "-D", "-f", self.config, "-d", programs / "slurmstepd-wlm"])
        self._await(lambda: "idle" in self.command("sinfo", "--noheader", "--format=%T", "--partition=debug"))

    def __exit__(self, *_: object) -> None:
        self.command("scancel", f"--user={getpass.getuser()}")
        self._stop_all()

    def _stop_all(self) -> None:
        """End every process and wait for it: one that is left would warn in whatever test runs next."""
        for process in reversed(self._processes.values()):
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def start_controller(self) -> None:
        """Start slurmctld, or start it again after :meth:`stop_controller`."""
        self._start("slurmctld", [self.root / "usr/sbin/slurmctld-wlm", "-D", "-f", self.config])
        self._await(lambda: "UP" in self.command("scontrol", "ping"))

    def stop_controller(self) -> None:
        """End slurmctld as a service manager does; its jobs go on without it.

        SIGTERM lets it write its state. Killed within the 5 s that it may take to write down a change,
        it comes back without its newest job, or with a running one as pending; it then gives the same
        number to two jobs and drains the node for the duplicate, which only an administrator mends.
        """
        self._processes["slurmctld"].terminate()
        self._processes["slurmctld"].wait(60)

    def jobs(self, state: str = "RUNNING") -> list[str]:
        """Return the ids of the jobs in one state."""
        return self.command("squeue", "--noheader", "--format=%i", f"--states={state}").split()

    def drain(self) -> None:
        """Let the node start no job until :meth:`resume`."""
        self.command("scontrol", "update", f"NodeName={self.node}", "State=DRAIN", "Reason=test")

    def resume(self) -> None:
        """End every job and let the node take new ones, whatever happened before."""
        self.command("scancel", f"--user={getpass.getuser()}")
        self._await(lambda: not self.command("squeue", "--noheader"))
        self.command("scontrol", "update", f"NodeName={self.node}", "State=RESUME")
        self._await(lambda: "idle" in self.command("sinfo", "--noheader", "--format=%T", "--partition=debug"))

    def report(self) -> str:
        """Return the state of jobs and node and the end of the logs, for the message of a failed test."""
        logs = [f"{path.name}:\n{path.read_text()[-4000:]}" for path in sorted(self.run_dir.glob("slurm*.log"))]
        return "\n".join([self.command("squeue", "--all"), self.command("sinfo", "--long", "--list-reasons"), *logs])

    def command(self, *words: str) -> str:
        """Return what a SLURM command prints, errors included."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def _start(self, name: str, words: list) -> None:
        with open(self.run_dir / f"{name}.out", "ab") as out:
            self._processes[name] = subprocess.Popen(
                [str(word) for word in words], env=self.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    def _await(self, condition, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text()[-1500:] for path in sorted(self.run_dir.glob("*.out")))
                raise RuntimeError(f"the cluster did not start:\n{logs}")
            time.sleep(0.2)
