"""The SLURM engine on a real cluster of one node (see slurm_cluster), under the troubles of real ones."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from parsl.jobs.states import JobState
from slurm_cluster import Cluster, unpack_slurm

from equirgz.errors import InputError
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.engine.workers import drain_seconds, make_provider
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.results.folder import ResultsFolder
from equirgz.grid.results.status import list_running
from equirgz.grid.runner import run_grid
from tests.test_plugins import EXAMPLE, GRID

UNPACKED = Path(__file__).parents[2] / ".slurm"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def cluster():
    try:
        root = unpack_slurm(UNPACKED)
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no SLURM: Debian's packages could not be unpacked ({error})")
    with Cluster(root) as running:
        yield running


@pytest.fixture
def on_cluster(cluster, monkeypatch):
    for key, value in cluster.environment.items():
        if os.environ.get(key) != value and key not in ("PYTHONPATH", "PYTEST_CURRENT_TEST"):
            monkeypatch.setenv(key, value)
    yield cluster
    cluster.resume()


def profile(path: Path, **options) -> str:
    lines = {"name": "slurm", "address": "127.0.0.1", "partition": "debug", "walltime": "00:10:00", "poll_s": 5.0}
    lines |= options
    path.write_text("".join(f"{key}: {value!r}\n" for key, value in lines.items()))
    return str(path)


def await_(condition, cluster, seconds=150):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, cluster.report()
        time.sleep(0.1)


def test_all_rows_arrive_through_a_killed_worker_a_cancelled_job_and_a_restarted_controller(
    on_cluster, document, tmp_path, monkeypatch
):
    monkeypatch.setenv("FAKE_SECONDS", "2.0")  # the last runs must outlast the restart of the controller
    document["axes"] = {"seed": list(range(16))}
    grid, out, events = make_grid(document), tmp_path / "out", []
    engine = make_engine_config(profile(tmp_path / "slurm.yaml", jobs=2, attempts=5))
    summaries: list = []

    def work() -> None:
        summaries.append(
            run_grid(grid, out, engine=engine, cell="fake_cells:slow", report=lambda *event: events.append(event))
        )

    def done() -> int:
        return len(list((out / "cells").glob("*.json")))

    def pid_at_work() -> int | None:
        running = list_running(ResultsFolder(out)).items()
        return next((record["pid"] for run, record in running if not (out / "cells" / f"{run}.json").exists()), None)

    harness = threading.Thread(target=work, daemon=True)
    harness.start()
    await_(lambda: done() >= 2, on_cluster)
    await_(pid_at_work, on_cluster)
    os.kill(pid_at_work(), signal.SIGKILL)
    await_(lambda: done() >= 5, on_cluster)
    (job,) = on_cluster.jobs()
    on_cluster.command("scancel", job)
    await_(lambda: [other for other in on_cluster.jobs() if other != job], on_cluster)
    on_cluster.stop_controller()
    time.sleep(1)
    on_cluster.start_controller()
    assert done() < 16
    await_(lambda: not harness.is_alive(), on_cluster, 300)
    assert summaries[0].complete
    assert [event for event, _ in events].count("retry") >= 2
    rows = pd.read_csv(collect(out))
    assert sorted(rows.seed.unique()) == list(range(16))
    assert not rows.duplicated(["run_key", "metric", "angle_deg"]).any()
    assert len([event for event, _ in events if event == "done"]) == 16
    await_(lambda: not on_cluster.jobs(), on_cluster, 60)  # nothing stays behind on the cluster


def test_workers_see_a_users_own_package(on_cluster, tmp_path, monkeypatch):
    """Networks and data of a package that was found on PYTHONPATH are trained by the jobs of the cluster."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLE), os.environ["PYTHONPATH"]]))
    (tmp_path / "own.yaml").write_text(GRID)
    words = ("bench", "run", "own.yaml", "--engine", profile(tmp_path / "slurm.yaml", poll_s=2.0), "--out", "out")
    done = subprocess.run(
        [sys.executable, "-m", "equirgz", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + on_cluster.report()
    rows = pd.read_csv(tmp_path / "out" / "rows.csv")
    assert set(rows["backbone"]) == {"example_mean"} and set(rows["data"]) == {"example_rings"}
    assert sorted(rows["seed"].unique()) == [0, 1]


def test_why_no_worker_comes_is_told(on_cluster, document, tmp_path):
    """On a node that takes no job, the grid waits and says what SLURM says; it goes on once the node is back."""
    events = []

    def hear(event, facts):
        events.append((event, facts))
        if event == "waiting":
            on_cluster.command("scontrol", "update", f"NodeName={on_cluster.node}", "State=RESUME")

    on_cluster.drain()
    engine = make_engine_config(profile(tmp_path / "slurm.yaml", poll_s=2.0))
    summary = run_grid(make_grid(document), tmp_path / "out", engine=engine, cell="fake_cells:instant", report=hear)
    assert summary.complete
    reasons = [facts["reason"] for event, facts in events if event == "waiting"]
    assert re.match(r"SLURM job \d+ is PENDING \(.+\)", reasons[0])


def test_a_folder_whose_path_a_shell_would_not_take_whole(on_cluster, document, tmp_path, monkeypatch):
    here = tmp_path / "My 'own' $HOME & (x); #1 100% {b} \"q\" é"
    here.mkdir()
    monkeypatch.chdir(here)
    engine = make_engine_config(profile(here / "slurm.yaml", poll_s=2.0))
    assert run_grid(make_grid(document), Path("out"), engine=engine, cell="fake_cells:instant").complete
    assert sorted(path.name for path in here.iterdir()) == ["out", "slurm.yaml"]
    assert not (here / "out" / "engine").exists()  # no logs without a failure


def test_a_job_whose_workers_do_not_call_back_is_replaced(on_cluster, document, tmp_path):
    asleep = shlex.quote(str(tmp_path / "asleep"))
    engine = make_engine_config(
        profile(tmp_path / "slurm.yaml", worker_init=f"test -e {asleep} || {{ touch {asleep}; sleep 600; }}"),
        connect_timeout_s=45.0,
        poll_s=2.0,
    )
    assert run_grid(make_grid(document), tmp_path / "out", engine=engine, cell="fake_cells:instant").complete
    assert (tmp_path / "asleep").exists()
    await_(lambda: not on_cluster.jobs(), on_cluster, 60)


def test_workers_that_never_call_back_end_in_one_clear_line(on_cluster, document, tmp_path):
    engine = make_engine_config(
        profile(tmp_path / "slurm.yaml", worker_init="sleep 600"), connect_timeout_s=1.0, poll_s=0.5
    )
    with pytest.raises(InputError, match=r"SLURM job \d+ ran for 1 s .* called back at 127.0.0.1; .*--address"):
        run_grid(make_grid(document), tmp_path / "out", engine=engine, cell="fake_cells:instant")
    assert list((tmp_path / "out" / "engine").rglob("parsl.*.out"))  # what the jobs printed is kept
    await_(lambda: not on_cluster.jobs(), on_cluster, 60)


def test_a_job_that_the_controller_forgot_counts_as_ended(on_cluster, tmp_path):
    provider = make_provider(make_engine_config(profile(tmp_path / "slurm.yaml")), tmp_path / "logs")
    provider.script_dir = str(tmp_path)
    job = provider.submit("sleep 60", 1)
    assert provider.status([job])[0].state in (JobState.PENDING, JobState.RUNNING)
    provider.resources["999999"] = {**provider.resources[job], "job_id": "999999"}
    provider.cancel([job])
    assert provider.status(["999999"])[0].state == JobState.COMPLETED


def test_a_cluster_that_refuses_the_job_is_one_clear_line(on_cluster, document, tmp_path):
    engine = make_engine_config(profile(tmp_path / "slurm.yaml", partition="no_such_partition"))
    with pytest.raises(InputError, match="--engine slurm: no worker could be started.*[Ii]nvalid partition"):
        run_grid(make_grid(document), tmp_path / "out", engine=engine, cell="fake_cells:instant")
    assert not list((tmp_path / "out").glob("cells/*"))  # nothing was recorded as failed: a mended call runs it all


def test_no_slurm_on_this_host_is_one_clear_line(document, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="expected the command sbatch on this host"):
        run_grid(make_grid(document), tmp_path / "out", engine=make_engine_config("slurm"), cell="fake_cells:instant")


def test_options_come_from_a_file_and_are_overridden(tmp_path):
    path = profile(tmp_path / "slurm.yaml", gpus=2, cells_per_gpu=3)
    config = make_engine_config(path, partition="gpu")
    assert (config.name, config.partition, config.workers) == ("slurm", "gpu", 6)
    assert config.accelerators == ["0", "0", "0", "1", "1", "1"]
    with pytest.raises(InputError, match="slurm.yaml: unknown key 'partitoin'; did you mean 'partition'"):
        make_engine_config(profile(tmp_path / "slurm.yaml", partitoin="gpu"))
    with pytest.raises(InputError, match="walltime"):
        make_engine_config("slurm", walltime="4 hours")


def test_jobs_take_no_run_that_would_outlast_them():
    assert drain_seconds(make_engine_config("slurm", walltime="1-00:00:30", time_limit_s=30.0)) == 86400 - 60
    with pytest.raises(InputError, match="raise --walltime"):
        drain_seconds(make_engine_config("slurm", walltime="00:10:00", time_limit_s=600.0))
