"""The floors of the package: a file imports lower floors or its own folder, told from its source alone."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "equirgz"
FLOORS = (
    {"errors", "paths", "registry", "records", "provenance", "config", "seeding", "progress", "kernels"},
    {"metrics", "tasks", "images", "pretrained"},
    {"geometry", "report"},
    {"nn", "data", "augment", "retrieval"},
    {"backbones"},
    {"objectives"},
    {"train", "evaluate", "tags", "imaging"},
    {"grid", "machine", "residual", "answers"},
    {"cli", "__main__"},
)
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
NEVER_BESIDE = {  # on one floor, yet apart
    ("evaluate", "train"), ("evaluate", "report"), ("report", "geometry"), ("geometry", "report"), ("metrics", "tasks"),
}  # fmt: skip
FRONT_DOOR = {"__init__"}  # lazy exports only
NO_TORCH = (
    "errors", "paths", "registry", "records", "provenance", "config", "seeding", "images", "metrics", "tasks",
    "report", "tags",
)  # fmt: skip
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_modules(source: str) -> Iterator[str]:
    """Yield the absolute name of everything that ``source`` imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute in this package"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def forbidden_imports(part: str, source: str) -> list[str]:
    """Return the imports of equirgz by a file of ``part`` that lie above it or beside it."""
    bad = []
    for module in imported_modules(source):
        names = module.split(".")
        if names[0] != "equirgz" or len(names) < 2:
            continue
        if names[1] not in FLOOR_OF:  # a public name of equirgz/__init__.py
            if names[1] not in ("__version__", "__file__"):
                bad.append(module)
            continue
        if FLOOR_OF[names[1]] > FLOOR_OF[part] or (part, names[1]) in NEVER_BESIDE:
            bad.append(module)
    return bad


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    part = part_of(path)
    if part in FRONT_DOOR:
        return
    assert part in FLOOR_OF, f"{path.name}: give this part a floor"
    assert forbidden_imports(part, path.read_text()) == []


def import_graph() -> dict[str, set[str]]:
    """Return the modules of the package that each module imports, also inside functions and for types alone."""
    module_of = {path: ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in FILES}
    module_of = {path: module.removesuffix(".__init__") for path, module in module_of.items()}
    known = set(module_of.values())
    graph = {}
    for path, module in module_of.items():
        found = imported_modules(path.read_text())
        inside = {name if name in known else name.rpartition(".")[0] for name in found}
        graph[module] = (inside & known) - {module}
    return graph


def test_modules_that_are_imported_are_there():
    known = set(import_graph())
    for path in (*FILES, *(PACKAGE.parent / "tests").rglob("*.py"), *(PACKAGE.parent / "benchmarks").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "equirgz":
                assert node.module in known, f"{path.name} imports {node.module}"


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Return modules that import each other in a ring, the first one named again at the end; [] where none do."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_modules_import_each_other_in_a_circle():
    graph = import_graph()
    assert find_circle(graph) == []


def test_the_check_finds_a_circle():
    graph = import_graph()
    assert "equirgz.grid.run.prepare" in graph["equirgz.grid.run.cell"]
    graph["equirgz.grid.run.prepare"].add("equirgz.grid.run.cell")
    assert set(find_circle(graph)) >= {"equirgz.grid.run.cell", "equirgz.grid.run.prepare"}


@pytest.mark.parametrize(
    "path", [p for p in FILES if part_of(p) in NO_TORCH], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_lower_floors_and_report_never_name_torch(path):
    roots = {module.split(".")[0] for module in imported_modules(path.read_text())}
    assert not roots & {"torch", "lightning_fabric", "geomloss", "torchvision"}


@pytest.mark.parametrize("path", [p for p in FILES if part_of(p) == "metrics"], ids=lambda path: path.name)
def test_metrics_need_only_numerical_libraries(path):
    roots = {module.split(".")[0] for module in imported_modules(path.read_text())}
    assert roots <= {*sys.stdlib_module_names, "equirgz", "numpy", "scipy", "sklearn"}


@pytest.mark.parametrize(
    "path", [p for p in FILES if part_of(p) != "report"], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_only_report_draws(path):
    assert not {module.split(".")[0] for module in imported_modules(path.read_text())} & {"matplotlib", "seaborn"}


def test_report_and_command_line_load_without_torch():
    """Importing them, and all they import, leaves torch out of the process."""
    modules = ["equirgz", "equirgz.metrics", "equirgz.provenance", "equirgz.config", "equirgz.report", "equirgz.cli"]
    modules += [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in (PACKAGE / "report").rglob("*.py")
        if path.stem != "__init__"
    ]
    code = f"import sys, importlib\nfor m in {modules}: importlib.import_module(m)\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=False).returncode == 0


def test_help_waits_for_no_large_library():
    """The words of the command line are there before any library that a command itself may need."""
    slow = {"torch", "pandas", "scipy", "sklearn", "astropy", "matplotlib", "pydantic"}
    code = f"import sys, equirgz, equirgz.cli; sys.exit(', '.join({slow} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("metrics", "from equirgz.report import write_tables"),
        ("evaluate", "def f():\n    from equirgz.train.trainer import train"),
        ("report", "import equirgz.grid.plan.grid"),
        ("nn", "from equirgz import create_backbone"),
        ("errors", "from equirgz.metrics import compute_metrics"),
    ],
)
def test_the_check_finds_a_wrong_import(part, source):
    assert forbidden_imports(part, source)


def test_no_file_is_longer_than_400_lines():
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: n for name, n in lengths.items() if n > 400} == {}
