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


NEEDED = {"lightning_fabric", "torch._dynamo", "sklearn.linear_model", "equirgz.data.formats.fits"}
OF_SOME_FILES = {"astropy", "matplotlib", "PIL", "h5py", "parsl", "torch.utils.tensorboard", "torchvision"}


@pytest.mark.parametrize(
    ("call", "watched", "expected"),
    [
        ("import equirgz.cli", {"numpy", "pandas", "scipy", "torch"}, set()),
        (
            "import equirgz.grid.engine.warm as w; w.warm_up('equirgz.grid.run.cell')",
            NEEDED | OF_SOME_FILES,
            NEEDED,  # once, before workers fork
        ),
        (
            "import equirgz.train, equirgz.grid.run.prepare, equirgz.answers.classify_images",
            {"torch", "torch._dynamo", "lightning_fabric", "astropy.wcs"},
            {"torch"},  # who only checks or predicts waits for no compiler
        ),
    ],
    ids=["command line", "worker", "no training"],
)
def test_what_is_imported(call, watched, expected):
    code = f"import sys; {call}; print(*({watched} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected
