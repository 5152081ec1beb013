"""``equirgz audit`` and ``train``: exit status, reasons, the written table, the default folder."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from equirgz import cli
from equirgz.config import RunConfig

SMALL = ("--set", "width=0.02", "--set", "states=[initial]", "--set", "angles_deg=[]")
D8 = ("audit", "steerable_resnet18", "--group", "D8", "--image-size", "65", *SMALL)

FEW = ("--set", "precisions=[float32]", "--set", "layers=false")
C4 = ("audit", "steerable_lenet", "--group", "C4", "--image-size", "17", *SMALL, *FEW)


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["equirgz", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        return int(done.value.code or 0), *capsys.readouterr()

    return call


def test_audit_of_an_exact_network_passes_and_writes_every_error(run, tmp_path):
    code, out, _ = run(*D8, "--table", tmp_path / "audit.csv")
    assert code == 0 and "passed" in out and f"table {tmp_path / 'audit.csv'}" in out
    rows = pd.read_csv(tmp_path / "audit.csv")
    assert set(rows["name"]) == {"steerable_resnet18"} and set(rows["group"]) == {"D8"}
    assert set(rows["precision"]) == {"float32", "float64", "deployed"} and bool(rows["passed"].all())
    lattice = rows[(rows["kind"] == "lattice") & (rows["what"] == "features") & (rows["precision"] == "float64")]
    assert len(lattice) == 7 and lattice["relative_l2"].max() < 1e-12
    assert rows.loc[rows["kind"] == "element", "limit"].isna().all()


def test_audit_of_a_flattening_head_fails_says_why_and_still_writes_its_table(run, tmp_path):
    arguments = ("--set", "head=flatten", "--set", "precisions=[float32]", "--set", "layers=false")
    code, out, _ = run(*D8, *arguments, "--table", tmp_path / "audit.md")
    assert code == 1
    assert "note: this network flattens its maps" in out and "head='invariant'" in out
    assert "FAILED: features change by" in out and "(limit 1e-05)" in out
    lines = (tmp_path / "audit.md").read_text().splitlines()
    assert lines[2].startswith("steerable_resnet18, D8, 65 px: features and maps exact")
    table = [line for line in lines if line.startswith("|")]
    assert table[0] == "| state | precision | what | lattice | off lattice | any angle |  |"
    assert {line.count("|") for line in table} == {8} and len(table) == 2 + 2
    assert [line.endswith("| BROKEN |") for line in table[2:]] == ["| features |" in line for line in table[2:]]
    assert lines[0].startswith("FAILED: features change by")


def test_audit_of_no_images_is_refused(run):
    code, out, err = run(*C4, "--set", "n_images=0")
    assert code == 2 and "passed" not in out and "n_images: expected a whole number, at least 1, got 0" in err


def test_full_markdown_has_one_line_per_error(run, tmp_path):
    audit = ("audit", "steerable_lenet", "--group", "C4", "--image-size", "17", *SMALL)
    assert run(*audit, "--full", "--table", tmp_path / "audit.md")[0] == 0
    assert run(*audit, "--table", tmp_path / "audit.csv")[0] == 0
    table = [line for line in (tmp_path / "audit.md").read_text().splitlines() if line.startswith("|")]
    rows = pd.read_csv(tmp_path / "audit.csv")
    assert len(table) == 2 + len(rows)
    first = [cell.strip() for cell in table[2].split("|")[1:-1]]
    assert first[:3] == rows.iloc[0][["state", "precision", "what"]].tolist()
    assert first[6] == f"{rows.iloc[0]['relative_l2']:.1e}"


@pytest.mark.parametrize(("option", "name"), [("--table", "audit.xlsx"), ("--figure", "audit.docx")])
def test_other_suffixes_are_refused_before_anything_is_measured(run, tmp_path, option, name):
    code, out, err = run("audit", "no_such_backbone", option, tmp_path / name)
    assert code == 2 and out == "" and f"{option}: expected a name that ends in" in err and name in err


def test_train_without_out_writes_to_a_folder_of_its_own(run, tmp_path, monkeypatch):
    base = {
        "data": {"name": "synthetic_fr", "image_size": 17, "params": {"n_train": 24, "n_test": 8}},
        "backbone": {"name": "steerable_lenet", "width": 0.3},
        "split": {"n_labels": 12},
        "train": {"steps": 2, "batch_size": 4},
        "evaluation": {"rotation_angles": 2},
    }
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(base))
    monkeypatch.chdir(tmp_path)
    code, out, err = run("train", "one.yaml", "--device", "cpu")
    assert code == 0, err
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name == f"one-{RunConfig(**base).run_key()}"
    assert (folder / "run.json").is_file() and list(folder.glob("encoder.safetensors"))
    assert f"run runs/{folder.name}/run.json" in out.replace("\n", " ")
    kept = (folder / "config.json").read_bytes()
    code, out, err = run("train", "one.yaml", "--device", "cpu", "--set", "steps=3", "--out", str(folder))
    assert code == 2 and "another configuration" in err and (folder / "config.json").read_bytes() == kept


def test_a_file_that_is_no_text_is_named(run, tmp_path):
    (tmp_path / "one.yaml").write_bytes(b"\x80\xff\x00")
    code, out, err = run("train", str(tmp_path / "one.yaml"))
    assert code == 2 and "one.yaml: it is no text" in err


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_audit_figure_makes_its_folder(run, tmp_path, suffix):
    figure = tmp_path / "new" / "deeper" / f"audit.{suffix}"
    assert run(*C4, "--figure", figure)[0] == 0
    assert figure.read_bytes()[:4] == {"png": b"\x89PNG", "svg": b"<?xm", "pdf": b"%PDF"}[suffix]


def test_audit_figure_that_cannot_be_written_is_no_broken_symmetry(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run(*C4, "--figure", tmp_path / "file" / "audit.png")
    assert code == 2 and "cannot write" in err


def test_models_say_in_their_row_what_cannot_be_built(run):
    code, out, _ = run("models", "*lenet", "--image-size", "64", "--group", "D8")
    row = {line.split()[0]: line.split(maxsplit=2)[1:] for line in out.splitlines()}
    assert code == 0 and set(row) == {"name", "attention_lenet", "lenet", "steerable_lenet"}
    assert row["lenet"][0] == "C1" and row["lenet"][1].split()[0] == "84"
    assert row["steerable_lenet"][0] == "D8"
    assert row["steerable_lenet"][1].startswith("refused: steerable_lenet image_size: expected 1 mod 4")


def test_models_of_no_group_fail(run):
    code, out, err = run("models", "--group", "Z9")
    assert code == 2 and out == "" and "got 'Z9'; did you mean C9 or D9?" in err


def test_help_has_a_short_form_everywhere_and_an_unknown_backbone_is_an_error(run):
    for command in ((), ("models",), ("bench",), ("bench", "run"), ("data", "check"), ("search",)):
        code, out, _ = run(*command, "-h")
        assert code == 0 and "Usage" in out
    code, out, err = run("models", "NOSUCH")
    assert code == 1 and out == "" and "got 'NOSUCH'" in err and "steerable_lenet" in err and err.count("\n") == 1


def test_an_encoder_that_was_never_trained_is_told(run, tmp_path):
    import equirgz
    from equirgz.grid.embedding import warn_untrained

    encoder = equirgz.create_backbone("steerable_lenet", group="C4", image_size=17, width=0.2)
    fresh = equirgz.save_encoder(encoder, tmp_path / "fresh")
    assert "may not be trained" in warn_untrained(fresh), "it has no batch normalisation that would tell"
    assert warn_untrained(equirgz.save_encoder(encoder, tmp_path / "said", trained=True)) == ""
    assert "was never trained" in warn_untrained(equirgz.save_encoder(encoder, tmp_path / "not", trained=False))
    np.savez(tmp_path / "images.npz", images=np.random.default_rng(0).random((5, 17, 17), np.float32))
    code, _, err = run("embed", fresh, tmp_path / "images.npz", "-o", tmp_path / "f.csv")
    assert code == 0 and "warning: " in err and "may not be trained" in err
