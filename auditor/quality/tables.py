"""Checks of tables: missing values (of texts too), columns that say nothing, columns that give the label away."""

from __future__ import annotations

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check, joined, made_for_others, share_of
from auditor.quality.subject import Subject
from auditor.stats.predictability import FEWEST, TELLING, predictability


@check("DQ403", "info", "values of the item are missing")
def missing_values(subject: Subject) -> Findings | NotApplicable:
    """Items with empty cells, those with the most first, and the share by column; blank texts."""
    rows = subject.looked_at
    if subject.texts is not None:
        blank = np.array([not subject.texts[k].strip() for k in rows], dtype=bool)
        items = rows[blank].astype(np.int64)
        return Findings(f"{share_of(len(items), len(rows))} texts are blank", items)
    if subject.frame is None:
        return made_for_others(subject.modality)
    absent = subject.frame.isna().to_numpy()[rows]
    per_item = absent.sum(axis=1)
    order = np.argsort(-per_item, kind="stable")[: np.count_nonzero(per_item)]
    items = rows[order].astype(np.int64)
    if not len(items):
        return Findings(f"no value of {len(rows):,} items is missing")
    shares = zip(subject.frame.columns, absent.mean(axis=0), strict=True)
    columns = {str(c): round(float(share), 6) for c, share in shares if share > 0}
    summary = f"{share_of(len(items), len(rows))} items lack a value, in {len(columns)} column(s)"
    return Findings(summary, items, per_item[order].astype(np.float64), facts={"share_missing": columns})


@check("DQ601", "info", "a column has the same value in nearly every row")
def constant_columns(subject: Subject, share: float = 0.999) -> Findings | NotApplicable:
    """Columns whose most frequent value (or absence) has at least `share` of the examined items."""
    if subject.frame is None:
        return made_for_others(subject.modality)
    rows = subject.looked_at
    if len(rows) < 2:
        return NotApplicable("there are fewer than two rows")
    frame = subject.frame.iloc[rows]
    top = {str(c): float(frame[c].value_counts(dropna=False).max() / len(rows)) for c in frame.columns}
    columns = {name: round(value, 6) for name, value in top.items() if value >= share}
    facts = {"columns": columns, "n_columns": frame.shape[1]}
    if not columns:
        return Findings(f"all {frame.shape[1]} columns vary", facts=facts, found=False)
    summary = f"{len(columns)} column(s) hardly vary: {joined(list(columns))}"
    return Findings(summary, facts=facts, found=True)


@check("DQ602", "error", "a column alone gives the label away")
def target_leakage(subject: Subject, accuracy: float = TELLING) -> Findings | NotApplicable:
    """Columns that predict the label alone, out of sample, with balanced accuracy of at least `accuracy`.

    One small tree on one column, cross-validated; categories by their code. Row numbers of a sorted file that were
    found so when the data were opened are no columns here.
    """
    if subject.frame is None:
        return made_for_others(subject.modality)
    rows = subject.looked_at
    scores: dict[str, float] = {}
    for name in subject.frame.columns:
        column = subject.frame[name].iloc[rows]
        values = column.cat.codes if column.dtype == "category" else column
        score = predictability(values.to_numpy(np.float64), subject.labels[rows])
        if score is None:
            return NotApplicable(f"fewer than two classes have {FEWEST} items")
        scores[str(name)] = score
    telling = {name: round(score, 4) for name, score in scores.items() if score >= accuracy}
    facts = {"columns": telling, "n_columns": len(scores)}
    if telling:
        summary = f"{len(telling)} column(s) give the label away: {joined(list(telling))}"
        return Findings(summary, facts=facts, found=True)
    best = max(scores, key=lambda name: scores[name]) if scores else ""
    top = f"; the best, {best!r}, reaches {scores[best]:.3f}" if scores else ""
    return Findings(f"no column gives the label away{top}", facts=facts, found=False)
