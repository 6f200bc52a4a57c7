"""Columns of a table that give the label away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import joined
from auditor.quality.subject import Subject

__all__ = ["TargetLeakage"]

#: Fewest items of each class that is predicted, and items drawn.
FEWEST, DRAWN = 10, 20_000
SEED = 0
LEAVES = 64


@dataclass(frozen=True)
class TargetLeakage:
    """Columns that predict the label alone, out of sample, with balanced accuracy of at least `accuracy`.

    One small tree on one column, cross-validated; categories by their code. A row number of a sorted
    file counts as well: it would be learned.
    """

    code: ClassVar[str] = "DQ602"
    name: ClassVar[str] = "target_leakage"
    severity: ClassVar[Severity] = "error"
    about: ClassVar[str] = "a column alone gives the label away"

    accuracy: float = 0.99

    def run(self, subject: Subject) -> Found | NotApplicable:
        if subject.frame is None:
            return NotApplicable(f"the items have no columns ({subject.modality})")
        rows = subject.looked_at
        counts = np.bincount(subject.labels[rows], minlength=len(subject.class_names))
        large = np.flatnonzero(counts >= FEWEST)
        if len(large) < 2:
            return NotApplicable(f"fewer than two classes have {FEWEST} items")
        rows = rows[np.isin(subject.labels[rows], large)]
        if len(rows) > DRAWN:
            rows = np.sort(np.random.default_rng(SEED).choice(rows, DRAWN, replace=False))
        scores = {str(name): self._score(subject, str(name), rows) for name in subject.frame.columns}
        found = {name: s for name, s in scores.items() if s >= self.accuracy}
        best = max(scores, key=lambda name: scores[name]) if scores else ""
        facts = {"columns": {k: round(v, 4) for k, v in found.items()}, "n_columns": len(scores)}
        if not found:
            top = f"; the best, {best!r}, reaches {scores[best]:.3f}" if scores else ""
            return Found(f"no column gives the label away{top}", facts=facts, found=False)
        return Found(f"{len(found)} column(s) give the label away: {joined(list(found))}", facts=facts, found=True)

    def _score(self, subject: Subject, name: str, rows: np.ndarray) -> float:
        from sklearn.metrics import balanced_accuracy_score
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.tree import DecisionTreeClassifier

        if subject.frame is None:
            raise TypeError("the subject holds no table")
        column = subject.frame[name].iloc[rows]
        values = column.cat.codes.to_numpy(np.float64) if column.dtype == "category" else column.to_numpy(np.float64)
        # A tree sees nothing but the order of the values; ranks keep it where values are infinite or beyond float32.
        absent = np.isnan(values)
        ranks = np.unique(np.where(absent, 0.0, values), return_inverse=True)[1]
        given = np.column_stack([ranks, absent])
        labels = subject.labels[rows]
        tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=2, random_state=SEED)
        folds = StratifiedKFold(3, shuffle=True, random_state=SEED)
        return float(balanced_accuracy_score(labels, cross_val_predict(tree, given, labels, cv=folds)))
