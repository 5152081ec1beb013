"""How well tags tell the experts' classes: every choice inside the folds, beside shuffled tags.

Legend: N subjects, T terms, K classes, S numbers of tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from equirgz.errors import InputError, check_choice, require
from equirgz.metrics.compare.bootstrap import bootstrap_interval
from equirgz.seeding import derive_seed
from equirgz.tags.annotations import Annotations
from equirgz.tags.forest import N_TREES, TagForest, f1_of_classes, macro_f1, weighted_f1
from equirgz.tags.terms import CharacterLikeness, Likeness, Terms

SIMILARITIES = (0.5, 0.6, 0.7)
SIZES = (5, 10, 15, 20, 25, 35, 50)
ANNOTATORS = ("all", "half", "new")


@dataclass(frozen=True)
class Settings:
    """What a study does.

    terms: how many of the commonest terms there are. similarities: of phrases that merge; a fold takes the one of the
    best out-of-bag F1. tags: how many of the terms are kept as tags. agreement: the share of a subject's experts above
    which it has a class; it defines the target, so that nothing may choose it. annotators: ``all`` describe every
    subject; ``new``: subjects that train are described by one half of them, tested ones by the other, which tells
    whether tags hold for other people; ``half``: both by the same half, as fewer people alone would have it.
    """

    terms: int = 100
    similarities: tuple[float, ...] = SIMILARITIES
    tags: int = 25
    sizes: tuple[int, ...] = SIZES
    agreement: float = 0.5
    n_folds: int = 5
    n_trees: int = N_TREES
    n_shuffles: int = 39
    annotators: str = "all"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.tags <= self.terms:
            raise InputError("tags", expected=f"1 to {self.terms}, the number of terms", got=self.tags)
        check_choice("annotators", self.annotators, ANNOTATORS)
        require(self.n_folds >= 2, "folds", expected=">= 2", got=self.n_folds)
        require(len(self.similarities) > 0, "similarities", expected="at least one", got="none")
        if self.n_shuffles and self.n_shuffles < 19:
            raise InputError("shuffles", expected="0, or 19 and more (p cannot fall below 0.05)", got=self.n_shuffles)


@dataclass(frozen=True)
class Fold:
    """Counts of the terms, at each similarity, of the subjects that train and of those that are tested."""

    train_N: np.ndarray
    test_N: np.ndarray
    counts: tuple[tuple[Terms, np.ndarray, np.ndarray], ...]


@dataclass(frozen=True)
class Study:
    """What :func:`study_tags` found.

    said: out-of-fold answers, ``all`` terms and each number of tags -> said_NK. target_NK: the experts' classes.
    ranked: the tags in order, made of all subjects. shuffled: weighted F1 of all terms with shuffled subjects.
    """

    settings: Settings
    target_NK: pd.DataFrame
    said: dict[int, np.ndarray]
    ranked: pd.DataFrame
    counts: pd.DataFrame
    shuffled: np.ndarray
    left_out: tuple[str, ...]
    similarity_of_fold: tuple[float, ...] = field(default=())

    @property
    def p_value(self) -> float:
        """Share of shuffled tags, the true ones among them, that do at least as well."""
        f1 = weighted_f1(self.said[self.settings.terms], self.target_NK.to_numpy())
        return float((1 + (self.shuffled >= f1).sum()) / (1 + len(self.shuffled)))

    def rows(self) -> pd.DataFrame:
        """Return weighted and macro F1 with 95 % bootstrap intervals over subjects, per number of tags."""
        is_NK = self.target_NK.to_numpy()
        found = []
        for n_tags, said_NK in sorted(self.said.items()):
            for name, function in (("weighted", weighted_f1), ("macro", macro_f1)):
                interval = bootstrap_interval(function, said_NK, is_NK, n_draws=500, lowest=0, highest=1)
                found.append(
                    {
                        "tags": n_tags,
                        "metric": f"tags/{name}_f1",
                        "value": interval.value,
                        "low": interval.low,
                        "high": interval.high,
                        "n": len(is_NK),
                    }
                )
        always = np.ones_like(is_NK)
        found.append(
            {"tags": 0, "metric": "tags/weighted_f1_always", "value": weighted_f1(always, is_NK), "n": len(is_NK)}
        )
        if len(self.shuffled):
            for name, value in (
                ("shuffled_mean", self.shuffled.mean()),
                ("shuffled_most", self.shuffled.max()),
                ("p_value", self.p_value),
            ):
                found.append(
                    {
                        "tags": self.settings.terms,
                        "metric": f"tags/weighted_f1_{name}",
                        "value": float(value),
                        "n": len(self.shuffled) if name != "p_value" else len(is_NK),
                    }
                )
        return pd.DataFrame(found)

    def per_class(self) -> pd.DataFrame:
        """Return, per class, its subjects and its F1 with all terms and with the chosen number of tags."""
        is_NK = self.target_NK.to_numpy()
        table = {"class": self.target_NK.columns, "subjects": is_NK.sum(0)}
        for n_tags in (self.settings.terms, self.settings.tags):
            table[f"f1_{n_tags}"] = f1_of_classes(self.said[n_tags], is_NK)
        return pd.DataFrame(table).sort_values("subjects", ascending=False, kind="stable", ignore_index=True)


def study_tags(annotations: Annotations, settings: Settings | None = None, likeness: Likeness | None = None) -> Study:
    """Return how well terms, and few of them as tags, tell the experts' classes of subjects in other folds.

    Within each fold the training subjects alone make the terms, the similarity at which phrases merge, the ranking of
    the tags and the threshold of every class. Shuffled: the subjects' descriptions are dealt out anew, and everything
    is done again.
    """
    settings = settings or Settings()
    target_NK, few = annotations.classes(settings.agreement)
    is_NK = target_NK.to_numpy()
    sizes = sorted({s for s in (*settings.sizes, settings.tags) if s < settings.terms} | {settings.terms})
    said = {size: np.zeros_like(is_NK) for size in sizes}
    folds = list(make_folds(annotations, settings, likeness))
    chosen = []
    for fold in folds:
        best = _best_forest(fold, is_NK, settings)
        terms, train_NT, test_NT, forest = best
        chosen.append(terms.similarity)
        said[settings.terms][fold.test_N] = forest.predict(test_NT)
        order_T = np.argsort(-forest.importance_T, kind="stable")
        for size in sizes[:-1]:
            keep = order_T[:size]
            small = TagForest(train_NT[:, keep], is_NK[fold.train_N], n_trees=settings.n_trees, seed=settings.seed)
            said[size][fold.test_N] = small.predict(test_NT[:, keep])
    generator = np.random.default_rng(derive_seed(settings.seed, "shuffled tags"))
    shuffled = []
    for _ in range(settings.n_shuffles):
        dealt_NK = is_NK[generator.permutation(len(is_NK))]
        answer_NK = np.zeros_like(is_NK)
        for fold in folds:
            _, _, test_NT, forest = _best_forest(fold, dealt_NK, settings)
            answer_NK[fold.test_N] = forest.predict(test_NT)
        shuffled.append(weighted_f1(answer_NK, dealt_NK))
    ranked, counts = rank_tags(annotations, is_NK, chosen, settings, likeness)
    left_out = annotations.left_out + few
    return Study(settings, target_NK, said, ranked, counts, np.array(shuffled), left_out, tuple(chosen))


def make_folds(annotations: Annotations, settings: Settings, likeness: Likeness | None) -> Iterator[Fold]:
    """Yield the folds over subjects; with ``annotators`` new nobody describes both sides of one."""
    from sklearn.model_selection import KFold

    subject_N, words = annotations.subject_N, annotations.words
    if len(subject_N) < 2 * settings.n_folds:
        raise InputError("subjects", expected=f"at least {2 * settings.n_folds} for the folds", got=len(subject_N))
    people = np.array(sorted(words["annotator"].unique()))
    cut = KFold(settings.n_folds, shuffle=True, random_state=settings.seed)
    for number, (train_N, test_N) in enumerate(cut.split(subject_N)):
        sides = [words[words["subject"].isin(subject_N[side])] for side in (train_N, test_N)]
        if settings.annotators != "all":
            dealt = np.random.default_rng(derive_seed(settings.seed, "annotators", number)).permutation(people)
            first, second = dealt[: len(dealt) // 2], dealt[len(dealt) // 2 :]
            halves = (first, second if settings.annotators == "new" else first)
            sides = [side[side["annotator"].isin(half)] for side, half in zip(sides, halves, strict=True)]
            check_apart(*sides, ("subject", "annotator") if settings.annotators == "new" else ("subject",))
        counts = []
        for similarity in settings.similarities:
            model = CharacterLikeness(sides[0]["phrase"].unique()) if likeness is None else likeness
            terms = Terms(sides[0], model, similarity, settings.terms)
            counts.append((terms, terms.count(sides[0], subject_N[train_N]), terms.count(sides[1], subject_N[test_N])))
        yield Fold(train_N, test_N, tuple(counts))


def check_apart(
    train: pd.DataFrame, test: pd.DataFrame, what_differs: Sequence[str] = ("subject", "annotator")
) -> None:
    """Raise InputError where a subject or an annotator is on both sides, or where a side is empty."""
    for what in what_differs:
        both = sorted(set(train[what]) & set(test[what]))
        require(not both, f"{what}s", expected="none on both sides of a fold", got=", ".join(map(str, both[:3])))
    require(
        len(train) > 0 and len(test) > 0, "annotators", expected="two halves that both describe subjects", got="one"
    )


def _best_forest(fold: Fold, is_NK: np.ndarray, settings: Settings) -> tuple[Terms, np.ndarray, np.ndarray, TagForest]:
    is_train_NK = is_NK[fold.train_N]
    made = [
        (*counts, TagForest(counts[1], is_train_NK, n_trees=settings.n_trees, seed=settings.seed))
        for counts in fold.counts
    ]
    return max(made, key=lambda found: found[3].oob_f1)


def rank_tags(
    annotations: Annotations,
    is_NK: np.ndarray,
    chosen: Sequence[float],
    settings: Settings,
    likeness: Likeness | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tags in the order of their importance to a forest on all subjects, and the subjects' counts of them.

    The similarity is the one that most folds chose. Columns: rank, tag, importance (they sum to 1), subjects that
    have it, phrases that were merged into it.
    """
    values, times = np.unique(chosen, return_counts=True)
    model = CharacterLikeness(annotations.words["phrase"].unique()) if likeness is None else likeness
    terms = Terms(annotations.words, model, float(values[times.argmax()]), settings.terms)
    count_NT = terms.count(annotations.words, annotations.subject_N)
    forest = TagForest(count_NT, is_NK, n_trees=settings.n_trees, seed=settings.seed)
    order_T = np.argsort(-forest.importance_T, kind="stable")
    names = [terms.names[t] for t in order_T]
    table = pd.DataFrame(
        {
            "rank": np.arange(1, len(names) + 1),
            "tag": names,
            "importance": forest.importance_T[order_T],
            "subjects": (count_NT[:, order_T] > 0).sum(0),
            "phrases": ["; ".join(terms.phrases_of(name)[:8]) for name in names],
        }
    )
    counts = pd.DataFrame(count_NT[:, order_T[: settings.tags]].astype(int), columns=names[: settings.tags])
    return table, counts.set_index(pd.Index(annotations.subject_N, name="subject"))
