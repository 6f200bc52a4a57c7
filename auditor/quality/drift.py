"""Whether two parts or versions of the data look alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check
from auditor.quality.copies import no_reference
from auditor.quality.features import categories, numbers
from auditor.quality.subject import Subject

#: Fewest items of a part that is compared, and the items drawn for the test on embeddings.
FEWEST, DRAWN = 30, 4000
SEED = 0


@check("DQ405", "warning", "the parts or versions differ in distribution")
def drift(subject: Subject, alpha: float = 0.01, distance: float = 0.1) -> Findings | NotApplicable:
    """Items of the reference part against the others.

    Classes and categories: total variation distance with a chi-square test; numbers about the items:
    Kolmogorov-Smirnov distance; embeddings: whether a logistic regression tells the parts apart out of sample (area
    under the curve). Differences must be significant (`alpha` shared out over all tests) and large (`distance`;
    area above 0.5 + `distance`).
    """
    if (reason := no_reference(subject)) is not None:
        return NotApplicable(reason)
    old = np.flatnonzero(subject.usable & (subject.part == subject.reference))
    new = np.flatnonzero(subject.usable & (subject.part != subject.reference))
    if min(len(old), len(new)) < FEWEST:
        return NotApplicable(f"{len(old)} and {len(new)} items are too few to compare (at least {FEWEST} each)")
    compared = {"classes": _categories(subject.labels, old, new)} if subject.classes else {}
    compared |= {name: _categories(codes, old, new) for name, codes in categories(subject).items()}
    compared |= {name: _numbers(values, old, new) for name, values in numbers(subject).items()}
    compared["embeddings"] = _embeddings(subject)
    tests = [{"what": name, **test} for name, test in compared.items() if test is not None]
    for test in tests:
        test["found"] = bool(test["p"] < alpha / len(tests) and test["distance"] > distance)
        test["distance"] = round(test["distance"], 4)
    differing = sorted((t for t in tests if t["found"]), key=lambda t: -t["distance"])
    facts = {"reference": subject.reference, "tests": tests}
    if not differing:
        summary = f"no difference from {subject.reference!r} in {len(tests)} respects"
        return Findings(summary, facts=facts, found=False)
    words = ", ".join(f"{t['what']} ({t['distance']:.2f})" for t in differing[:5])
    summary = f"differs from {subject.reference!r} in {len(differing)} of {len(tests)} respects: {words}"
    return Findings(summary, facts=facts, found=True)


def _categories(codes: np.ndarray, old: np.ndarray, new: np.ndarray) -> dict[str, Any] | None:
    from scipy.stats import chi2_contingency

    values = np.unique(codes[np.r_[old, new]], return_inverse=True)[1]
    sides = values[: len(old)], values[len(old) :]
    table = np.array([np.bincount(side, minlength=values.max() + 1) for side in sides])
    shares = table / table.sum(axis=1, keepdims=True)
    p = 1.0 if table.shape[1] < 2 else float(chi2_contingency(table).pvalue)
    return {"distance": float(np.abs(shares[0] - shares[1]).sum() / 2), "p": p}


def _numbers(values: np.ndarray, old: np.ndarray, new: np.ndarray) -> dict[str, Any] | None:
    from scipy.stats import ks_2samp

    a, b = (values[rows][np.isfinite(values[rows])] for rows in (old, new))
    if min(len(a), len(b)) < FEWEST:
        return None
    test = ks_2samp(a, b, method="asymp")
    return {"distance": float(test.statistic), "p": float(test.pvalue)}


def _embeddings(subject: Subject) -> dict[str, Any] | None:
    """Twice-folded area under the curve minus 0.5, with the Mann-Whitney test of it."""
    near = subject.neighbours
    if near is None or near.distances is not None:  # columns of a table are compared one by one
        return None
    old = np.flatnonzero(subject.part[near.rows] == subject.reference)
    new = np.flatnonzero(subject.part[near.rows] != subject.reference)
    if min(len(old), len(new)) < FEWEST:
        return None
    from scipy.stats import mannwhitneyu
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(SEED)
    drawn = [np.sort(rng.choice(rows, min(DRAWN, len(rows)), replace=False)) for rows in (old, new)]
    rows = np.concatenate(drawn)
    side = np.r_[np.zeros(len(drawn[0])), np.ones(len(drawn[1]))]
    # Copies stay together: a copy in the other part would be learned by heart, with the wrong side.
    folds = StratifiedGroupKFold(2, shuffle=True, random_state=SEED)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    score = cross_val_predict(
        model,
        np.asarray(near.vectors[rows], np.float64),
        side,
        cv=folds,
        method="decision_function",
        groups=subject.exact[near.rows[rows]],
    )
    test = mannwhitneyu(score[side == 1], score[side == 0], alternative="greater")
    area = float(test.statistic / (len(drawn[0]) * len(drawn[1])))
    return {"distance": area - 0.5, "p": float(test.pvalue)}
