import csv
import gzip
import math

import numpy as np
import pandas as pd
import pytest
import yaml

from equirgz.errors import InputError, ResultsError
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.results.folder import ResultsFolder
from equirgz.grid.run.deep_ensemble import make_ensembles
from equirgz.grid.runner import run_grid
from equirgz.metrics import compute_metrics
from equirgz.metrics.uncertainty.predictive_samples import posterior_error
from equirgz.report import load_results, write_tables
from equirgz.report.rows.results import open_results
from equirgz.report.tables.all_tables import find_table

MEMBERS = [
    {"label": 0, "seed": 0, "split_seed": 0},
    {"label": 1, "seed": 1, "split_seed": 1},
    {"label": "0b", "seed": 10, "split_seed": 0},
    {"label": "1b", "seed": 11, "split_seed": 1},
]
DOCUMENT = {
    "name": "tiny",
    "question": "Does it run?",
    "base": {"data": {"name": "synthetic_fr"}, "train": {"steps": 5}},
    "axes": {
        "method": [
            {"label": "alone", "objective.name": "supervised"},
            {"label": "more", "objective.name": "supervised"},
            {"label": "other", "objective.name": "laplace"},
        ],
        "n_labels": [10, 20],
        "replicate": MEMBERS,
    },
    "exclude": [{"method": ["alone", "other"], "replicate": ["0b", "1b"]}, {"method": "more", "replicate": [0, 1]}],
    "report": {"ensemble": {"method": "ensemble"}},
}


@pytest.fixture
def folder(tmp_path):
    run_grid(make_grid(DOCUMENT), tmp_path, cell="fake_cells:instant", engine=make_engine_config("inline"))
    collect(tmp_path)
    return tmp_path


def predictions(folder):
    with gzip.open(folder / "predictions.csv.gz", "rt") as file:
        return pd.DataFrame(csv.DictReader(file)).astype({"p0": float, "p1": float, "target": int})


def test_an_ensemble_is_the_mean_probability_of_the_networks_of_one_label_set(folder):
    found = predictions(folder)
    rows = load_results(folder)
    made = rows[(rows["method"] == "ensemble") & (rows["metric"] == "error/rate") & (rows["split"] == "test")]
    assert sorted(zip(made["n_labels"], made["split_seed"], made["seed"], strict=True)) == [
        (10, 0, 0), (10, 1, 1), (20, 0, 0), (20, 1, 1)]  # fmt: skip
    for _, row in made.iterrows():
        place = (found["n_labels"] == str(int(row["n_labels"]))) & (found["split_seed"] == str(int(row["split_seed"])))
        members = found[place & found["method"].isin(["alone", "more"])]
        assert members["run_key"].nunique() == 2
        mean = members.groupby("source_id")[["p0", "p1"]].mean().to_numpy()
        stored = found[found["run_key"] == row["run_key"]].sort_values("source_id")
        np.testing.assert_allclose(stored[["p0", "p1"]].to_numpy(), mean, atol=1e-6)
        expected = {m["metric"]: m["value"] for m in compute_metrics(mean, stored["target"].to_numpy())}
        assert row["value"] == pytest.approx(expected["error/rate"])
        nll = rows[(rows["run_key"] == row["run_key"]) & (rows["metric"] == "nll/mean")]["value"]
        assert nll.item() == pytest.approx(expected["nll/mean"], abs=1e-6)


def test_an_ensemble_stands_in_the_tables_beside_the_methods_and_is_paired_with_them(folder):
    table = find_table(open_results(folder))
    names = table.labels["method"].tolist()
    assert sorted(names) == ["alone", "ensemble", "more", "other"]
    cells = {names[i]: cell for (i, j), cell in table.cells.items() if j == 0}
    assert [cells[name].n_seeds for name in names] == [2, 2, 2, 2] and cells["ensemble"].n_planned == 2
    assert table.labels["objective"][names.index("ensemble")] == "supervised"


def test_collecting_twice_gives_the_same_bytes_and_an_incomplete_group_no_ensemble(folder):
    before = {name: (folder / name).read_bytes() for name in ("rows.csv", "predictions.csv.gz")}
    collect(folder)
    assert before == {name: (folder / name).read_bytes() for name in before}
    labels = {"method": "more", "n_labels": 20, "replicate": "0b"}
    lost = next(point for point in make_grid(DOCUMENT).points if point.labels == labels)
    ResultsFolder(folder).cell(lost.run_key).unlink()
    collect(folder)
    rows = load_results(folder)
    made = rows[rows["method"] == "ensemble"].drop_duplicates("run_key")
    assert sorted(zip(made["n_labels"], made["split_seed"], strict=True)) == [(10, 0), (10, 1), (20, 1)]


def test_without_the_option_or_with_one_seed_per_split_there_is_none(folder):
    plan = yaml.safe_load((folder / "grid.json").read_text())
    cells = {run["run_key"]: ResultsFolder(folder).read_cell(run["run_key"]) for run in plan["runs"]}
    assert len(make_ensembles(plan, cells)) == 4
    singles = {key: cell for key, cell in cells.items() if cell["config"]["seed"] < 2}
    assert make_ensembles(plan, singles) == []
    del plan["document"]["report"]["ensemble"]
    assert make_ensembles(plan, cells) == []


def test_members_of_other_sources_and_unknown_axes_are_refused(folder):
    plan = yaml.safe_load((folder / "grid.json").read_text())
    cells = {run["run_key"]: ResultsFolder(folder).read_cell(run["run_key"]) for run in plan["runs"]}
    next(cell for cell in cells.values() if cell["config"]["seed"] == 10)["predictions"][0]["source_id"] = ["b", "a"]
    with pytest.raises(ResultsError, match="ensemble, network on test: expected the same sources"):
        make_ensembles(plan, cells)
    for wrong, words in (({"methd": "x"}, "unknown axis 'methd'.*did you mean 'method'"), ("x", "expected a mapping")):
        with pytest.raises(InputError, match=words):
            make_grid({**DOCUMENT, "report": {"ensemble": wrong}})
    folded = {**DOCUMENT, "base": {**DOCUMENT["base"], "split": {"n_folds": 2}}}
    folded["axes"] = {**DOCUMENT["axes"], "fold": [0, 1]}
    with pytest.raises(InputError, match="expected a grid without folds"):
        make_grid(folded)


def hand_made(p_MNK, other_MNK):
    """A plan of three finished runs of one cell and their answers on ``test`` and on ``test_hybrid`` (no labels)."""
    plan = {"document": {"report": {"ensemble": {"method": "ensemble"}}}, "runs": [], "columns": ["method"]}
    cells = {}
    for m, (p_NK, other_NK) in enumerate(zip(p_MNK, other_MNK, strict=True)):
        key = f"run{m}"
        plan["runs"].append({"run_key": key, "cell_key": "cell", "labels": {"method": "alone"}})
        places = (("network", "test", TARGET, p_NK), ("network", "test_hybrid", [-1] * len(other_NK), other_NK),
                  ("linear_probe", "test", TARGET, p_NK))  # fmt: skip
        blocks = [{"readout": readout, "split": split, "target": list(target), "probability": p.tolist(),
                   "source_id": [str(i) for i in range(len(p))]} for readout, split, target, p in places]  # fmt: skip
        row = {"run_key": key, "readout": "network", "split": "test", "metric": "error/rate", "n": len(p_NK)}
        config = {"seed": m, "split": {"split_seed": 0}}
        cells[key] = {"config": config, "rows": [row], "predictions": blocks, "timings": []}
    return plan, cells


TARGET = [0, 1] * 8


def test_three_members_have_the_uncertainty_of_three_samples():
    generator = np.random.default_rng(0)
    p_MNK, other_MNK = generator.dirichlet([1, 1], (3, 16)), generator.dirichlet([3, 3], (3, 5))
    (made,) = make_ensembles(*hand_made(p_MNK, other_MNK))
    rows = {(row["readout"], row["split"], row["metric"]): row for row in made["cell"]["rows"]}

    def entropy(p_K):
        return -sum(p * math.log(p) for p in p_K)

    def scores(p_MNK):
        total = [entropy(p_MNK[:, i].mean(0)) for i in range(p_MNK.shape[1])]
        return total, [total[i] - np.mean([entropy(p) for p in p_MNK[:, i]]) for i in range(p_MNK.shape[1])]

    inside, outside = scores(p_MNK), scores(other_MNK)
    for name, total_in, total_out in zip(("predictive_entropy", "mutual_information"), inside, outside, strict=True):
        assert rows["network", "test", f"uncertainty/{name}"]["value"] == pytest.approx(np.mean(total_in))
        beaten = np.mean([[out > into for into in total_in] for out in total_out])
        row = rows["network", "test_hybrid", f"ood/auroc_{name.removeprefix('predictive_')}"]
        assert row["value"] == pytest.approx(beaten) and row["n"] == 5 and row["run_key"] == made["run_key"]
    wrong_N = [np.mean([p_MNK[m, i].argmax() != TARGET[i] for m in range(3)]) for i in range(16)]
    assert posterior_error(p_MNK, TARGET) == pytest.approx(wrong_N)
    gaps = {}
    for u, e in zip(np.array(inside[0]) / math.log(2), wrong_N, strict=True):
        gaps.setdefault(min(7, math.ceil(u * 8) - 1), []).append(u - 2 * e)
    uce = 100 * sum(abs(sum(gap)) for gap in gaps.values()) / 16
    assert rows["network", "test", "uncertainty/uce_entropy"]["value"] == pytest.approx(uce)
    mean_NK = p_MNK.mean(0)
    order = np.argsort(-mean_NK.max(1))
    wrong = (mean_NK.argmax(1) != TARGET)[order]
    aurc = np.mean([wrong[: k + 1].mean() for k in range(16)])
    assert rows["network", "test", "selective/aurc"]["value"] == pytest.approx(aurc)
    assert {place[0] for place in rows if place[2].startswith(("uncertainty/", "selective/"))} == {"network"}
    assert ("linear_probe", "test", "error/rate") in rows and ("network", "test_hybrid", "error/rate") not in rows


def test_the_uncertainty_of_an_ensemble_has_tables_of_its_own(folder):
    rows = load_results(folder)
    uncertain = rows[rows["metric"] == "uncertainty/predictive_entropy"]
    assert set(uncertain["method"]) == {"ensemble"} and len(uncertain) == 4 and uncertain["value"].notna().all()
    written = [path.read_text() for path in write_tables(folder) if path.suffix == ".md"]
    about = [text for text in written if "uncertainty/predictive_entropy" in text]
    assert about and all("ensemble" in text for text in about)
