"""The version that is built: of the tag, of the sdist, else of the source; the built package states it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path):
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "equirgz").mkdir()
    (tmp_path / "equirgz" / "__init__.py").write_text('"""A package."""\n\n__version__ = "0.9.0.dev0"\nX = 1\n')
    return tmp_path


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def ask(folder: Path, *words: str) -> str:
    command = [sys.executable, "setup.py", "-q", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_tag_an_sdist_or_the_source_says_it(clone):
    assert ask(clone, "--version") == "0.9.0.dev0"
    git(clone, "init", "-q")
    git(clone, "add", "equirgz", "setup.py")
    git(clone, "commit", "-q", "-m", "first")
    git(clone, "tag", "other")
    assert ask(clone, "--version") == "0.9.0.dev0"
    git(clone, "tag", "v1.2.3")
    assert ask(clone, "--version") == "1.2.3"
    ask(clone, "build_py", "--build-lib", "built")
    built = (clone / "built" / "equirgz" / "__init__.py").read_text()
    assert '__version__ = "1.2.3"\nX = 1' in built
    (clone / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: equirgz\nVersion: 1.2.4\n")
    assert ask(clone, "--version") == "1.2.4"
