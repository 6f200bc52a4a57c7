"""Advice about the classes: which two are hardly told apart, which hold two kinds of items, which cannot be learned."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check, joined
from auditor.quality.classes import NO_CLASSES
from auditor.quality.groups import Group
from auditor.quality.outliers import NO_EMBEDDINGS
from auditor.quality.slices import NO_PREDICTIONS, cluster_of, drawn
from auditor.quality.subject import Predictions, Subject
from auditor.stats.bimodality import valley_depth
from auditor.stats.intervals import clopper_pearson

#: Fewest items of a class that advice is given about, and of one that is divided.
FEWEST, FEWEST_DIVIDED = 30, 100
#: Pairs below this share of each other's items are told apart well enough not to be looked at.
CONFUSED = 0.1
SEED = 0


@check("DQ702", "info", "two classes are hardly told apart; they may be one, or need a guideline")
def overlapping_classes(subject: Subject, accuracy: float = 0.7, level: float = 0.95) -> Findings | NotApplicable:
    """Pairs of classes of whose items the model tells at most `accuracy` apart (0.5 is chance), out of sample.

    Of the two classes the likelier one counts, whatever other class is likelier still; the mean over both is compared
    with its upper limit, at `level` over all pairs together. With embeddings also: how many of the nearest items of
    the two have the label of the other.
    """
    if (reason := _why_not(subject)) is not None:
        return NotApplicable(reason)
    told = _told(subject)
    labels, p, rows = subject.labels[told.rows], told.probabilities, told.rows
    counts = np.bincount(labels, minlength=p.shape[1])
    confusion = np.zeros((len(counts), len(counts)))
    np.add.at(confusion, (labels, told.predicted), 1)
    large = np.flatnonzero(counts >= FEWEST)
    if len(large) < 2:
        return NotApplicable(f"fewer than two classes have {FEWEST} predicted items")
    pairs = list(combinations(large.tolist(), 2))
    found: list[dict[str, Any]] = []
    for a, b in pairs:
        if confusion[a, b] + confusion[b, a] < CONFUSED * (counts[a] + counts[b]):
            continue
        sides = [_recall(labels == one, p[:, one] > p[:, other], level, len(pairs)) for one, other in ((a, b), (b, a))]
        mean, high = (sum(values) / 2 for values in zip(*sides, strict=True))
        if high <= accuracy:
            names = [subject.class_names[k] for k in (a, b)]
            row = {"classes": names, "told apart": round(mean, 4), "at most": round(high, 4)}
            found.append(row | {"neighbours": _mixed(subject, a, b), "pair": (a, b)})
    found.sort(key=lambda row: row["told apart"])
    groups = [Group("classes", rows[np.isin(labels, row.pop("pair"))]) for row in found]
    facts = {"pairs": len(pairs), "overlapping": found}
    if not found:
        return Findings(f"all {len(pairs)} pairs of classes are told apart", facts=facts, found=False)
    words = [f"{' and '.join(row['classes'])} ({row['told apart']:.2f})" for row in found]
    return Findings(
        f"{len(found)} pair(s) hardly told apart: {joined(words)}", groups=tuple(groups), facts=facts, found=True
    )


def _recall(own: np.ndarray, taken: np.ndarray, level: float, pairs: int) -> tuple[float, float]:
    """Share of a class that is told from another, and its upper limit."""
    hits, n = int(taken[own].sum()), int(own.sum())
    return hits / n, clopper_pearson(hits, n, 1 - 2 * (1 - level) / (2 * pairs)).high


def _mixed(subject: Subject, a: int, b: int) -> float | None:
    """Of the nearest items of two classes that are of either, the share of the other one; None without embeddings."""
    near = subject.neighbours
    if near is None:
        return None
    own = subject.labels[near.rows]
    others = np.where(near.positions >= 0, subject.labels[near.positions], -1)
    here = np.isin(own, (a, b))
    among = np.isin(others[here], (a, b))
    other = among & (others[here] != own[here][:, None])
    return round(float(other.sum() / max(1, among.sum())), 4)


@check("DQ703", "info", "a class holds two kinds of items; it may be two classes")
def divided_classes(subject: Subject, deep: float = 0.5, share: float = 0.15) -> Findings | NotApplicable:
    """Classes whose items fall into two clusters of embeddings with few items between them.

    Two means are sought among half of the items of a class; the other half is laid on the line that tells them apart
    best. The valley between its two peaks must be `deep` as high as the lower one at most, and each side hold `share`
    of the items, both times when the halves are exchanged.
    """
    near = subject.neighbours
    if not subject.classes:
        return NotApplicable(NO_CLASSES)
    if near is None or near.distances is not None:
        # Columns of a table divide every class: by sex, by site.
        return NotApplicable(NO_EMBEDDINGS if near is None else "columns of a table are no embeddings")
    use = np.flatnonzero((subject.examined & subject.usable & (subject.exact == np.arange(len(subject))))[near.rows])
    labels = subject.labels[near.rows[use]]
    counts = np.bincount(labels, minlength=len(subject.class_names))
    asked = np.flatnonzero(counts >= FEWEST_DIVIDED)
    if not len(asked):
        return NotApplicable(f"no class has {FEWEST_DIVIDED} different embedded items")
    found: list[dict[str, Any]] = []
    groups: list[Group] = []
    valleys = {}
    for k in asked.tolist():
        own = use[labels == k]
        vectors = np.asarray(near.vectors[own], np.float64)
        depth = valley_depth(vectors, share, SEED)
        valleys[subject.class_names[k]] = round(depth, 3)
        if depth <= deep:
            side = cluster_of(near, own, 2)
            parts = sorted((near.rows[own[side == s]] for s in (0, 1)), key=len, reverse=True)
            found.append({"class": subject.class_names[k], "valley": round(depth, 3), "parts": list(map(len, parts))})
            groups += [Group("cluster", np.sort(part).astype(np.int64)) for part in parts if len(part) > 1]
    facts = {"asked": len(asked), "divided": found, "valleys": valleys}
    if not found:
        return Findings(f"none of {len(asked)} classes falls into two", facts=facts, found=False)
    words = [f"{row['class']} ({row['parts'][0]:,} and {row['parts'][1]:,})" for row in found]
    return Findings(
        f"{len(found)} class(es) of two kinds: {joined(words)}", groups=tuple(groups), facts=facts, found=True
    )


@check("DQ704", "warning", "the item's class is not learned, or most of its labels are suspected")
def unlearnable_classes(subject: Subject, informed: float = 0.1, level: float = 0.95) -> Findings | NotApplicable:
    """Classes that the model recognises hardly better than by chance, and classes most of whose labels are suspected.

    The share of a class that is predicted right less the share of the others that are taken for it is below `informed`,
    and so is the same of the nearest items where there are embeddings; or more than half of its labels are flagged.
    Both with limits at `level` over all classes together.
    """
    if (reason := _why_not(subject)) is not None:
        return NotApplicable(reason)
    told = _told(subject)
    labels, predicted, rows = subject.labels[told.rows], told.predicted, told.rows
    counts = np.bincount(labels, minlength=len(subject.class_names))
    large = np.flatnonzero(counts >= FEWEST)
    if len(large) < 2:
        return NotApplicable(f"fewer than two classes have {FEWEST} predicted items")
    suspected = np.zeros(len(labels), bool) if told.flagged is None else told.flagged
    confidence = 1 - 2 * (1 - level) / len(large)
    votes = _nearest_label(subject)
    found = []
    for k in large.tolist():
        own, n = labels == k, int(counts[k])
        right = clopper_pearson(int((predicted[own] == k).sum()), n, confidence)
        false = clopper_pearson(int((predicted[~own] == k).sum()), len(labels) - n, confidence)
        wrong = clopper_pearson(int(suspected[own].sum()), n, confidence)
        by_votes = None if votes is None else float((votes[rows[own]] == k).mean() - (votes[rows[~own]] == k).mean())
        lost = right.high - false.low < informed and (by_votes is None or by_votes < informed)
        if lost or wrong.low > 0.5:
            row = {"class": subject.class_names[k], "n": n, "right": round(right.value, 4)}
            row |= {"suspected": round(wrong.value, 4), "neighbours": by_votes and round(by_votes, 4)}
            found.append(row | {"why": "not learned" if lost else "mostly suspected"})
    facts = {"asked": len(large), "classes": found}
    if not found:
        return Findings(f"all {len(large)} classes are recognised better than by chance", facts=facts, found=False)
    names = [str(row["class"]) for row in found]
    items = rows[np.isin(labels, [subject.class_names.index(name) for name in names])].astype(np.int64)
    words = joined([f"{row['class']} ({row['why']}, {row['right']:.0%} right)" for row in found])
    return Findings(f"{len(found)} class(es): {words}", items, facts=facts, found=True)


def _why_not(subject: Subject) -> str | None:
    return NO_CLASSES if not subject.classes else NO_PREDICTIONS if subject.predictions is None else None


def _told(subject: Subject) -> Predictions:
    """The predictions of the examined items with content; none where there are no predictions."""
    nothing = Predictions(np.empty(0, np.int64), np.empty((0, len(subject.class_names))))
    return nothing if subject.predictions is None else drawn(subject, subject.predictions)


def _nearest_label(subject: Subject) -> np.ndarray | None:
    """The most frequent label among the nearest of each item, int64 (n,), -1 where there are none."""
    near = subject.neighbours
    if near is None:
        return None
    result = np.full(len(subject), -1)
    for start in range(0, len(near.rows), 65_536):
        positions = near.positions[start : start + 65_536]
        found = np.where(positions >= 0, subject.labels[positions], -1)
        # Times that each of the labels occurs; the nearest of the most frequent ones counts.
        times = (found[:, :, None] == found[:, None, :]).sum(axis=2) * (found >= 0)
        result[near.rows[start : start + 65_536]] = found[np.arange(len(found)), times.argmax(axis=1)]
    return result
