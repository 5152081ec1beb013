"""The code version names the code that decides numbers, with git and without."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import equirgz
from equirgz.provenance import SCIENCE

PACKAGE = Path(equirgz.__file__).parent
OUTSIDE = {
    "errors",
    "provenance",
    "registry",
    "paths",
    "progress",
    "grid.run.resources",
}  # say what went wrong or who ran; decide no number


def test_what_a_run_is_made_of_is_in_the_version():
    assert "grid/run" in SCIENCE
    covered = {part.removesuffix(".py").replace("/", ".") for part in SCIENCE}
    for file in sorted(path for room in ("run", "further") for path in (PACKAGE / "grid" / room).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("equirgz."):
                module = node.module.removeprefix("equirgz.")
                known = any(module == part or module.startswith(f"{part}.") for part in covered | OUTSIDE)
                assert known, f"{file.name} imports {node.module}, which is not part of SCIENCE"


def test_without_git_two_codes_are_two_versions(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "equirgz", ignore=shutil.ignore_patterns("__pycache__"))
    norm = tmp_path / "equirgz" / "nn" / "norm.py"
    found = []
    for text in (norm.read_text(), norm.read_text().replace("1e-5", "0.9")):
        norm.write_text(text)
        command = [sys.executable, "-B", "-c", "from equirgz.provenance import code_version as v; print(v())"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.strip())
    assert all(re.fullmatch(re.escape(equirgz.__version__) + r"\+s[0-9a-f]{10}", version) for version in found)
    assert found[0] != found[1]
