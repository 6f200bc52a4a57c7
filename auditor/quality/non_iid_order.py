"""Whether items that follow one another in the data are alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check
from auditor.quality.features import numbers
from auditor.quality.subject import Subject

#: Fewest items of a part whose order is looked at, and the items of a part that are looked at (from its start).
FEWEST, MOST = 50, 200_000


@check("DQ404", "info", "items that follow one another are alike; shuffle before splitting")
def non_iid_order(
    subject: Subject, alpha: float = 0.001, excess: float = 0.05, correlation: float = 0.1
) -> Findings | NotApplicable:
    """Neighbours in the order of a part against a shuffled order.

    Labels: how many neighbours share one, against the mean and variance under random order. Numbers about the
    items: the correlation of ranks of neighbours. Both must be significant (normal approximation, `alpha` shared
    out over all tests) and large (`excess` above the share expected; correlation above `correlation`).
    """
    if subject.order is not None:
        return NotApplicable(subject.order)
    from scipy.stats import norm

    if not (tests := list(_tests(subject))):
        return NotApplicable(f"no part has {FEWEST} items or more")
    for test in tests:
        limit = excess if test["what"] == "label" else correlation
        test["p"] = float(2 * norm.sf(abs(test.pop("z"))))
        test["found"] = bool(test["p"] < alpha / len(tests) and abs(test["effect"]) > limit)
    telling = sorted((t for t in tests if t["found"]), key=lambda t: -abs(t["effect"]))
    facts = {"tests": [{**t, "effect": round(t["effect"], 4)} for t in tests]}
    if not telling:
        return Findings("items that follow one another are no more alike than any others", facts=facts, found=False)
    words = "; ".join(f"{t['what']} in {t['part']!r} ({t['effect']:+.2f})" for t in telling[:4])
    return Findings(f"items that follow one another are alike in {words}", facts=facts, found=True)


def _tests(subject: Subject) -> Iterator[dict[str, Any]]:
    features = numbers(subject)
    for part in dict.fromkeys(subject.part[subject.examined].tolist()):
        rows = np.flatnonzero(subject.examined & (subject.part == part))
        rows = rows[np.argsort(subject.index[rows], kind="stable")][:MOST]
        if len(rows) < FEWEST:
            continue
        if subject.classes and len(np.unique(subject.labels[rows])) > 1:
            yield {"part": part, "what": "label", **_label_runs(subject.labels[rows])}
        for name, values in features.items():
            known = values[rows][np.isfinite(values[rows])]
            if len(known) >= FEWEST and known.min() < known.max():
                yield {"part": part, "what": name, **_rank_correlation(known)}


def _label_runs(labels: np.ndarray) -> dict[str, float]:
    """Share of neighbours with equal label beyond what is expected, and its z value under random order."""
    n = len(labels)
    counts = np.unique(labels, return_counts=True)[1].astype(np.float64)
    pairs, triples = (counts * (counts - 1)).sum(), (counts * (counts - 1) * (counts - 2)).sum()
    p1 = pairs / (n * (n - 1))
    # Pairs of neighbours that share an item, and pairs of neighbours that do not.
    p2 = triples / (n * (n - 1) * (n - 2))
    apart = (pairs**2 - 4 * triples - 2 * pairs) / (n * (n - 1) * (n - 2) * (n - 3))
    m = n - 1
    variance = m * p1 + 2 * (n - 2) * p2 + (m * (m - 1) - 2 * (n - 2)) * apart - (m * p1) ** 2
    equal = float((labels[1:] == labels[:-1]).sum())
    return {"effect": (equal / m) - p1, "z": (equal - m * p1) / max(np.sqrt(max(variance, 0.0)), 1e-12)}


def _rank_correlation(values: np.ndarray) -> dict[str, float]:
    """Correlation of the ranks of neighbours, and its z value under random order (mean -1/n, variance about 1/n)."""
    from scipy.stats import rankdata

    ranks = rankdata(values)
    ranks -= ranks.mean()
    n = len(ranks)
    r = float((ranks[1:] * ranks[:-1]).sum() / (ranks**2).sum())
    return {"effect": r, "z": (r + 1 / n) * np.sqrt(n)}
