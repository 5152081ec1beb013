"""The version, the optional C library of the convolutions on CPUs, and the grids; all else is in setup.cfg.

The version is that of the tag ``v1.2.3`` at this commit, of the sdist that this is, else the one that the source says.
setuptools_scm would count commits: then every commit would be another version of the code that made a number.

Where the library cannot be built the installation goes on, and torch does its work with the same numbers to rounding.
"""

import re
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
STATED = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


def find_version() -> str:
    """Return the version to build."""
    inside = ROOT / "PKG-INFO"
    if inside.is_file():
        return re.search(r"^Version: (.+)$", inside.read_text(encoding="utf-8"), re.MULTILINE)[1]
    stated = STATED.search((ROOT / "equirgz" / "__init__.py").read_text(encoding="utf-8"))[1]
    if not (ROOT / ".git").exists():
        return stated
    command = ["git", "describe", "--tags", "--exact-match", "--match", "v[0-9]*"]
    try:
        tag = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git
        tag = ""
    return tag.removeprefix("v") or stated


VERSION = find_version()


class build_library(build_ext):  # noqa: N801  # the name of a command
    """Build a library for ctypes, which has no module to start."""

    def get_export_symbols(self, ext):
        """Return no names: the source says what it exports."""
        return []


class build_package(build_py):  # noqa: N801  # the name of a command
    """State the version in the built package and lay copies of the YAML of benchmarks/ into it as equirgz/grids.

    A checkout reads the originals.
    """

    def run(self):
        """Copy the package, then the grids."""
        super().run()
        if not self.editable_mode:
            module = Path(self.build_lib, "equirgz", "__init__.py")
            text = module.read_text(encoding="utf-8")
            module.write_text(STATED.sub(f'__version__ = "{VERSION}"', text), encoding="utf-8")
            for source, target in self._grids().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode=1):
        """Return what is built, the grids too."""
        return super().get_outputs(include_bytecode) + ([] if self.editable_mode else list(self._grids().values()))

    def _grids(self):
        target, source = Path(self.build_lib, "equirgz", "grids"), Path("benchmarks")
        files = sorted([*source.glob("*.yaml"), *source.glob("encoders/*.yaml")])
        return {str(file): str(target / file.relative_to(source)) for file in files}


FOLDER = "equirgz/nn/cpu/kernels"
KERNELS = Extension(
    "equirgz.nn.cpu._kernels",
    [f"{FOLDER}/kernels.c"],
    depends=[f"{FOLDER}/{name}.inc" for name in ("basis_maps", "pool", "sample")],
    extra_compile_args=["-O3", "-fvisibility=hidden"],
    optional=True,
)
setup(version=VERSION, ext_modules=[KERNELS], cmdclass={"build_ext": build_library, "build_py": build_package})
