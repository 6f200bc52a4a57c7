"""Published crowd verdicts (``mturk.json``) as corrections, and their counts without any labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.verdicts.judged import BOTH, GIVEN, GUESSED, NEITHER, STATES, Decision, Judged, vote_posterior
from auditor.core.errors import DataError, LabelError
from auditor.data.label_lists import load_label_lists
from auditor.review.published import (
    PublishedItem,
    category,
    check_rows,
    consensus_counts,
    label_numbers,
    place_published,
    published_rows,
)

_STATE: Final = {name: k for k, name in enumerate(STATES)}
_VOTE: Final = {"given": GIVEN, "guessed": GUESSED, "both": BOTH}


def published_counts(items: Sequence[PublishedItem], k: int) -> dict[str, int | None]:
    """Table 2 for one file; None where the schema has no such split (audioset).

    A category that the answers of a schema cannot give (multi-label and neither in imdb and amazon) is 0.
    """
    counts = consensus_counts(items, k)
    table: dict[str, int | None] = {"checked": counts["checked"], "non_errors": counts["non-error"]}
    table["errors"] = counts["errors"]
    for name in ("non_agreement", "correctable", "multi_label", "neither"):
        table[name] = None if items[0].schema == "audioset" else counts[name.replace("_", "-")]
    return table


def published_split(items: Sequence[PublishedItem], k: int) -> dict[str, int]:
    """Items without agreement by what a majority said instead: nothing, another answer, or off-topic."""
    split: Counter[str] = Counter({"no_majority": 0, "other_class_or_neutral": 0, "off_topic": 0})
    for item in items:
        if item.schema == "audioset" or category(item, k) != "non-agreement":
            continue
        rest = [a for a, n in item.votes.items() if a not in ("given", "guessed", "both", "neither") and n >= k]
        kind = "no_majority" if not rest else "off_topic" if "off-topic" in rest else "other_class_or_neutral"
        split[kind] += 1
    return dict(split)


def check_lists(items: Sequence[PublishedItem], path: Path, index: Sequence[str] | None) -> int:
    """Check audioset's verdicts against its label lists (and URLs); returns the number of rows.

    Raises
    ------
    LabelError
        If an item has another number of labels, or another address, than its row.
    """
    lists = load_label_lists(path)
    for item in items:
        row = int(item.id)
        if not 0 <= row < len(lists) or len(lists[row]) != len(item.given):
            raise LabelError(f"item {item.id!r} was judged with {len(item.given)} labels; row {row} has others.")
        if index is not None and index[row] != item.url:
            raise LabelError(f"item {item.id!r} was judged at {item.url!r}; the index has {index[row]!r} there.")
    return len(lists)


def judge_published(items: Sequence[PublishedItem], given_labels: GivenLabels) -> Judged:
    """Put verdicts on the rows of `given_labels`, every given label checked.

    Raises
    ------
    DataError
        If the verdicts cannot be put on rows (several labels per item), or two items have one row.
    LabelError
        If a given label differs.
    """
    if items[0].schema == "audioset":
        raise DataError(
            "these items have several labels each, and votes for each label: there is no one corrected label.",
            "Such verdicts can be counted: auditor verdicts FILE",
        )
    index = given_labels.other_names or given_labels.names
    notes: list[str] = []
    if given_labels.class_names is not None and len(set(given_labels.class_names)) == len(given_labels.class_names):
        number = {name: k for k, name in enumerate(given_labels.class_names)}
        names = dict(enumerate(given_labels.class_names))
        here = [names.get(label, "") for label in given_labels.labels.tolist()]
        items, rows, notes = place_published(items, given_labels.class_names, here, index)
        if unnamed := [item.id for item in items if not {item.given[0], item.guessed[0]} <= set(number)]:
            raise DataError(f"the item {unnamed[0]!r} names a class that the data does not have.")
        given = np.array([number[item.given[0]] for item in items], np.int64)
        guess = np.array([number[item.guessed[0]] for item in items], np.int64)
    else:
        rows = published_rows(items, index)
        given, guess = label_numbers(items)
        check_rows(items, rows, given_labels.labels.tolist(), given.tolist())

    def decide(k: int) -> Decision:
        state = np.array([_STATE[category(item, k)] for item in items], np.int8)
        label = np.where(state == GIVEN, given, np.where(state == GUESSED, guess, -1))
        return Decision(state, label)

    how = (
        "Items whose given label a model doubted were shown to people, five for each; a label counts as wrong unless "
        "enough of them kept it, and is corrected to the model's guess where enough of them chose it."
    )
    pairs = {j: (int(given[j]), int(guess[j])) for j in range(len(items))}
    votes, shown = [votes_for(item) for item in items], np.where(guess == given, -1, guess)
    return Judged("published", how, rows, shown, decide, pairs, (3, 4, 5), votes, _posterior(items), notes=tuple(notes))


def votes_for(item: PublishedItem) -> dict[str, int]:
    """Answers of the people, without the second copy of the same votes where both labels are one."""
    return {a: n for a, n in item.votes.items() if not (a == "guessed" and item.given == item.guessed)}


def _posterior(items: Sequence[PublishedItem]) -> np.ndarray:
    """The files do not say who voted: all votes are one person's, whose confusions are those of the crowd."""
    at: list[int] = []
    states: list[int] = []
    for j, item in enumerate(items):
        for answer, n in votes_for(item).items():
            at += [j] * n
            states += [_VOTE.get(answer, NEITHER)] * n
    return vote_posterior(np.array(at, np.int64), np.zeros(len(at), np.int64), np.array(states, np.int64), len(items))


def table_1(errors: int, checked: int, size: int | None, flagged: int | None) -> dict[str, Any]:
    """Share of wrong labels and precision of the flags (Table 1); None where `size` is not known.

    With `flagged` above `checked` only a sample was judged: the errors are scaled up.
    """
    estimated = flagged * errors / checked if flagged is not None and flagged > checked else float(errors)
    return {
        "size": size,
        "flagged": checked if flagged is None else flagged,
        "estimated_errors": estimated,
        "percent_error": None if not size else 100 * estimated / size,
        "precision": errors / checked if checked else None,
    }
