"""What several reviewers together say about an item: counting rules, Dawid-Skene and CROWDLAB.

All rules read a `VoteTable` and give one `ItemConsensus` per judged item, in the table's order. An adjudicator's
verdict overrides every rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from auditor.core.errors import ConfigError, ProbabilityError
from auditor.review.crowdlab import crowdlab
from auditor.review.dawid_skene import dawid_skene
from auditor.review.vocabulary import OTHER, VERDICTS, canonical, label_of, names_class, other, outcome
from auditor.review.votes import VoteTable

#: Enough reviewers, but no verdict reached the number of votes the rule asks for.
NO_AGREEMENT: Final = "no_agreement"
#: Not yet as many votes as the rule asks for, and no verdict has won without them.
INCOMPLETE: Final = "incomplete"
#: Votes per item from which on Dawid-Skene knows more than the majority (detection-and-statistics, 12).
ENOUGH_VOTES: Final = 3.0


@dataclass(frozen=True)
class ItemConsensus:
    """The consensus about one item.

    Attributes
    ----------
    item_id : str
    verdict : str
        ``given``, ``suggested``, ``other:<class>``, ``new:<class>``, ``both``, ``neither``, ``unsure``, ``bad_item``,
        or one of `NO_AGREEMENT` and `INCOMPLETE`.
    label : str or None
        Class name that is right according to `verdict`: the given one for ``given``, the new one for ``suggested``
        and ``other:<class>``. For ``both`` the class that applies besides the given one. None otherwise.
    votes : dict of str to int
        Count of every verdict that occurs.
    n : int
        Number of votes, the sum of `votes`.
    posterior : float or None
        Probability of `verdict` under the consensus model; None where the rule has none.
    """

    item_id: str
    verdict: str
    label: str | None
    votes: dict[str, int]
    n: int
    posterior: float | None


@dataclass(frozen=True)
class ErrorCounts:
    """Judged items by what the consensus says about the given label.

    `ambiguous` is both, unsure and no agreement. `strict` counts ambiguous items as wrong, `lenient` as right;
    `bad_item` and `incomplete` are in neither. The published counts are the strict ones.
    """

    checked: int
    right: int
    wrong: int
    ambiguous: int
    bad_item: int
    incomplete: int

    @property
    def strict(self) -> int:
        return self.wrong + self.ambiguous

    @property
    def lenient(self) -> int:
        return self.wrong


def count_errors(consensus: Sequence[ItemConsensus]) -> ErrorCounts:
    """Count the outcomes, ambiguous apart from wrong."""
    outcomes = Counter(outcome(item.verdict) for item in consensus)
    return ErrorCounts(
        len(consensus),
        outcomes["right"],
        outcomes["wrong"],
        outcomes["ambiguous"],
        outcomes["bad_item"],
        outcomes["incomplete"],
    )


def k_of_n(table: VoteTable, k: int = 3, n: int = 5) -> list[ItemConsensus]:
    """A verdict holds with `k` votes; the label is an error when "given" gets fewer than `k` of `n`.

    Parameters
    ----------
    table : VoteTable
    k : int
        Votes a verdict needs. Counts are absolute. If two verdicts have `k`, given goes before suggested, both,
        neither and the rest.
    n : int
        Votes wanted per item; an item with fewer and no winner is `INCOMPLETE`, one with enough `NO_AGREEMENT`.

    Raises
    ------
    ConfigError
        If not 1 <= k <= n.

    Source
    ------
    Northcutt, Athalye, Mueller 2021; corrected-benchmark, 3.1.
    """
    if not 1 <= k <= n:
        raise ConfigError(f"{k} of {n} votes is no rule.", "k must be between 1 and n.")

    def decide(votes: Counter[str]) -> str:
        for verdict in VERDICTS:
            if votes[verdict] >= k:
                return verdict
        named = [(count, name) for name, count in votes.items() if count >= k]
        if named:
            return min(named, key=lambda pair: (-pair[0], pair[1]))[1]
        return NO_AGREEMENT if votes.total() >= n else INCOMPLETE

    return _counted(table, decide)


def majority(table: VoteTable) -> list[ItemConsensus]:
    """The verdict with the most votes; a tie is `NO_AGREEMENT`."""
    return _counted(table, _most)


def _most(votes: Counter[str]) -> str:
    ranked = votes.most_common(2)
    tied = len(ranked) > 1 and ranked[0][1] == ranked[1][1]
    return NO_AGREEMENT if tied or not ranked else ranked[0][0]


def _consensus(
    table: VoteTable, decide: Callable[[int, Counter[str]], tuple[str, float | None]]
) -> list[ItemConsensus]:
    """Verdict and posterior of every item by its number and votes, and the adjudicators' in their place."""
    result = [_item(table, i, *decide(i, votes), votes) for i, votes in enumerate(_votes(table))]
    settled = np.flatnonzero(table.streams == "adjudication")
    # The last adjudicator has the last word.
    for row in settled[np.argsort(table.server_time[settled], kind="stable")]:
        i = int(table.items[row])
        result[i] = _item(table, i, str(table.verdicts[row]), None, Counter(result[i].votes))
    return result


def _counted(table: VoteTable, rule: Callable[[Counter[str]], str]) -> list[ItemConsensus]:
    posterior, categories = _category_posterior(table)
    enough = len(table.item_ids) > 0 and len(table.items) / len(table.item_ids) >= ENOUGH_VOTES

    def decide(i: int, votes: Counter[str]) -> tuple[str, float | None]:
        verdict = rule(votes)
        # A share of votes is no probability; with enough votes the model of the reviewers gives one.
        if not enough or verdict in (NO_AGREEMENT, INCOMPLETE):
            return verdict, None
        return verdict, _share(verdict, votes, posterior[i, categories.index(_category(verdict))])

    return _consensus(table, decide)


def dawid_skene_consensus(table: VoteTable) -> list[ItemConsensus]:
    """The most probable verdict under Dawid-Skene over the kinds of verdicts.

    All ``other:<class>`` and ``new:<class>`` are one kind; the class is the most voted one, `NO_AGREEMENT` when two
    tie. Needs three votes per item to beat the majority.
    """
    posterior, categories = _category_posterior(table)

    def decide(i: int, votes: Counter[str]) -> tuple[str, float | None]:
        best = int(posterior[i].argmax())
        verdict = categories[best]
        if verdict == OTHER:
            verdict = _most(Counter({name: n for name, n in votes.items() if names_class(name)}))
        return verdict, None if verdict == NO_AGREEMENT else _share(verdict, votes, posterior[i, best])

    return _consensus(table, decide)


def crowdlab_consensus(table: VoteTable, probabilities: np.ndarray, class_names: Sequence[str]) -> list[ItemConsensus]:
    """Reviewers and model together, for any number of votes.

    Votes that name a class of the data enter CROWDLAB. Where the others (both, neither, unsure, bad item, a new class)
    are the larger part, the most frequent of them is the verdict and there is no posterior: the model has no opinion on
    them. The posterior of a class is that among the classes.

    Parameters
    ----------
    table : VoteTable
    probabilities : float array (m, K)
        Out-of-sample probabilities of the judged items, in the order of ``table.item_ids``.
    class_names : sequence of str
        Of the columns.

    Raises
    ------
    ProbabilityError
        If the shape does not fit.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape != (len(table.item_ids), len(class_names)):
        raise ProbabilityError(
            f"the probabilities have the shape {p.shape}, not {(len(table.item_ids), len(class_names))}."
        )
    number = {name: k for k, name in enumerate(class_names)}
    named = [label_of(v, table.given[i], table.suggested[i]) for v, i in zip(table.verdicts, table.items, strict=True)]
    labels = np.array([-1 if name is None else number[name] for name in named], dtype=np.int64)
    votes = labels >= 0
    judged, rows = np.unique(table.items[votes], return_inverse=True)
    fit = None
    if len(judged):
        fit = crowdlab(rows, table.reviewers[votes], labels[votes], p[judged], len(table.reviewer_names))
    row_of = {int(item): row for row, item in enumerate(judged)}

    def decide(i: int, count: Counter[str]) -> tuple[str, float | None]:
        unnamed = Counter({v: c for v, c in count.items() if label_of(v, table.given[i], table.suggested[i]) is None})
        if fit is None or i not in row_of or 2 * unnamed.total() > count.total():
            return _most(unnamed), None
        row = row_of[i]
        name = class_names[int(fit.labels[row])]
        verdict = canonical(other(name), table.given[i], table.suggested[i], class_names)
        return verdict, float(fit.posterior[row, fit.labels[row]])

    return _consensus(table, decide)


def _category(verdict: str) -> str:
    return OTHER if names_class(verdict) else verdict


def _category_posterior(table: VoteTable) -> tuple[np.ndarray, list[str]]:
    kinds = [_category(v) for v in table.verdicts]
    categories: list[str] = [v for v in (*VERDICTS, OTHER) if v in set(kinds)]
    number = {name: k for k, name in enumerate(categories)}
    codes = np.array([number[kind] for kind in kinds], dtype=np.int64)
    shape = (len(table.item_ids), len(table.reviewer_names), max(1, len(categories)))
    return dawid_skene(table.items, table.reviewers, codes, shape).posterior, categories


def _share(verdict: str, votes: Counter[str], posterior: float) -> float:
    """Posterior of one class among those voted for as "other", in proportion to their votes."""
    if not names_class(verdict):
        return float(posterior)
    return float(posterior) * votes[verdict] / sum(c for name, c in votes.items() if names_class(name))


def _votes(table: VoteTable) -> list[Counter[str]]:
    counts: list[Counter[str]] = [Counter() for _ in table.item_ids]
    for item, verdict in zip(table.items.tolist(), table.verdicts, strict=True):
        counts[item][verdict] += 1
    return counts


def _item(table: VoteTable, i: int, verdict: str, posterior: float | None, votes: Counter[str]) -> ItemConsensus:
    label = table.suggested[i] if verdict == "both" else label_of(verdict, table.given[i], table.suggested[i])
    # Most votes first; ties by name, so that equal votes give equal files.
    ordered = dict(sorted(votes.items(), key=lambda pair: (-pair[1], pair[0])))
    return ItemConsensus(table.item_ids[i], verdict, label, ordered, votes.total(), posterior)
