"""Errors that tell a user what was expected, what was found and how to mend it.

Every error that a user can cause is an :class:`EquirgzError`; the command line prints it as one
line and exits with status 2. Anything else that is raised is a defect of equirgz.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType

NAME_OF = {  # of the distribution, where it differs from the name that is imported
    "PIL": "pillow", "faiss": "faiss-cpu", "huggingface_hub": "huggingface-hub", "lightning_fabric": "lightning-fabric",
    "sentence_transformers": "sentence-transformers", "sklearn": "scikit-learn", "umap": "umap-learn", "yaml": "pyyaml",
}  # fmt: skip
CORE = (  # what `pip install equirgz` brings
    "astropy", "geomloss", "h5py", "jinja2", "lightning-fabric", "matplotlib", "numpy", "packaging", "pandas", "parsl",
    "pillow", "pooch", "psutil", "pydantic", "pyyaml", "rich", "safetensors", "scikit-learn", "scipy", "seaborn",
    "torch", "tqdm", "typer",
)  # fmt: skip
EXTRA_OF = {
    "astroquery": "astro", "ducc0": "imaging", "faiss-cpu": "approximate", "huggingface-hub": "hub", "onnx": "onnx",
    "onnxruntime": "onnx", "onnxscript": "onnx", "pyarrow": "parquet", "tensorboard": "tensorboard", "wandb": "wandb",
}  # fmt: skip


class EquirgzError(Exception):
    """Base of all errors caused by input, data or the machine, never by a defect.

    >>> print(EquirgzError("n_bins", expected=">= 1", got=0, mend="use 15"))
    n_bins: expected >= 1, got 0; use 15
    """

    def __init__(
        self, what: object = "", *, expected: object = None, got: object = None, mend: str | None = None
    ) -> None:
        super().__init__(what if expected is None else explain(what, expected=expected, got=got, mend=mend))


class InputError(EquirgzError, ValueError):
    """An argument, option or configuration value that cannot be used."""


class DataError(EquirgzError):
    """A file, archive or image that is missing, damaged or hostile."""


class ImageError(InputError, DataError):
    """Images that cannot be used, handed over as an argument or read from a file."""


class ImagesChangedWarning(UserWarning):
    """Images were brought to what a network takes, and are not what the caller gave."""


class MissingPackageError(InputError, ImportError):
    """A package that is not installed, and that what the user asked for needs."""


class ResultsError(EquirgzError):
    """A results folder that cannot be read, written or mixed with others."""


class NumericalError(EquirgzError, ArithmeticError):
    """Training or evaluation met a number that it cannot go on with (NaN, collapse)."""


def explain(what: object, *, expected: object, got: object, mend: str | None = None) -> str:
    """Return the one-line message ``what: expected ..., got ...; mend``."""
    line = f"{what}: expected {expected}, got {got}"
    return f"{line}; {mend}" if mend else line


def require(
    holds: bool,
    what: object,
    *,
    expected: object,
    got: object,
    mend: str | None = None,
    error: type[EquirgzError] = InputError,
) -> None:
    """Raise ``error`` unless ``holds``; for facts that cost nothing to name, since they are named either way.

    >>> require(3 >= 1, "n_bins", expected=">= 1", got=3)
    """
    if not holds:
        raise error(what, expected=expected, got=got, mend=mend)


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return a did-you-mean phrase for ``name`` followed by all valid ``choices``.

    >>> suggest("resnet8", ["lenet", "resnet18"])
    "did you mean 'resnet18'? Valid: lenet, resnet18"
    """
    valid = sorted(map(str, choices))
    near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.4)
    head = f"did you mean {near[0]!r}? " if near else ""
    return f"{head}Valid: {', '.join(valid)}"


def check_choice(what: str, name: str, choices: Iterable[str]) -> str:
    """Return ``name`` when it is one of ``choices``, else raise :class:`InputError`."""
    valid = list(choices)
    if name not in valid:
        raise InputError(f"{what}: unknown {name!r}; {suggest(name, valid)}")
    return name


def install_command(package: str) -> str:
    """Return what installs a package of equirgz's, by its name on the index.

    >>> install_command("torch"), install_command("pyarrow"), install_command("umap-learn")
    ('pip install equirgz', "pip install 'equirgz[parquet]'", 'pip install umap-learn')
    """
    if package in CORE:
        return "pip install equirgz"
    return f"pip install 'equirgz[{EXTRA_OF[package]}]'" if package in EXTRA_OF else f"pip install {package}"


def missing_package(module: str, what: str) -> MissingPackageError:
    """Return the error that says that ``what`` needs the package of ``module``, and how to install it.

    >>> print(missing_package("sklearn.svm", "the probe"))
    the probe: expected the package scikit-learn, got none; pip install equirgz
    """
    root = module.partition(".")[0]
    package = NAME_OF.get(root, root)
    mend = install_command(package)
    return MissingPackageError(what, expected=f"the package {package}", got="none", mend=mend)


def require_package(module: str, what: str) -> ModuleType:
    """Return ``module``, imported; raise MissingPackageError, with ``what`` needs it, where that fails."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing_package(module, what) from error


def explain_import(error: ModuleNotFoundError, what: str) -> MissingPackageError | None:
    """Return what to tell a user whose install lacks a package of equirgz's; None where the import is a defect."""
    root = (error.name or "").partition(".")[0]
    package = NAME_OF.get(root, root)
    return missing_package(root, what) if package in CORE or package in EXTRA_OF else None
