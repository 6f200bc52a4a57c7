"""Whether two parts or versions of the data look alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.features import categories, numbers
from auditor.quality.leakage import no_reference
from auditor.quality.subject import Subject

__all__ = ["Drift"]

#: Fewest items of a part that is compared, and the items drawn for the test on embeddings.
FEWEST, DRAWN = 30, 4000
SEED = 0


@dataclass(frozen=True)
class Drift:
    """Items of the reference part against the others.

    Classes and categories: total variation distance with a chi-square test; numbers about the items:
    Kolmogorov-Smirnov distance; embeddings: whether a logistic regression tells the parts apart out of sample (area
    under the curve). Differences must be significant (`alpha` shared out over all tests) and large (`distance`;
    area above 0.5 + `distance`).
    """

    code: ClassVar[str] = "DQ405"
    name: ClassVar[str] = "drift"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "the parts or versions do not look alike"

    alpha: float = 0.01
    distance: float = 0.1

    def run(self, subject: Subject) -> Found | NotApplicable:
        if (reason := no_reference(subject)) is not None:
            return NotApplicable(reason)
        old = np.flatnonzero(subject.usable & (subject.part == subject.reference))
        new = np.flatnonzero(subject.usable & (subject.part != subject.reference))
        if min(len(old), len(new)) < FEWEST:
            return NotApplicable(f"{len(old)} and {len(new)} items are too few to compare (at least {FEWEST} each)")
        tests = [{"what": "classes", **_categories(subject.labels, old, new)}]
        tests += [{"what": name, **_categories(codes, old, new)} for name, codes in categories(subject).items()]
        for name, values in numbers(subject).items():
            if (found := _numbers(values, old, new)) is not None:
                tests.append({"what": name, **found})
        if (embedded := _embeddings(subject)) is not None:
            tests.append({"what": "embeddings", **embedded})
        for test in tests:
            test["found"] = bool(test["p"] < self.alpha / len(tests) and test["distance"] > self.distance)
            test["distance"] = round(test["distance"], 4)
        seen = sorted((t for t in tests if t["found"]), key=lambda t: -t["distance"])
        facts = {"reference": subject.reference, "tests": tests}
        if not seen:
            return Found(f"no difference from {subject.reference!r} in {len(tests)} respects", facts=facts, found=False)
        words = ", ".join(f"{t['what']} ({t['distance']:.2f})" for t in seen[:5])
        return Found(
            f"differs from {subject.reference!r} in {len(seen)} of {len(tests)} respects: {words}",
            facts=facts,
            found=True,
        )


def _categories(codes: np.ndarray, old: np.ndarray, new: np.ndarray) -> dict[str, Any]:
    from scipy.stats import chi2_contingency

    values = np.unique(codes[np.r_[old, new]], return_inverse=True)[1]
    table = np.array(
        [
            np.bincount(values[: len(old)], minlength=values.max() + 1),
            np.bincount(values[len(old) :], minlength=values.max() + 1),
        ]
    )
    shares = table / table.sum(axis=1, keepdims=True)
    p = 1.0 if table.shape[1] < 2 else float(chi2_contingency(table).pvalue)
    return {"distance": float(np.abs(shares[0] - shares[1]).sum() / 2), "p": p}


def _numbers(values: np.ndarray, old: np.ndarray, new: np.ndarray) -> dict[str, Any] | None:
    from scipy.stats import ks_2samp

    a, b = (values[rows][np.isfinite(values[rows])] for rows in (old, new))
    if min(len(a), len(b)) < FEWEST:
        return None
    found = ks_2samp(a, b, method="asymp")
    return {"distance": float(found.statistic), "p": float(found.pvalue)}


def _embeddings(subject: Subject) -> dict[str, Any] | None:
    """Twice-folded area under the curve minus 0.5, with the Mann-Whitney test of it."""
    near = subject.neighbours
    if near is None:
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
