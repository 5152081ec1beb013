"""The words of every task: targets are read and refused, scores equal brute force, without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import dirichlet_multinomial
from sklearn.metrics import average_precision_score, f1_score

import equirgz
from equirgz.errors import DataError, InputError
from equirgz.metrics.images import structural_similarity
from equirgz.metrics.votes import dirichlet_multinomial_nll
from equirgz.tasks import create_task, list_tasks


@dataclass
class Sources:
    """Stand-in for an image set: what tasks read of one."""

    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    label_N: np.ndarray = field(default_factory=lambda: np.array([0, 1, 1, -1]))
    class_names: tuple[str, ...] = ("FRI", "FRII")
    map_NKHW: np.ndarray | None = None
    map_names: tuple[str, ...] = ()
    name: str = "sources"

    def __len__(self) -> int:
        return len(self.label_N)


def by_name(rows):
    return {row["metric"]: row["value"] for row in rows}


def test_words_load_without_torch():
    code = "import sys; from equirgz.tasks import list_tasks; list_tasks(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_task_states_its_headline():
    maps = Sources(map_NKHW=np.zeros((4, 1, 5, 5)), map_names=("bar",))
    table = Sources(pd.DataFrame({"las_arcsec": [1.0, 2, 3, 4], "vote_0_0": 1, "vote_0_1": 2, "bent": 1}))
    made = [
        create_task("classification", table), create_task("regression", table, targets=["las_arcsec"]),
        create_task("votes", table, questions=[2]), create_task("multilabel", table, tags=["bent"]),
        create_task("segmentation", maps), create_task("image_to_image", maps), create_task("denoising", maps),
    ]  # fmt: skip
    assert {*(task.name for task in made), "several"} == {*list_tasks()}
    assert len({task.headline.metric for task in made}) == len(made)
    with pytest.raises(InputError, match="did you mean 'regression'"):
        create_task("regresion", table)


def test_classification_scores_the_labelled_sources():
    task = create_task("classification", Sources())
    p_NK = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.5, 0.5]])
    kept = task.keep(p_NK, task.targets(Sources()))
    assert by_name(task.score(kept))["error/rate"] == pytest.approx(100 / 3)
    np.testing.assert_equal(task.loss_per_source(kept), [0, 100, 0, np.nan])


def test_regression_equals_brute_force_in_dex_and_round_the_circle():
    rng = np.random.default_rng(0)
    las_N, angle_N = rng.uniform(5, 200, 50), rng.uniform(0, 180, 50)
    las_N[3] = np.nan
    sources = Sources(pd.DataFrame({"las_arcsec": las_N, "pa_deg": angle_N}))
    task = create_task(
        "regression", sources, targets=["las_arcsec", "pa_deg"], log=["las_arcsec"], circular={"pa_deg": 180}
    )
    assert task.n_outputs == 3 and task.headline.unit == "dex"
    value_NT = task.targets(sources)
    np.testing.assert_allclose(task.decode(task.encode(value_NT)), value_NT)
    factor_N, turn_N = 10 ** rng.normal(0, 0.1, 50), rng.normal(0, 5, 50)
    predicted_NT = np.stack([las_N * factor_N, (angle_N + turn_N) % 180], 1)
    found = by_name(task.score(task.keep(predicted_NT, value_NT)))
    known = np.isfinite(las_N)
    assert found["regression/mae/las_arcsec"] == pytest.approx(np.abs(np.log10(factor_N[known])).mean())
    assert found["regression/rmse/pa_deg"] == pytest.approx(np.sqrt((turn_N**2).mean()))
    assert found["regression/bias/pa_deg"] == pytest.approx(turn_N.mean())
    assert "regression/spearman/pa_deg" not in found
    loss_N = task.loss_per_source(task.keep(predicted_NT, value_NT))
    assert np.isnan(loss_N[3]) and loss_N[0] == pytest.approx(abs(np.log10(factor_N[0])))


@given(st.floats(-1e3, 1e3), st.floats(1.0, 360.0))
@settings(max_examples=30, deadline=None)
def test_a_circular_quantity_comes_back_within_its_period(value, period):
    sources = Sources(pd.DataFrame({"a_deg": [value, 0.0]}))
    task = create_task("regression", sources, targets=["a_deg"], circular={"a_deg": period})
    back = task.decode(task.encode(task.targets(sources)))[0, 0]
    assert abs((back - value + period / 2) % period - period / 2) < 1e-6 * period


def test_scatter_of_normal_residuals_is_their_sigma():
    rng = np.random.default_rng(1)
    sources = Sources(pd.DataFrame({"x": rng.normal(size=20000)}))
    task = create_task("regression", sources, targets=["x"])
    value_NT = task.targets(sources)
    found = by_name(task.score(task.keep(value_NT + rng.normal(0, 0.5, value_NT.shape), value_NT)))
    assert found["regression/scatter/x"] == pytest.approx(0.5, rel=0.03)
    assert found["regression/r2/x"] == pytest.approx(0.75, abs=0.02)


def test_votes_equal_the_dirichlet_multinomial_of_scipy():
    rng = np.random.default_rng(2)
    votes_NA, c_NA = rng.integers(0, 6, (20, 3)).astype(float), rng.uniform(1, 20, (20, 3))
    votes_NA[0] += 1
    expected = [
        -dirichlet_multinomial.logpmf(k.astype(int), c, int(k.sum())) for k, c in zip(votes_NA, c_NA, strict=True)
    ]
    np.testing.assert_allclose(dirichlet_multinomial_nll(votes_NA, c_NA)[votes_NA.sum(1) > 0],
                               np.array(expected)[votes_NA.sum(1) > 0], rtol=1e-9)  # fmt: skip


def test_votes_not_asked_are_missing():
    table = pd.DataFrame(
        {"vote_0_0": [3, np.nan], "vote_0_1": [1, np.nan], "vote_1_0": [2, np.nan], "vote_1_1": [0, np.nan]}
    )
    sources = Sources(table, label_N=np.array([0, 1]))
    task = create_task("votes", sources, questions=[2, 2])
    kept = task.keep(np.full((2, 4), 2.0), task.targets(sources))
    assert task.known(kept["target"]).tolist() == [True, False]
    assert [row["n"] for row in task.score(kept)] == [1, 1, 1]
    assert np.isfinite(task.loss_per_source(kept)).tolist() == [True, False]


def test_tags_equal_scikit_learn():
    rng = np.random.default_rng(3)
    tag_NT, p_NT = rng.integers(0, 2, (60, 3)).astype(float), rng.random((60, 3))
    sources = Sources(pd.DataFrame(tag_NT, columns=list("abc")), label_N=np.zeros(60))
    task = create_task("multilabel", sources, tags=list("abc"))
    found = by_name(task.score(task.keep(p_NT, task.targets(sources))))
    assert found["multilabel/map"] == pytest.approx(average_precision_score(tag_NT, p_NT, average="macro"))
    assert found["multilabel/f1"] == pytest.approx(f1_score(tag_NT, p_NT >= 0.5, average="macro"))
    assert found["multilabel/wrong_tags"] == pytest.approx(100 * ((p_NT >= 0.5) != tag_NT).mean())


def test_masks_equal_brute_force_and_pixels_not_asked_do_not_count():
    rng = np.random.default_rng(4)
    truth = (rng.random((5, 2, 6, 6)) > 0.5).astype(float)
    truth[0, 0, :3] = np.nan
    truth[1, 1] = 0
    p = rng.random(truth.shape)
    p[1, 1] = 0.1
    sources = Sources(map_NKHW=truth, map_names=("bar", "arms"), label_N=np.zeros(5))
    task = create_task("segmentation", sources)
    found = by_name(task.score(task.keep(p, task.targets(sources))))
    ious = []
    for n in range(5):
        for k in range(2):
            asked = np.isfinite(truth[n, k])
            said, true = p[n, k][asked] >= 0.5, truth[n, k][asked] >= 0.5
            if (said | true).any():
                ious.append((said & true).sum() / (said | true).sum())
    assert len(ious) == 9 and found["segmentation/iou"] == pytest.approx(np.mean(ious))
    assert found["segmentation/brier"] == pytest.approx(np.nanmean((p - truth) ** 2))
    perfect = by_name(task.score(task.keep(np.nan_to_num(truth), truth)))
    assert perfect["segmentation/iou"] == perfect["segmentation/dice"] == 1 and perfect["segmentation/brier"] == 0


def test_images_have_the_numbers_of_closed_forms():
    rng = np.random.default_rng(5)
    truth = rng.random((3, 1, 15, 15))
    truth[:, 0, 0, :2] = (0, 1)  # a range of exactly 1
    sources = Sources(map_NKHW=truth, map_names=("image",), label_N=np.zeros(3))
    task = create_task("image_to_image", sources)
    found = by_name(task.score(task.keep(truth + 0.1, truth)))
    assert found["image/mse"] == pytest.approx(0.01) and found["image/psnr"] == pytest.approx(20)
    np.testing.assert_allclose(structural_similarity(truth, truth), 1)
    shifted = structural_similarity(truth + 0.1, truth)  # only the means differ
    assert (shifted < 1).all() and (structural_similarity(rng.random(truth.shape), truth) < shifted).all()


MAPS = Sources(map_NKHW=np.full((4, 1, 5, 5), 2.0), map_names=("bar",))
TABLE = Sources(pd.DataFrame({"las": [1.0, 0.0, 3, 4], "flat": 1.0, "tag": [0, 1, 2, 1], "kind": list("abab")}))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: create_task("regression", TABLE, targets=["size"]).targets(TABLE), "a column 'size' of numbers"),
        (lambda: create_task("regression", TABLE, targets=["kind"]).targets(TABLE), "kind: expected numbers"),
        (lambda: create_task("regression", TABLE, targets=["las"], log=["las"]).targets(TABLE), "above 0, as log asks"),
        (lambda: create_task("regression", TABLE, targets=["las"], log=["lsa"]), "did you mean 'las'"),
        (lambda: create_task("regression", TABLE, targets=["las"], circular={"las": 0}), "a period above 0"),
        (lambda: create_task("regression", TABLE, targets=["flat"]).check(np.ones((4, 1))), "at least two, got 4"),
        (lambda: create_task("regression", TABLE, targets=["las"]).check(np.arange(4)), "class codes are the task"),
        (lambda: create_task("classification", TABLE).check(np.array([0.5, 1.5])), "are the task regression"),
        (lambda: create_task("classification", TABLE).check(np.array([1, 1])), "at least two classes"),
        (lambda: create_task("votes", TABLE, questions=[2]).targets(TABLE), "none called vote_0_0"),
        (lambda: create_task("votes", TABLE, questions=[]), "at least one question"),
        (lambda: create_task("votes", TABLE, questions=[2]).check(np.array([[1, 0.5]])), "whole numbers of 0 or more"),
        (lambda: create_task("multilabel", TABLE, tags=["bent"]).targets(TABLE), "a column 'bent' of 0 and 1"),
        (lambda: create_task("multilabel", TABLE, tags=["tag"]).check(np.array([[0], [2.0]])), "0, 1 or NaN.*got 2"),
        (lambda: create_task("multilabel", TABLE, tags=["flat"]).check(np.ones((4, 1))), r"without, got \[1\] alone"),
        (lambda: create_task("segmentation", TABLE), "a set with maps"),
        (lambda: create_task("segmentation", MAPS).check(MAPS.map_NKHW), r"shares in \[0, 1\].*got 2 to 2"),
        (lambda: create_task("segmentation", MAPS).check(np.arange(16.0).reshape(1, 1, 4, 4)), "0 to 15; divide votes"),
        (lambda: create_task("segmentation", MAPS).check(np.zeros((4, 1, 5, 5))), "in and outside of the parts.*all 0"),
        (lambda: create_task("segmentation", MAPS).check(np.full((4, 1, 5, 5), np.nan)), "that were asked, got none"),
        (lambda: create_task("segmentation", MAPS).check(np.zeros((4, 2, 5, 5))), r"expected \(N, 1, H, W\), got"),
        (lambda: create_task("image_to_image", MAPS).check(np.full((4, 1, 5, 5), np.nan)), "finite pixels"),
    ],
)  # fmt: skip
def test_a_target_that_does_not_fit_is_one_line(make, words):
    with pytest.raises((InputError, DataError), match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_the_headline_of_classes_stands_in_one_place():
    """No other module names the metric: tables, figures and the page ask the task."""
    package = Path(equirgz.__file__).parent
    named = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == "error/rate"
    }
    assert named == {"tasks/classification.py", "metrics/error.py"}
