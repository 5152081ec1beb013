"""What a release holds: an sdist from the files under version control, and a wheel built from that sdist alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = "equirgz/nn/cpu/kernels/"  # of the compiled library
BACKEND = "import sys, setuptools.build_meta as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"


def tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def build(kind: str, source: Path, out: Path) -> Path:
    command = [sys.executable, "-c", BACKEND, kind, str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The names of the files in the sdist (without its folder), and the folder into which the wheel of it unpacks."""
    pytest.importorskip("setuptools")
    clone, out = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("dist")
    parts = ("equirgz", "benchmarks", "setup.*", "*.toml", "*.md", "*.txt", "*.in", "*.cff", "*.json", "LICENSE")
    for name in tracked(*parts):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    sdist = build("sdist", clone, out)
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
        files = {name.partition("/")[2] for name in archive.getnames()}
    wheel = build("wheel", out / sdist.name.removesuffix(".tar.gz"), out)
    unpacked = tmp_path_factory.mktemp("site packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return files, unpacked


def test_the_wheel_holds_all_of_the_package_and_the_grids(release):
    unpacked = release[1]
    wheel = {file.relative_to(unpacked).as_posix() for file in unpacked.rglob("*") if file.is_file()}
    assert {name for name in tracked("equirgz") if not name.startswith(SOURCES)} - wheel == set()
    grids = {name.removeprefix("benchmarks/") for name in tracked("benchmarks/*.yaml")}
    taken = {name for name in grids if "/" not in name or name.startswith("encoders/")}
    assert taken >= {"smoke.yaml", "encoders/radio.yaml"} and {f"equirgz/grids/{name}" for name in taken} <= wheel
    outside = {name for name in wheel if not name.startswith("equirgz/") and ".dist-info/" not in name}
    assert outside == set()


def test_what_comes_with_the_wheel_answers_without_the_repository(release, tmp_path):
    """The last step of `equirgz selftest`, in an empty folder: encoders, models of `equirgz classify`, cards."""
    code = (
        "import equirgz, pathlib; from equirgz.machine.selftest import _Steps;"
        "print(equirgz.__file__, *_Steps(pathlib.Path('run'), 'cpu').shipped(), sep='\\n');"
        "from equirgz.grid.plan.packaged import describe_grids, find_recipe;"
        "print(find_recipe('radio'), *describe_grids(), sep='\\n')"
    )
    environment = os.environ | {"PYTHONPATH": str(release[1]), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    file, state, text, recipe, *grids = done.stdout.splitlines()
    assert Path(file).is_relative_to(release[1]) and Path(recipe).is_relative_to(release[1])
    assert state == "ok" and "models of `equirgz classify`" in text and any("smoke" in line for line in grids)


def test_the_sdist_holds_what_the_wheel_is_built_from_and_who_to_cite(release):
    sdist, _ = release
    named = {"setup.cfg", "setup.py", "LICENSE", "CITATION.cff", "codemeta.json", "requirements-light.txt"}
    assert named | set(tracked("equirgz/*.py", "equirgz/*.yaml", "equirgz/*.c")) <= sdist
