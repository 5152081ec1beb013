"""What a release holds: an sdist from the files under version control, and a wheel built from that sdist alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA_ENDINGS = {".yaml", ".html", ".csv", ".json", ".npz", ".safetensors", ".md", ".css", ".js"}
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
    """The names of the files in the sdist (without its folder) and in the wheel that is built from it."""
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
    with zipfile.ZipFile(wheel) as archive:
        return files, set(archive.namelist())


def test_the_wheel_holds_the_package_with_its_data_and_grids(release):
    _, wheel = release
    inside = tracked("equirgz")
    wanted = {name for name in inside if name.endswith(".py") or Path(name).suffix in DATA_ENDINGS}
    assert wanted - wheel == set()
    assert {
        f"equirgz/grids/{Path(name).name}" for name in tracked("benchmarks/*.yaml") if name.count("/") == 1
    } <= wheel
    outside = {name for name in wheel if not name.startswith("equirgz/") and ".dist-info/" not in name}
    assert outside == set()


def test_the_sdist_holds_what_the_wheel_is_built_from_and_who_to_cite(release):
    sdist, _ = release
    named = {"setup.cfg", "setup.py", "LICENSE", "CITATION.cff", "codemeta.json", "requirements-light.txt"}
    assert named | set(tracked("equirgz/*.py", "equirgz/*.yaml", "equirgz/*.c")) <= sdist
