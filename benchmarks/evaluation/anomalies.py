"""Looking through sources, the most promising first: with and without ratings. Legend: N sources, k looked at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import hypergeom

from benchmarks.evaluation.runs import Answers
from benchmarks.evaluation.tables import Evaluation, Rows, over_runs, softmax
from equirgz.evaluate.anomaly import AnomalySearch, compute_anomaly
from equirgz.metrics.uncertainty.predictive_samples import entropy
from equirgz.report.figures.networks import network_looks
from equirgz.report.figures.style import GREY, add_legend, make_panels
from equirgz.seeding import derive_seed

TASKS = {  # ordinary sets, wanted sets, how many of the wanted are hidden among the ordinary (None: all)
    "uncertain and hybrid among confident": (("test",), ("test_uncertain", "test_hybrid"), None),
    "NVSS among FIRST": (("frdeep_first",), ("frdeep_nvss",), 30),
}
BATCH, LOOKED_AT = 5, (10, 20, 40, 80)
RANDOM = "random order"


def hide(answer: Answers, task: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (feature_NF, entropy_N, wanted_N) of a task in an order of their own, the same for all networks."""
    ordinary, wanted, n_wanted = TASKS[task]
    parts = {kind: {p: answer.arrays[f"{kind}/{p}"] for p in (*ordinary, *wanted)} for kind in ("feature", "logits")}
    entropies = {p: entropy(softmax(logits_SNK).mean(0)) for p, logits_SNK in parts["logits"].items()}
    feature_NF, entropy_N = (np.concatenate(list(part.values())) for part in (parts["feature"], entropies))
    n_ordinary = sum(len(entropies[p]) for p in ordinary)
    generator = np.random.default_rng(derive_seed(0, "hide", task))
    index_N = n_ordinary + generator.permutation(len(feature_NF) - n_ordinary)[:n_wanted]
    index_N = generator.permutation(np.concatenate([np.arange(n_ordinary), index_N]))
    return feature_NF[index_N], entropy_N[index_N], index_N >= n_ordinary


def _rated(feature_NF: np.ndarray, wanted_N: np.ndarray) -> np.ndarray:
    """Return the order in which an active search proposes when each batch is rated 1 (wanted) or 0."""
    search, order = AnomalySearch(feature_NF), []
    while len(order) < min(max(LOOKED_AT), len(wanted_N)):
        index = search.propose(BATCH)
        search.tell(index, wanted_N[index].astype(float))
        order += index.tolist()
    return np.array(order)


ORDERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "isolation forest": lambda feature, entropy, wanted: np.argsort(-compute_anomaly(feature), kind="stable"),
    "with ratings": lambda feature, entropy, wanted: _rated(feature, wanted),
    "entropy of the answer": lambda feature, entropy, wanted: np.argsort(-entropy, kind="stable"),
}


def anomaly_curves(evaluation: Evaluation) -> Rows:
    """Return task, network, run, order, k, found: how many wanted sources are among the first k, up to 80."""
    rows = []
    for task in TASKS:
        for name, answers in evaluation:
            for a in answers:
                hidden = hide(a, task)
                for order, function in ORDERS.items():
                    found_k = np.cumsum(hidden[2][function(*hidden)[: max(LOOKED_AT)]])
                    rows += [
                        {"task": task, "network": name, "run": a.run, "order": order, "k": k, "found": int(found),
                         "n_wanted": int(hidden[2].sum()), "n": len(hidden[2])}
                        for k, found in enumerate(found_k, 1)
                    ]  # fmt: skip
    return rows


def random_order(n: int, n_wanted: int, k: int) -> dict[str, float]:
    """Return value, low, high: the mean and the 95 % range of the wanted sources among k drawn at random."""
    law = hypergeom(n, n_wanted, k)
    low, high = law.ppf((0.025, 0.975))
    return {"value": float(law.mean()), "low": float(low), "high": float(high)}


def anomaly_rows(curves: Rows) -> Rows:
    """Return the number found at 10, 20, 40 and 80 over runs, and what a random order finds."""
    rows = []
    for task in dict.fromkeys(row["task"] for row in curves):
        of_task = [row for row in curves if row["task"] == task]
        n, n_wanted = of_task[0]["n"], of_task[0]["n_wanted"]
        common = {"unit": "sources", "direction": "higher", "n": n, "n_wanted": n_wanted}
        place = {"wanted": f"{task} ({n_wanted} of {n})"}
        for k in LOOKED_AT:
            metric = f"anomaly/found_at_{k}"
            rows.append({**place, "network": "–", "order": RANDOM, "metric": metric, **random_order(n, n_wanted, k),
                         **common})  # fmt: skip
        for name in dict.fromkeys(row["network"] for row in of_task):
            for order in ORDERS:
                mine = [row for row in of_task if (row["network"], row["order"]) == (name, order)]
                of_runs = [
                    [{"metric": f"anomaly/found_at_{row['k']}", "value": float(row["found"]), **common}
                     for row in mine if row["run"] == run and row["k"] in LOOKED_AT]
                    for run in dict.fromkeys(row["run"] for row in mine)
                ]  # fmt: skip
                rows += over_runs(of_runs, as_range=True, **place, network=name, order=order)
    return rows


def plot_anomalies(curves: Rows) -> Figure:
    """Return wanted sources found against sources looked at: a line of panels per task, a panel per network."""
    tasks, names = (list(dict.fromkeys(row[key] for row in curves)) for key in ("task", "network"))
    looks = network_looks(list(ORDERS))
    figure, panels = make_panels(len(tasks), len(names), sharex=True, sharey="row", panel_height_in=1.75)
    for line, task in zip(panels, tasks, strict=True):
        for panel, name in zip(line, names, strict=True):
            mine = [row for row in curves if (row["task"], row["network"]) == (task, name)]
            k = np.arange(1, 1 + max(row["k"] for row in mine))
            chance = [random_order(mine[0]["n"], mine[0]["n_wanted"], i) for i in k]
            panel.plot(k, [c["value"] for c in chance], color=GREY, linewidth=0.9, label=RANDOM)
            panel.fill_between(k, *([c[b] for c in chance] for b in ("low", "high")), color="0.9", linewidth=0)
            for i, (order, look) in enumerate(looks.items()):
                of_order = [row for row in mine if row["order"] == order]
                found_Rk = np.array([[row["found"] for row in of_order if row["run"] == run]
                                     for run in dict.fromkeys(row["run"] for row in of_order)])  # fmt: skip
                panel.plot(k, found_Rk.mean(0), **look, markersize=3, markevery=(4 * i, 13), label=order)
                panel.fill_between(k, found_Rk.min(0), found_Rk.max(0), color=look["color"], alpha=0.12, linewidth=0)
        wanted = task.split(" among ")[0]
        line[0].set_ylabel(f"{wanted}\nfound (of {mine[0]['n_wanted']})")
    for panel, name in zip(panels[0], names, strict=True):
        panel.set_title(name)
    for panel in panels[-1]:
        panel.set_xlabel("sources looked at")
    add_legend(figure, panels[0], [*ORDERS, RANDOM])
    return figure


def say_anomalies(rows: Rows, k: int = 40) -> str:
    """Say what each order finds among the first ``k``, a mean over networks, beside a random order."""
    told = []
    at_k = [row for row in rows if row["metric"] == f"anomaly/found_at_{k}"]
    for wanted in dict.fromkeys(row["wanted"] for row in at_k):
        of_task = [row for row in at_k if row["wanted"] == wanted]
        chance = next(row for row in of_task if row["order"] == RANDOM)
        means = ", ".join(
            f"{order} {np.mean([row['value'] for row in of_task if row['order'] == order]):.1f}" for order in ORDERS
        )
        told.append(f"{wanted}: {means}, a random order {chance['value']:.1f} (95 %: {chance['low']:.0f} to "
                    f"{chance['high']:.0f})")  # fmt: skip
    return f"Found among the first {k} looked at, mean of the networks; {'; '.join(told)}."
