"""A residual keeps what is not known and loses what is; a shuffled condition takes nothing away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from equirgz.cli import app
from equirgz.errors import InputError
from equirgz.evaluate.embedding_table import EmbeddingTable
from equirgz.residual.flow import ResidualFlow
from equirgz.residual.of_table import find_residual
from equirgz.residual.readings import read_off

QUICK = {"steps": 600, "width": 48, "depth": 2, "ode_steps": 40, "lr": 5e-3}


def make_table(n: int = 600, seed: int = 0) -> EmbeddingTable:
    """Return four latents: a class shifts two, ``hidden`` is another one, and ``split`` holds every second out."""
    rng = np.random.default_rng(seed)
    label_N = np.arange(n) % 3
    feature_NF = rng.normal(size=(n, 4)) * [1.0, 0.7, 0.5, 1.0]
    hidden_N = feature_NF[:, 3].copy()
    feature_NF[:, :2] += 4 * np.stack([np.cos(2.1 * label_N), np.sin(2.1 * label_N)], 1)
    mixed_NF = feature_NF @ np.linalg.qr(rng.normal(size=(4, 4)))[0] + 5
    extras = pd.DataFrame({"hidden": hidden_N, "split": np.where(np.arange(n) // 3 % 2, "test", "train")})
    return EmbeddingTable(mixed_NF, np.arange(n).astype(str), label_N, extras)


@pytest.fixture(scope="module")
def table() -> EmbeddingTable:
    return make_table()


@pytest.fixture(scope="module")
def found(table):
    return find_residual(table, ["class"], **QUICK)


def test_the_class_goes_and_the_hidden_number_stays(found):
    """Margins are wide: the class is at 0.99 before and within its standard error (0.03) of chance after."""
    before, after = found.known["class"]
    assert before.best > 0.9 and after.best < 0.5 and after.chance == pytest.approx(1 / 3)
    before, after = found.hidden["hidden"]
    assert before.best > 0.9 and after.best > 0.8
    assert found.round_trip < 1e-2


def test_nothing_goes_without_guidance_or_with_a_shuffled_condition(table, found):
    label_N, train_N = table.label_N, table.extras["split"].to_numpy() == "train"
    free_NP = found.flow.transform(table.feature_NF, {"class": label_N}, guidance=0)
    assert read_off(free_NP[~train_N], label_N[~train_N]).best > 0.8
    shuffled = {"class": np.random.default_rng(1).permutation(label_N)}
    flow = ResidualFlow(**QUICK).fit(table.feature_NF[train_N], {"class": shuffled["class"][train_N]})
    left_NP = flow.transform(table.feature_NF, shuffled)
    assert read_off(left_NP[~train_N], label_N[~train_N]).best > 0.8


def test_another_condition_moves_a_source_to_that_class(table, found):
    held = np.flatnonzero((table.extras["split"] == "test") & (table.label_N == 0))
    residual = found.table.feature_NF[held]
    own, other = (found.flow.inverse_transform(residual, {"class": np.full(len(held), k)}) for k in (0, 1))
    mean = [table.feature_NF[table.label_N == k].mean(0) for k in (0, 1)]
    assert np.sqrt(np.mean((own - table.feature_NF[held]) ** 2)) < 0.05
    assert np.linalg.norm(other.mean(0) - mean[1]) < 0.3 * np.linalg.norm(mean[1] - mean[0])


def test_probes_see_held_out_sources_alone_and_the_table_says_which(table, found):
    part_N = found.table.extras["residual_part"]
    assert (part_N == np.where(table.extras["split"] == "train", "fitted", "held_out")).all()
    assert found.known["class"][0].n == (part_N == "held_out").sum() == 300
    assert found.table.source_id_N.tolist() == table.source_id_N.tolist()


def test_the_same_seed_gives_the_same_residual(table):
    quick = QUICK | {"steps": 5, "ode_steps": 3}
    told = {"class": table.label_N}
    one, two, three = (
        ResidualFlow(**quick, random_state=seed).fit(table.feature_NF, told).transform(table.feature_NF, told)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(one, two) and not np.array_equal(one, three)


def test_probes_find_what_is_there_and_only_the_nonlinear_one_a_radius():
    rng = np.random.default_rng(0)
    x_NF = rng.normal(size=(400, 2))
    radius = read_off(x_NF, np.hypot(*x_NF.T))
    assert radius.nonlinear > 0.9 and radius.linear < 0.1 and radius.chance == 0
    ring = read_off(x_NF, np.where(np.hypot(*x_NF.T) > 1.2, "out", "in"))
    assert ring.nonlinear > 0.9 > ring.linear and ring.kind == "accuracy"
    assert read_off(x_NF, x_NF[:, 0]).linear > 0.99
    assert read_off(x_NF, rng.normal(size=400)).best < 0.1, "nothing is read off what is not there"


def test_the_command_writes_a_table_that_the_others_read(table, tmp_path):
    source, out = table.save(tmp_path / "embedding.csv"), tmp_path / "residual.npz"
    runner = CliRunner()
    words = ["residual", str(source), "--condition", "class", "-o", str(out), "--steps", "3", "--components", "2"]
    done = runner.invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "600 sources x 2 latents" in done.stdout and "300 held-out" in done.stdout
    assert "known class: accuracy linear" in done.stdout and "hidden hidden: R2 linear" in done.stdout
    assert "class can still be read off" in done.stderr, "three updates do not take it away"
    assert EmbeddingTable.load(out).feature_NF.shape == (600, 2)
    assert runner.invoke(app, ["look", "next", str(out), "-n", "2"]).exit_code == 0


@pytest.mark.parametrize(
    ("change", "conditions", "words"),
    [
        ({}, ["sizes"], "unknown 'sizes'"),
        ({}, ["class", "class"], "each once"),
        ({"label_N": np.zeros(600, int)}, ["class"], "two values, got only 0"),
        ({"label_N": np.r_[-1, np.arange(599) % 3]}, ["class"], "a label for every source, got none for 1"),
        ({"label_N": np.where(np.arange(600) // 3 % 2, np.arange(600) % 3, np.arange(600) % 2)}, ["class"],
         r"fitted on \(0, 1\), got 2"),
        ({"feature_NF": np.c_[np.zeros(600), np.random.default_rng(0).normal(size=(600, 2))]}, ["class"],
         r"zero variance \(f0\)"),
        ({"extras": pd.DataFrame({"residual_part": ["fitted"] * 600})}, ["class"], "residual_part"),
    ],
)  # fmt: skip
def test_bad_tables_and_conditions_are_refused(table, change, conditions, words):
    parts = {
        "feature_NF": table.feature_NF, "source_id_N": table.source_id_N, "label_N": table.label_N,
        "extras": table.extras,
    }  # fmt: skip
    with pytest.raises(InputError, match=words):
        find_residual(EmbeddingTable(**{**parts, **change}), conditions, **QUICK)


def test_bad_options_are_refused(table):
    told = {"class": table.label_N}
    for options, words in (
        ({"n_components": 5}, "n_components: expected from 1 to 4"),
        ({"dropout": 1.0}, "dropout"),
    ):
        with pytest.raises(InputError, match=words):
            ResidualFlow(**QUICK | options).fit(table.feature_NF, told)
    with pytest.raises(InputError, match="NaN"):
        ResidualFlow().fit(np.full((30, 2), np.nan), {"class": np.arange(30) % 2})
    with pytest.raises(InputError, match="600 values, one per source, got 30"):
        ResidualFlow().fit(table.feature_NF, {"class": np.arange(30) % 2})
    with pytest.raises(InputError, match="at least 40 sources"):
        few = EmbeddingTable(
            np.random.default_rng(0).normal(size=(20, 2)), np.arange(20).astype(str), np.arange(20) % 2
        )
        find_residual(few)
