"""Workers fork from one warm process, which starts while the grid is checked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from equirgz.errors import InputError
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.engine.warm import warm_up
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.plan.preflight import Checked
from equirgz.grid.runner import run_grid


def test_workers_fork_from_a_process_that_imports_once(document, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_WARM", str(tmp_path / "warm"))
    grid = make_grid(document)
    summary = run_grid(grid, tmp_path / "out", engine=make_engine_config("local", jobs=2), cell="fake_cells:parents")
    assert summary.complete
    servers = (tmp_path / "warm").read_text().split()
    runs = [line.split() for line in (tmp_path / "warm.runs").read_text().splitlines()]
    assert len(servers) == 1 and len(runs) == 8
    assert {parent for _, parent in runs} == set(servers) and len({worker for worker, _ in runs}) == 2


def test_workers_start_before_the_check_ends_and_end_with_one_that_fails(document, tmp_path, monkeypatch):
    started, ended = [], []

    class Engine:
        submit = waiting = None

        def close(self, failed=False):
            ended.append(failed)

    monkeypatch.setattr(
        "equirgz.grid.engine.dispatch.create_engine", lambda config, logs, warm: started.append(warm) or Engine()
    )

    def check():
        assert started == ["fake_cells"] and not ended
        raise InputError("nothing is right")

    with pytest.raises(InputError, match="nothing is right"):
        run_grid(make_grid(document), tmp_path, engine=make_engine_config("local"), cell="fake_cells:x", check=check)
    assert ended == [False]
    started.clear()
    with pytest.raises(InputError, match="nothing is right"):  # SLURM jobs cost: none before the grid is right
        config = make_engine_config("slurm")
        run_grid(make_grid(document), tmp_path, engine=config, cell="fake_cells:x", check=lambda: refuse())
    assert not started


def refuse() -> Checked:
    raise InputError("nothing is right")


def test_what_cannot_be_imported_is_left_to_the_run():
    warm_up("no_such_module")


def test_the_command_line_imports_nothing_heavy():
    code = "import sys, equirgz.cli; print([m for m in ('numpy', 'pandas', 'scipy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_worker_imports_what_runs_need_and_not_what_some_files_need():
    call = "import sys, equirgz.grid.engine.warm as w; w.warm_up('equirgz.grid.run.cell'); "
    some = {"astropy", "matplotlib", "PIL", "h5py", "parsl", "torch.utils.tensorboard", "torchvision"}
    code = call + f"print(sorted({some | {'sklearn.linear_model', 'equirgz.data.formats.fits'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['equirgz.data.formats.fits', 'sklearn.linear_model']"
