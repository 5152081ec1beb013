"""Counts of volunteers' answers to several questions. Legend: N sources, A answers of all questions, Q questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equirgz.errors import DataError, InputError, require
from equirgz.metrics.votes import dirichlet_multinomial_nll, vote_shares
from equirgz.tasks.base import TASKS, Headline, Kept, Named, Row, Targets, Task, has_columns, make_row


@dataclass(frozen=True)
class Votes(Task):
    """Dirichlet concentrations of the answers to each question, scored by the likelihood of the votes.

    A target is votes_NA: counts in the columns ``vote_Q_A`` of the set's table, NaN where a question was not asked.
    An answer is concentration_NA > 0. A source without votes has no target.
    """

    questions: tuple[int, ...]
    name = "votes"
    titles = {
        "votes/nll": "Negative log-likelihood of votes",
        "votes/share_error": "Mean absolute error of the shares of answers",
        "votes/majority_error": "Questions whose most frequent answer is missed",
    }
    kept = {"target": "t", "concentration": "c"}
    averaged = "concentration"

    @property
    def n_outputs(self) -> int:
        return sum(self.questions)

    @property
    def headline(self) -> Headline:
        title = "Negative log-likelihood of votes"
        return Headline("votes/nll", "nll", title, "nat", "lower", "test NLL of votes (nat)", "NLL of votes", "nat")

    @property
    def shown(self) -> tuple[str, ...]:
        return (self.headline.metric, "votes/share_error", "votes/majority_error")

    def columns(self) -> list[str]:
        """Return the names of the table's columns, in order."""
        return [f"vote_{q}_{a}" for q, n in enumerate(self.questions) for a in range(n)]

    def has_targets(self, images: Targets) -> bool:
        return has_columns(images, self.columns())

    def no_targets(self, n: int, size: int) -> np.ndarray:
        return np.full((n, self.n_outputs), np.nan)

    def targets(self, images: Targets) -> np.ndarray:
        for name in self.columns():
            if name not in images.table.columns:
                raise DataError(
                    f"{images.name}: votes",
                    expected=f"a column for each answer of questions {list(self.questions)}",
                    got=f"none called {name}",
                    mend="use a set with votes, such as synthetic_votes, or leave questions out",
                )
        return images.table[self.columns()].to_numpy(np.float64, copy=True)

    def known(self, target_N: np.ndarray) -> np.ndarray:
        return np.nan_to_num(np.asarray(target_N, np.float64)).sum(1) > 0

    def check(self, target_N: np.ndarray) -> None:
        votes_NA = np.asarray(target_N)
        if votes_NA.ndim != 2 or votes_NA.shape[1] != self.n_outputs:
            expected = f"one column for each of {self.n_outputs} answers"
            raise InputError("votes", expected=expected, got=f"an array {votes_NA.shape}")
        count_NA = np.nan_to_num(votes_NA.astype(np.float64))
        if (count_NA < 0).any() or (count_NA != count_NA.round()).any():
            raise InputError("votes: expected whole numbers of 0 or more, or NaN where missing; got others")
        for q, asked_NA in enumerate(self.split(count_NA)):
            if asked_NA.sum() == 0:
                raise InputError(f"votes: question {q} has none from any source; leave the question out")

    def split(self, array_NA: np.ndarray) -> list[np.ndarray]:
        """Return the columns of each question."""
        return np.split(array_NA, np.cumsum(self.questions)[:-1], axis=-1)

    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        return {"target": np.asarray(target_N, np.float64), "concentration": np.asarray(answer_N)}

    def _nll(self, kept: Kept) -> np.ndarray:
        """Return nll_NQ in nat, NaN where a question has no votes."""
        pairs = zip(self.split(kept["target"]), self.split(kept["concentration"]), strict=True)
        return np.stack([dirichlet_multinomial_nll(votes, concentration) for votes, concentration in pairs], -1)

    def score(self, kept: Kept) -> list[Row]:
        known_N = self.known(kept["target"])
        if not known_N.any():
            return []
        known = {name: array[known_N] for name, array in kept.items()}
        n, asked, wrong = len(known["target"]), [], []
        for votes_NA, concentration_NA in zip(
            self.split(known["target"]), self.split(known["concentration"]), strict=True
        ):
            share_NA, has_N = vote_shares(votes_NA), np.nan_to_num(votes_NA).sum(1) > 0
            mean_NA = concentration_NA / concentration_NA.sum(1, keepdims=True)
            asked.append(np.abs(mean_NA - share_NA)[has_N].ravel())
            wrong.append((mean_NA.argmax(1) != np.nan_to_num(share_NA).argmax(1))[has_N])
        return [
            make_row("votes/nll", np.nanmean(self._nll(known)), "nat", "lower", n),
            make_row("votes/share_error", np.concatenate(asked).mean(), "1", "lower", n),
            make_row("votes/majority_error", 100 * np.concatenate(wrong).mean(), "%", "lower", n),
        ]

    def loss_per_source(self, kept: Kept) -> np.ndarray:
        nll_NQ = self._nll(kept)
        asked_N = np.isfinite(nll_NQ).sum(1)
        return np.divide(np.nansum(nll_NQ, 1), asked_N, out=np.full(len(nll_NQ), np.nan), where=asked_N > 0)


@TASKS.register("votes")
def votes(images: Named | Targets, *, questions: Sequence[int]) -> Votes:
    """Votes of several people on several questions.

    Parameters
    ----------
    questions : number of answers of each question, in the order of the columns ``vote_Q_A``.
    """
    require(all(n >= 2 for n in questions) and len(questions) > 0, "task votes: questions",
            expected="at least one question, of two answers or more each", got=list(questions))  # fmt: skip
    return Votes(tuple(int(n) for n in questions))
