"""Other Pythons, the oldest and newest versions of what equirgz asks for, the extras, the installs: ``nox -s NAME``.

``nox -l`` lists them. ``make test`` needs none of this. What follows ``--`` goes to pytest, such as ``-k calibration``.
An interpreter that is not there is skipped with a word; ``nox --error-on-missing-interpreters`` refuses instead.
"""

from pathlib import Path

import nox

nox.options.sessions = ["tests"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
#: what the edges are tried with where no words are given: layers, metrics, training, rows and tables, command line
QUICK = ["tests/nn", "tests/metrics", "tests/train/test_trainer.py", "tests/golden", "tests/cli/test_bench.py"]
CPU = ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]


#: what libraries of other versions deprecate is no fault of equirgz
LENIENT = ["-W", "default"]


def run_tests(session: nox.Session, default: list[str]) -> None:
    session.run("python", "-c", "import numpy, torch; print('numpy', numpy.__version__, 'torch', torch.__version__)")
    session.run("python", "-m", "pytest", "-q", *(session.posargs or default), env=ONE_THREAD)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests with the versions of constraints.txt where they exist for this Python, else the newest."""
    pinned = ["-c", "constraints.txt"] if session.python in ("3.11", "3.12", "3.13") else []
    session.install(*CPU, *pinned, "-e", ".[test,onnx,docs]")
    run_tests(session, [])


@nox.session(python="3.11", venv_backend="uv")
def oldest(session: nox.Session) -> None:
    """The oldest version of each package that setup.cfg allows: torch 2.4, NumPy 1.26."""
    session.install("--resolution", "lowest-direct", "--torch-backend", "cpu", "-e", ".[test]")
    run_tests(session, [*LENIENT, *QUICK])


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """The newest release of each package, of NumPy 2 and torch."""
    session.install("--upgrade", *CPU, "-e", ".[test]")
    run_tests(session, [*LENIENT, *QUICK])


@nox.session(python="3.11")
def extras(session: nox.Session) -> None:
    """What the tests leave out where an extra is not installed: the Hub, TensorBoard, Weights & Biases."""
    session.install(*CPU, "-c", "constraints.txt", "-e", ".[test,hub,tensorboard,wandb]")
    run_tests(session, ["tests/backbones/test_hub.py", "tests/train/test_loggers.py"])


@nox.session(python="3.11")
def light(session: nox.Session) -> None:
    """The install without torch reads results and writes tables, figures and page; training says what to install."""
    session.install("-r", "requirements-light.txt")
    session.install("--no-deps", ".")
    results = Path(session.create_tmp()) / "results"
    session.run("python", "-c", f"import shutil; shutil.copytree('tests/golden/frozen', {str(results)!r})")
    session.run("python", "-c", f"import equirgz; print(len(equirgz.load_results({str(results)!r})), 'rows')")
    for command in ("tables", "figures", "page"):
        session.run("equirgz", "bench", command, str(results), silent=True)
    session.run("python", "-c", "import torch", success_codes=[1], silent=True)
    session.run("equirgz", "train", "benchmarks/smoke.yaml", success_codes=[2])


@nox.session(python="3.11")
def wheel(session: nox.Session) -> None:
    """An sdist, the wheel made of it, and the wheel at work outside the repository."""
    dist = Path(session.create_tmp()) / "dist"
    session.install("build", "twine")
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("python", "-m", "twine", "check", *map(str, dist.iterdir()))
    session.install(*CPU, *map(str, dist.glob("*.whl")))
    session.chdir(dist)
    session.run("equirgz", "doctor")
    session.run("equirgz", "selftest")
    one = ["--set", "group=[D4]", "--set", "replicate=[0]", "--set", "train.steps=2"]
    session.run("equirgz", "bench", "run", "smoke", "--engine", "inline", *one)


@nox.session(python="3.11")
def notebooks(session: nox.Session) -> None:
    """Execute docs/notebooks and keep the outputs."""
    session.install(*CPU, "-c", "constraints.txt", "-e", ".", "nbclient", "ipykernel")
    for notebook in sorted(Path("docs", "notebooks").glob("*.ipynb")):
        session.run("jupyter", "execute", "--inplace", str(notebook), env=ONE_THREAD)
