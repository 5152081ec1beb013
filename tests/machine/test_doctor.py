"""``equirgz doctor``: every line is true of the machine, and only what stops a training is a failure."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from equirgz.errors import CORE, EXTRA_OF, MissingPackageError, install_command, require_package
from equirgz.machine import doctor
from equirgz.machine.requirements import Needed, find_version, list_needed
from tests.without_torch import run_without_torch

SETUP = Path(__file__).parents[2] / "setup.cfg"
TORCH = Needed("torch", ">=2.4", "2.13.0")
ONNX = [Needed("onnx", ">=1.16", "1.18", "onnx"), Needed("onnxruntime", ">=1.18", None, "onnx")]


def declared() -> dict[str, list[str]]:
    """Return the names of the packages that setup.cfg asks for, by extra; "" for all installs."""
    setup = configparser.ConfigParser()
    setup.read(SETUP)
    parts = {"": setup["options"]["install_requires"], **setup["options.extras_require"]}
    names = {extra: [line for line in text.split("\n") if line.strip()] for extra, text in parts.items()}
    return {extra: [line.split(">")[0].split("=")[0].split("<")[0] for line in found] for extra, found in names.items()}


def state_of(findings: list[doctor.Finding]) -> dict[str, str]:
    return {finding.what: finding.state for finding in findings}


def test_the_advice_names_what_setup_cfg_declares():
    names = declared()
    assert sorted(CORE) == sorted(names[""])
    assert {package: extra for extra in set(EXTRA_OF.values()) for package in names[extra]} == EXTRA_OF


def test_a_missing_package_is_one_line_with_what_installs_it():
    with pytest.raises(
        MissingPackageError, match=r"^maps: expected the package absent_package, got none; pip install "
    ):
        require_package("absent_package.inside", "maps")
    assert require_package("json.decoder", "maps").JSONDecoder
    assert issubclass(MissingPackageError, ImportError) and install_command("onnx") == "pip install 'equirgz[onnx]'"


def test_this_machine_can_train(tmp_path):
    findings = doctor.examine(tmp_path / "not" / "there")
    states = state_of(findings)
    assert "FAIL" not in states.values()
    assert {"version", "devices", "kernels", "memory", "cache", "SLURM"} <= set(states)
    root = next(finding for finding in findings if finding.what == "data root")
    assert root.state == "ok" and "not there yet" in root.text and not (tmp_path / "not").exists()
    assert all("\n" not in str(finding) for finding in findings)


def test_a_missing_core_package_fails_an_old_one_warns():
    missing, old = Needed("torch", ">=2.4", None), Needed("torch", ">=2.4", "2.1.0+cpu")
    assert doctor._examine_core([TORCH]).state == "ok" and TORCH.fits and not old.fits
    found = doctor._examine_core([missing])
    assert (found.state, found.text) == ("FAIL", "torch missing (needs >=2.4); pip install equirgz")
    assert doctor._examine_core([old]).state == "warn" and doctor._examine_core(None).state == "warn"


def test_an_extra_is_there_half_there_or_not():
    half = list(doctor._examine_extras(ONNX))
    assert [finding.state for finding in half] == ["warn"] and "pip install 'equirgz[onnx]'" in half[0].text
    assert [finding.state for finding in doctor._examine_extras(ONNX[:1])] == ["ok"]
    assert [finding.state for finding in doctor._examine_extras(ONNX[1:])] == ["none"]


def test_a_folder_that_is_a_file_or_full_is_named(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    found = doctor._examine_folder("cache", file / "arrays", "set EQUIRGZ_CACHE")
    assert found.state == "warn" and "is a file; set EQUIRGZ_CACHE" in found.text
    monkeypatch.setattr(doctor, "LOW_DISK_GB", float("inf"))
    assert doctor._examine_folder("cache", tmp_path, "set EQUIRGZ_CACHE").state == "warn"
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert "cannot be written" in doctor._examine_folder("cache", tmp_path, "set EQUIRGZ_CACHE").text


def test_slurm_is_all_half_or_not_there(monkeypatch):
    for there, state in ((doctor.SLURM, "ok"), (doctor.SLURM[:1], "warn"), ((), "none")):
        monkeypatch.setattr(doctor.shutil, "which", lambda command, there=there: command in there or None)
        assert doctor._examine_slurm().state == state


def test_needed_packages_are_read_from_the_install():
    needed = {package.name: package for package in list_needed() or []}
    assert needed["torch"].installed == find_version("torch") and needed["torch"].extra == ""
    assert needed["pyarrow"].extra == "parquet" and "pytest" not in needed and list_needed("no-such-thing") is None


def test_without_torch_it_fails_in_one_line_and_says_what_installs_it():
    code = "import sys; sys.argv = ['equirgz', 'doctor']\nfrom equirgz.cli import main\nmain()"
    done = run_without_torch(code, cwd=SETUP.parent)
    line = next(line for line in done.stdout.splitlines() if line.startswith("FAIL"))
    assert done.returncode == 1 and done.stderr == "" and line.endswith("pip install equirgz")


@pytest.mark.parametrize(
    "error", [AttributeError("module 'torch' has no attribute 'x'"), ImportError("cannot import x")]
)
def test_what_an_old_package_breaks_is_one_line_that_names_it(error, monkeypatch, capsys):
    from equirgz import cli

    def fail():
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr("sys.argv", ["equirgz", "train", "run.yaml"])
    monkeypatch.setattr("equirgz.machine.requirements.list_needed", lambda: [TORCH])
    with pytest.raises(type(error)):  # nothing that a user could mend: a defect
        cli.main()
    old = Needed("torch", ">=2.4", "2.1.0")
    monkeypatch.setattr("equirgz.machine.requirements.list_needed", lambda: [TORCH, old])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    told = capsys.readouterr().err
    assert told == "equirgz: train: expected torch >=2.4, got 2.1.0; pip install --upgrade equirgz\n"


def test_an_old_python_is_refused_in_one_line(monkeypatch):
    import runpy

    monkeypatch.setattr("sys.version_info", (3, 10, 4))
    with pytest.raises(ImportError, match=r"^equirgz: expected Python 3.11 or newer, got 3.10; "):
        runpy.run_path(str(SETUP.parent / "equirgz" / "__init__.py"))
