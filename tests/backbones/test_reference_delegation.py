"""Parity with escnn and e2cnn is proved in an environment of its own, by ``make test``, not here."""

import configparser
import importlib.util
from pathlib import Path

import pytest
from torch import nn

from equirgz.backbones.reference import to_reference
from equirgz.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_make_test_runs_the_parity_tests_and_fails_with_them():
    lines = (REPOSITORY / "Makefile").read_text().splitlines()
    assert "test-reference" in next(line for line in lines if line.startswith("test: ")).split()
    recipe = lines[lines.index("test-reference: $(REFERENCE)/.installed") + 1]
    assert recipe.startswith("\t$(ONE_THREAD)") and "-m pytest" in recipe and recipe.endswith("tests/reference")
    assert "make test" in (REPOSITORY / ".ci" / "run").read_text()


def test_they_are_not_collected_here_nor_skipped_there():
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    assert "reference" in setup["tool:pytest"]["norecursedirs"].split()
    sources = sorted((REPOSITORY / "tests" / "reference").glob("test_*.py"))
    assert len(sources) >= 4
    for source in sources:
        text = source.read_text()
        assert "skip" not in text and "xfail" not in text and "importorskip" not in text, source.name


@pytest.mark.skipif(importlib.util.find_spec("e2cnn") is not None, reason="e2cnn is installed: nothing to refuse")
def test_a_missing_library_is_refused_with_the_way_to_install_it():
    with pytest.raises(InputError, match=r"expected the package e2cnn, got no usable one.*pip install"):
        to_reference(nn.Identity(), "e2cnn")
