"""Fixtures shared by all tests: where the real data lie."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from equirgz.kernels import load_kernels
from tests.kernel_library import build

REPOSITORY = Path(__file__).resolve().parent.parent


def _real_data_root() -> Path | None:
    chosen = os.environ.get("EQUIRGZ_DATA")
    candidates = [Path(chosen)] if chosen else [REPOSITORY.parent / "shared" / "data"]
    return next((path for path in candidates if (path / "MiraBest_F_batches.tar.gz").is_file()), None)


@pytest.fixture(scope="session", autouse=True)
def own_array_cache(tmp_path_factory):
    """Keep parsed arrays out of the user's cache: one folder per test session."""
    before = os.environ.get("EQUIRGZ_CACHE")
    os.environ["EQUIRGZ_CACHE"] = str(tmp_path_factory.mktemp("array_cache"))
    yield
    if before is None:
        del os.environ["EQUIRGZ_CACHE"]
    else:
        os.environ["EQUIRGZ_CACHE"] = before


@pytest.fixture(scope="session", autouse=True)
def bf16_everywhere():
    """Let trainings in bfloat16 run on CPUs without its instructions too; the numbers are the same."""
    os.environ.setdefault("EQUIRGZ_BF16", "emulate")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real archives; without it the test is skipped, or fails where CI is set."""
    root = _real_data_root()
    if root is None:
        reason = "no real data: set EQUIRGZ_DATA"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return root


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    found = build(tmp_path_factory.mktemp("kernels"))
    if not found:
        assert not any(shutil.which(name) for name in ("cc", "gcc", "clang"))
        pytest.skip("no C compiler")
    return found[0]


@pytest.fixture
def loaded(library, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_KERNELS", str(library))
    load_kernels.cache_clear()
    yield load_kernels()
    load_kernels.cache_clear()


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setenv("EQUIRGZ_KERNELS", "off")
    load_kernels.cache_clear()
    yield
    load_kernels.cache_clear()
