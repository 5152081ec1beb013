"""Completion in a shell: what a tab offers, and the script that a shell reads."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from equirgz.cli import app


def ask(**environment: str) -> str:
    return CliRunner().invoke(app, [], env=environment, prog_name="equirgz").output


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("equirgz sel", "selftest"), ("equirgz bench sc", "schema"), ("equirgz train --acc", "--accumulate")],
)
def test_a_tab_completes_commands_and_options(line, wanted):
    place = str(len(line.split()) - 1)
    assert wanted in ask(_EQUIRGZ_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place).split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell):
    script = ask(_EQUIRGZ_COMPLETE=f"source_{shell}")
    assert "_EQUIRGZ_COMPLETE=complete_" in script and "equirgz" in script
