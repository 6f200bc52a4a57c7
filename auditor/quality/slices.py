"""Parts of the data in which the model or the labels are worse than elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from auditor.quality.base import Findings, NotApplicable, check
from auditor.quality.groups import Group
from auditor.quality.properties import Property, properties
from auditor.quality.subject import Neighbours, Predictions, Subject
from auditor.stats.intervals import wilson
from auditor.stats.slices import SliceTest, worse_slices

#: Fewest items of a slice, and the least share of the items; fewest items in all.
FEWEST, LEAST_SHARE, FEWEST_ITEMS = 25, 0.01, 200
#: Where quantities are cut: fifths, and the ends.
CUTS, ENDS = (0.2, 0.4, 0.6, 0.8), (0.05, 0.95)
#: Items of a cluster of embeddings, about; and the most clusters, and dimensions in which they are sought.
PER_CLUSTER, MOST_CLUSTERS, WIDTH = 200, 40, 64
#: Shuffled sets, items that are drawn where there are more, and slices that are named.
DRAWS, MOST, NAMED = 999, 50_000, 20
#: A slice is named once: not with another that shares more than this of the smaller one.
OVERLAP = 0.5
SEED = 0
NO_PREDICTIONS = "nothing was predicted; auditor find-errors looks, or give --pred-probs"


@dataclass(frozen=True, eq=False)
class Slice:
    """Some items with something in common: the words for it, and their positions among the predicted ones."""

    words: str
    members: np.ndarray


@check("DQ701", "warning", "in a part of the data the model or the labels are worse than elsewhere")
def weak_slices(subject: Subject, alpha: float = 0.05, times: float = 1.25) -> Findings | NotApplicable:
    """Slices by properties of the items and clusters of their embeddings.

    Two things may go wrong with an item: the model disagrees with a label that is not suspected, and the label is
    suspected. Each slice is compared with what its classes let expect, and named where a set in which the same errors
    were shuffled within the classes would show a slice as bad in at most `alpha` of all cases, over all slices; and
    where `times` as many go wrong as expected. The items are those that go wrong in the slices named.
    """
    if not subject.classes or subject.predictions is None:
        return NotApplicable("the labels are no classes" if not subject.classes else NO_PREDICTIONS)
    told = drawn(subject, subject.predictions)
    if len(told.rows) < FEWEST_ITEMS:
        return NotApplicable(f"{len(told.rows)} predicted items are too few to be divided (at least {FEWEST_ITEMS})")
    slices = list(candidates(subject, told.rows))
    labels = subject.labels[told.rows]
    disagrees, suspected = told.predicted != labels, told.flagged
    outcomes = [("model", disagrees, np.ones(len(labels), bool) if suspected is None else ~suspected)]
    if suspected is not None:
        outcomes.append(("labels", suspected, np.ones(len(labels), bool)))
    rows: list[dict[str, Any]] = []
    for what, wrong, looked in outcomes:
        rows += _named(slices, what, wrong, looked, labels, alpha / len(outcomes), times)
    rows.sort(key=lambda row: -row["z"])
    groups = tuple(Group("slice", told.rows[slices[row["slice"]].members]) for row in rows)
    failing = [told.rows[row.pop("failing")] for row in rows]
    items, first = np.unique(np.concatenate([np.empty(0, np.int64), *failing]), return_index=True)
    order = np.argsort(first, kind="stable")
    words = [slices[row.pop("slice")].words for row in rows]
    at: np.ndarray = np.repeat(np.arange(len(rows)), np.array([len(f) for f in failing], int))[first[order]]
    facts = {
        "tested": len(slices),
        "alpha": alpha,
        "draws": DRAWS,
        "predicted": len(told.rows),
        "slices": [{"slice": name, **row} for name, row in zip(words, rows, strict=True)],
    }
    if not rows:
        return Findings(f"none of {len(slices)} slices is worse than its classes let expect", facts=facts)
    told_of = "; ".join(
        f"{name}: {_WHAT[row['what']]} {row['rate']:.1%} of {row['n']:,}, {row['elsewhere']:.1%} elsewhere"
        for name, row in list(zip(words, rows, strict=True))[:3]
    )
    summary = f"{len(rows)} of {len(slices)} slices are worse than their classes let expect: {told_of}"
    return Findings(summary, items[order], notes=tuple(words[k] for k in at), groups=groups, facts=facts, found=True)


_WHAT = {"model": "the model errs on", "labels": "suspected are"}


def drawn(subject: Subject, predictions: Predictions) -> Predictions:
    """The predictions of the examined items with content, of at most `MOST`."""
    use = np.flatnonzero((subject.examined & subject.usable)[predictions.rows])
    if len(use) > MOST:
        use = np.sort(np.random.default_rng(SEED).choice(use, MOST, replace=False))
    flagged = None if predictions.flagged is None else predictions.flagged[use]
    return Predictions(predictions.rows[use], predictions.probabilities[use], flagged)


def _named(
    slices: list[Slice],
    what: str,
    wrong: np.ndarray,
    looked: np.ndarray,
    labels: np.ndarray,
    alpha: float,
    times: float,
) -> list[dict[str, Any]]:
    """The slices that stand out in one respect, the clearest first, without those that say the same again."""
    if not slices or not wrong[looked].any() or wrong[looked].all():
        return []
    held = np.repeat(np.arange(len(slices)), [len(s.members) for s in slices])
    members = np.concatenate([s.members for s in slices])
    ones = np.ones(len(members), np.float32)
    matrix = csr_matrix((ones, (held, members)), shape=(len(slices), len(labels)))[:, looked]
    test = worse_slices(matrix, wrong[looked], labels[looked], DRAWS, SEED)
    hits = np.flatnonzero((test.p <= alpha) & (test.wrong >= times * test.expected))
    rows: list[dict[str, Any]] = []
    taken: list[np.ndarray] = []
    for k in hits[np.argsort(-test.z[hits], kind="stable")]:
        inside = slices[k].members[looked[slices[k].members]]
        if len(rows) == NAMED or any(_same(inside, other) for other in taken):
            continue
        taken.append(inside)
        rows.append(_row(what, int(k), test, int(wrong[looked].sum()), int(looked.sum())))
        rows[-1]["failing"] = inside[wrong[inside]]
    return rows


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return len(np.intersect1d(one, other)) > OVERLAP * min(len(one), len(other))


def _row(what: str, k: int, test: SliceTest, wrong: int, n: int) -> dict[str, Any]:
    size, hits = int(test.sizes[k]), int(test.wrong[k])
    interval = wilson(hits, size)
    return {
        "what": what,
        "n": size,
        "wrong": hits,
        "rate": round(hits / size, 4),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
        "elsewhere": round((wrong - hits) / max(1, n - size), 4),
        "expected": round(float(test.expected[k]) / size, 4),
        "z": round(float(test.z[k]), 2),
        "p": round(float(test.p[k]), 5),
        "slice": k,
    }


def candidates(subject: Subject, rows: np.ndarray) -> Iterator[Slice]:
    """All slices of some items; members are places in `rows`.

    Parameters
    ----------
    subject : Subject
    rows : int64 array (m,)
        Ascending positions.
    """
    least = max(FEWEST, int(LEAST_SHARE * len(rows)))
    for found in (*_parts(subject, rows), *_of_properties(subject, rows), *_clusters(subject, rows)):
        if least <= len(found.members) <= len(rows) - least:
            yield found


def _parts(subject: Subject, rows: np.ndarray) -> Iterator[Slice]:
    parts = subject.part[rows]
    for name in np.unique(parts):
        yield Slice(f"part {name}", np.flatnonzero(parts == name))


def _of_properties(subject: Subject, rows: np.ndarray) -> Iterator[Slice]:
    for found in [*properties(subject), *_columns(subject)]:
        values = found.values[rows]
        if found.words is not None:
            for number, word in enumerate(found.words):
                yield Slice(f"{found.name} {word!r}", np.flatnonzero(values == number))
        elif values.ndim == 1:
            yield from _ranges(found.name, values)


def _columns(subject: Subject) -> Iterator[Property]:
    """The columns of a table."""
    if subject.frame is None:
        return
    for name in subject.frame.columns:
        column = subject.frame[name]
        if column.dtype == "category":
            words = tuple(map(str, column.cat.categories))
            if len(words) <= 50:
                yield Property(str(name), "seen", column.cat.codes.to_numpy(np.float64), words)
        else:
            yield Property(str(name), "seen", column.to_numpy(np.float64))


def _ranges(name: str, values: np.ndarray) -> Iterator[Slice]:
    """Fifths of a quantity and its ends; its values where there are few; items without it."""
    known = np.isfinite(values)
    if not known.all():
        yield Slice(f"{name} missing", np.flatnonzero(~known))
    different = np.unique(values[known])
    if len(different) <= len(CUTS) + 1:
        for value in different if len(different) > 1 else ():
            yield Slice(f"{name} {value:.4g}", np.flatnonzero(values == value))
        return
    cuts = np.unique(np.quantile(values[known], CUTS))
    place = np.where(known, np.searchsorted(cuts, values, side="right"), -1)
    for k in range(len(cuts) + 1):
        low = f"{name} from {cuts[k - 1]:.4g}" if k else ""
        high = f"below {cuts[k]:.4g}" if k < len(cuts) else ""
        yield Slice(f"{low} {high}".strip() if k else f"{name} {high}", np.flatnonzero(place == k))
    below, above = np.quantile(values[known], ENDS)
    yield Slice(f"{name} up to {below:.4g}", np.flatnonzero(known & (values <= below)))
    yield Slice(f"{name} at least {above:.4g}", np.flatnonzero(known & (values >= above)))


def _clusters(subject: Subject, rows: np.ndarray) -> Iterator[Slice]:
    """Clusters of embeddings, named by their most frequent classes."""
    near = subject.neighbours
    if near is None:
        return
    place = np.searchsorted(near.rows, rows)
    place[place == len(near.rows)] = 0
    known = np.flatnonzero(near.rows[place] == rows)
    k = min(MOST_CLUSTERS, len(known) // PER_CLUSTER)
    if k < 2:
        return
    cluster = cluster_of(near, place[known], k)
    for number in range(k):
        members = known[cluster == number]
        counts = np.bincount(subject.labels[rows[members]], minlength=len(subject.class_names))
        top = [subject.class_names[c] for c in np.argsort(-counts, kind="stable")[:2] if counts[c]]
        yield Slice(f"cluster {number + 1} (most of it {' and '.join(top)})", members)


def cluster_of(near: Neighbours, at: np.ndarray, k: int) -> np.ndarray:
    """Cluster of each of some embedded items, int64 (m,): k-means among their leading directions.

    Wide rows are narrowed a few at a time: those of many pictures are larger than what else the checks hold.

    Parameters
    ----------
    near : Neighbours
    at : int64 array (m,)
        Rows of ``near.vectors``.
    k : int
    """
    from sklearn.cluster import MiniBatchKMeans

    from auditor.detect.approximate import leading_axes, sampled_rows
    from auditor.detect.neighbours import unit_rows

    def unit(rows: np.ndarray) -> np.ndarray:
        vectors = np.asarray(near.vectors[rows], np.float32)
        return unit_rows(vectors) if near.distances is None else vectors

    if near.vectors.shape[1] > WIDTH:
        axes = leading_axes(unit(at[sampled_rows(len(at))]), WIDTH)
        vectors = np.concatenate([unit(at[start : start + 4096]) @ axes for start in range(0, len(at), 4096)])
    else:
        vectors = unit(at)
    means = MiniBatchKMeans(k, n_init=3, batch_size=2048, max_iter=50, random_state=SEED)
    return np.asarray(means.fit_predict(vectors), np.int64)
