"""One face for two libraries: groups, field types and layers of escnn and e2cnn.

Both number group elements, turn and flip as :mod:`equirgz.geometry.group` does, so that no
permutation is needed anywhere; the tests check it.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from torch import nn

from equirgz.errors import InputError, check_choice
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group

ENGINES = ("escnn", "e2cnn")
_INSTALL = (
    "pip install -c constraints-reference.txt 'equirgz[reference]', then pip install --no-deps escnn==1.0.11, "
    "in an environment of its own (numpy < 2); or use engine='native'"
)


@dataclass(frozen=True)
class Engine:
    """A reference library: its name, its layers ``nn`` and its groups ``gspaces``.

    One engine makes one action per group, so that the libraries solve for each basis once.
    """

    name: str
    nn: ModuleType
    gspaces: ModuleType
    _actions: dict[Group, Any] = field(default_factory=dict, repr=False, compare=False)

    def gspace(self, group: Group) -> Any:
        """Return the library's action of ``group`` on the plane; reflections flip the columns."""
        if group not in self._actions:
            self._actions[group] = self._make_gspace(group)
        return self._actions[group]

    def _make_gspace(self, group: Group) -> Any:
        n = group.n_rotations
        old = self.name == "e2cnn"
        if group.order == 1:
            return self.gspaces.TrivialOnR2() if old else self.gspaces.trivialOnR2()
        if not group.reflects:
            return self.gspaces.Rot2dOnR2(N=n) if old else self.gspaces.rot2dOnR2(N=n)
        if n == 1:
            return self.gspaces.Flip2dOnR2() if old else self.gspaces.flip2dOnR2()
        return self.gspaces.FlipRot2dOnR2(N=n) if old else self.gspaces.flipRot2dOnR2(N=n)

    def field_type(self, fields: FieldType) -> Any:
        """Return the library's type of all regular, or all trivial, fields."""
        gspace = self.gspace(fields.group)
        representation = gspace.regular_repr if fields.is_regular else gspace.trivial_repr
        return self.nn.FieldType(gspace, [representation] * fields.count)

    def layer(self, *names: str) -> type[nn.Module]:
        """Return the first layer class among ``names`` (escnn has renamed some)."""
        return next(getattr(self.nn, name) for name in names if hasattr(self.nn, name))

    def owns(self, thing: object) -> bool:
        """Return whether ``thing`` is an object of this library."""
        return library_of(thing) == self.name

    def describe(self, field_type: Any) -> FieldType:
        """Return our type of a library's.

        Raises InputError for anything but all-regular or all-trivial fields of C_N or D_N.
        """
        representations = list(field_type.representations)
        group = self._describe_group(field_type.gspace)
        if all(r.is_trivial() for r in representations):
            return FieldType.trivial(group, len(representations))
        if all(r.name == "regular" for r in representations):
            return FieldType.regular(group, len(representations))
        names = sorted({r.name for r in representations})
        raise InputError(f"{self.name} field type", expected="all regular or all trivial", got=names)

    def _describe_group(self, gspace: Any) -> Group:
        order = gspace.fibergroup.order()
        if getattr(gspace, "dimensionality", 2) != 2 or order < 1:
            raise InputError(f"{self.name} group", expected="a planar C_N or D_N", got=gspace.name)
        if self.name == "e2cnn":
            reflects = "Flip" in type(gspace).__name__
        else:
            import numpy as np

            matrices = [gspace.basespace_action(g) for g in gspace.fibergroup.elements]
            reflects = any(np.linalg.det(matrix) < 0 for matrix in matrices)
        return get_group(f"D{order // 2}" if reflects else f"C{order}")


def library_of(thing: object) -> str | None:
    """Return "escnn" or "e2cnn" for objects of these libraries, else None."""
    root = type(thing).__module__.partition(".")[0]
    return root if root in ENGINES else None


def load_engine(name: str) -> Engine:
    """Import a reference library.

    Raises InputError for an unknown name, or with the way to install the library where it is missing.
    """
    check_choice("engine", name, ENGINES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = importlib.import_module(f"{name}.nn")
            gspaces = importlib.import_module(f"{name}.gspaces")
    except ImportError as error:
        raise InputError(
            f"engine {name!r}",
            expected=f"the package {name}",
            got=f"no usable one ({error})",
            mend=_INSTALL,
        ) from error
    if name == "escnn":
        _avoid_scikit_learn()
    return Engine(name, layers, gspaces)


def _avoid_scikit_learn() -> None:
    """Let escnn solve its Clebsch-Gordan equations with SciPy.

    Where scikit-learn is installed, escnn 1.0.11 hands it an ``np.matrix``, which scikit-learn has
    refused since 1.2; without it, escnn takes SciPy. Tell escnn that it is not there.
    """
    numerical = importlib.import_module("escnn.group._numerical")
    if hasattr(numerical, "randomized_svd"):
        numerical.randomized_svd = None
