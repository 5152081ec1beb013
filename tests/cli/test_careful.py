"""Whatever a command reads it never writes over; a place that cannot be written is refused before the work."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from typer.main import get_command
from typer.testing import CliRunner

from equirgz.backbones.storage import check_free
from equirgz.cli import app
from equirgz.cli.careful import WRITES, CarefulCommand
from equirgz.errors import EquirgzError, InputError, ResultsError

MARKS = "source_id,label,rating\na,x,5\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maps").mkdir()
    fits.PrimaryHDU(np.ones((9, 9), np.float32)).writeto(tmp_path / "maps" / "a.fits")
    (tmp_path / "marks.csv").write_text(MARKS)
    (tmp_path / "base.safetensors").write_bytes(b"weights")
    (tmp_path / "notes.md").write_text("mine")
    (tmp_path / "table.csv").mkdir()
    return tmp_path


def all_commands(group, name=""):
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from all_commands(command, f"{name} {word}".strip())
        else:
            yield f"{name} {word}".strip(), command


def test_every_command_is_careful():
    found = dict(all_commands(get_command(app)))
    assert {name for name, command in found.items() if not isinstance(command, CarefulCommand)} == set()
    writing = {name for name, command in found.items() if any(WRITES & set(param.opts) for param in command.params)}
    assert {"classify", "finetune", "anomalies", "pretrain", "papers index", "residual", "embed", "views"} <= writing


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        ("anomalies maps --ratings marks.csv -o marks.csv", InputError, "another file than that of --ratings, got"),
        ("anomalies maps --ratings marks.csv -o ./maps/../marks.csv", InputError, "another file than that of --rat"),
        ("classify maps --catalogue marks.csv -o marks.csv", InputError, "another file than that of --catalogue"),
        ("classify maps -o maps/a.fits", InputError, "got the image maps/a.fits"),
        ("classify maps/a.fits -o maps/a.fits", InputError, "another file than that of images"),
        ("residual marks.csv -o marks.csv", InputError, "another file than that of table"),
        ("search marks.csv a -o marks.csv", InputError, "another file than that of table"),
        ("embed marks.csv maps -o marks.csv", InputError, "another file than that of encoder"),
        ("papers index marks.csv -o marks.csv", InputError, "another file than that of file"),
        ("papers rank marks.csv words -o marks.csv", InputError, "another file than that of index"),
        ("views marks.csv --table marks.csv", InputError, "another file than that of config"),
        ("finetune maps --labels marks.csv --model base -o base", InputError, "another file than that of --model"),
        ("finetune maps --labels marks.csv -o notes", InputError, "notes.md, which belongs to no notes.safetensors"),
        ("classify maps -o table.csv", ResultsError, "got the folder table.csv"),
        ("classify maps -o marks.csv/out.csv", ResultsError, "marks.csv is a file; choose"),
        ("pretrain --survey NVSS -o marks.csv/x", ResultsError, "marks.csv is a file; choose"),
        ("tags maps -o marks.csv/x", ResultsError, "marks.csv is a file; choose"),
    ],
)
def test_what_is_read_is_not_written_over(folder, words, kind, told):
    done = CliRunner().invoke(app, words.split())
    assert isinstance(done.exception, kind) and told in str(done.exception), repr(done.exception)
    assert "\n" not in str(done.exception)
    assert (folder / "marks.csv").read_text() == MARKS and (folder / "notes.md").read_text() == "mine"
    assert fits.getdata(folder / "maps" / "a.fits").sum() == 81


def test_a_link_to_what_is_read_is_it(folder):
    (folder / "link.csv").symlink_to("marks.csv")
    done = CliRunner().invoke(app, ["anomalies", "maps", "--ratings", "marks.csv", "-o", "link.csv"])
    assert isinstance(done.exception, InputError) and "got marks.csv" in str(done.exception)
    assert (folder / "marks.csv").read_text() == MARKS


def test_no_saving_takes_the_name_of_another_file(folder):
    for name in ("package", "package.safetensors", "package.json"):
        (folder / "package.json").write_text("{}")
        with pytest.raises(EquirgzError, match=r"package\.json, which belongs to no package\.safetensors"):
            check_free(folder / name)
    (folder / "base.json").write_text("{}")
    assert check_free(folder / "base") == folder / "base.safetensors", "a model may be saved again"
    assert check_free("new.v2").name == "new.v2.safetensors"
