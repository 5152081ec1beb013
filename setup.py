"""The optional C library of the convolutions on CPUs, and the grids that come along; all else is in setup.cfg.

Where it cannot be built the installation goes on, and torch does its work with the same numbers to rounding.
"""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py


class build_library(build_ext):  # noqa: N801  # the name of a command
    """Build a library for ctypes, which has no module to start."""

    def get_export_symbols(self, ext):
        """Return no names: the source says what it exports."""
        return []


class build_grids(build_py):  # noqa: N801  # the name of a command
    """Lay copies of benchmarks/*.yaml into the built package as equirgz/grids; a checkout reads the originals."""

    def run(self):
        """Copy the package, then the grids."""
        super().run()
        if not self.editable_mode:
            for source, target in self._grids().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode=1):
        """Return what is built, the grids too."""
        return super().get_outputs(include_bytecode) + ([] if self.editable_mode else list(self._grids().values()))

    def _grids(self):
        target = Path(self.build_lib, "equirgz", "grids")
        return {str(file): str(target / file.name) for file in sorted(Path("benchmarks").glob("*.yaml"))}


FOLDER = "equirgz/nn/cpu/kernels"
KERNELS = Extension(
    "equirgz.nn.cpu._kernels",
    [f"{FOLDER}/kernels.c"],
    depends=[f"{FOLDER}/basis_maps.inc"],
    extra_compile_args=["-O3", "-fvisibility=hidden"],
    optional=True,
)
setup(ext_modules=[KERNELS], cmdclass={"build_ext": build_library, "build_py": build_grids})
