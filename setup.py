"""The optional C library of the convolutions on CPUs; everything else is in setup.cfg.

Where it cannot be built the installation goes on, and torch does its work with the same numbers to rounding.
"""

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class build_library(build_ext):  # noqa: N801  # the name of a command
    """Build a library for ctypes, which has no module to start."""

    def get_export_symbols(self, ext):
        """Return no names: the source says what it exports."""
        return []


FOLDER = "equirgz/nn/cpu/kernels"
KERNELS = Extension(
    "equirgz.nn.cpu._kernels",
    [f"{FOLDER}/kernels.c"],
    depends=[f"{FOLDER}/basis_maps.inc"],
    extra_compile_args=["-O3", "-fvisibility=hidden"],
    optional=True,
)
setup(ext_modules=[KERNELS], cmdclass={"build_ext": build_library})
