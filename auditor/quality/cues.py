"""Properties of the items that give the class away without its being looked at."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check, joined
from auditor.quality.properties import Property, properties
from auditor.quality.subject import Subject
from auditor.stats.predictability import Alone, predicted_alone

#: Leaves of the tree that sees one property, and least items of one: it may learn a rule, not the items.
LEAVES, LEAST = 24, 10
#: Fewest items of a class, and of all.
FEWEST, FEWEST_ITEMS = 30, 100


@check("DQ603", "warning", "a property beside the content gives the class away; a model may learn it instead")
def spurious_cues(
    subject: Subject, alpha: float = 0.01, stored: float = 0.3, seen: float = 0.45
) -> Findings | NotApplicable:
    """Cheap properties, each of which alone predicts a class out of sample.

    One small tree sees one property. Of each class its informedness counts: the share of its items that are predicted
    right less the share of the others that are taken for it; 0 is chance, 1 is certain. It must be significant
    (`alpha` shared out over all properties and classes) and large: `stored` for how items are kept (name, format,
    size in pixels), `seen` for what a glance shows (brightness, border, length), which may be a part of the class. The
    items are those that break the rule: a model that learned it errs on them.
    """
    if not subject.classes:
        return NotApplicable("the labels are no classes")
    rows = subject.looked_at
    counts = np.bincount(subject.labels[rows], minlength=len(subject.class_names))
    rows = rows[counts[subject.labels[rows]] >= FEWEST]
    if len(rows) < FEWEST_ITEMS or len(np.unique(subject.labels[rows])) < 2:
        return NotApplicable(
            f"fewer than two classes have {FEWEST} items, or there are fewer than {FEWEST_ITEMS} items"
        )
    found = properties(subject)
    if not found:
        return NotApplicable("nothing is known of the items beside their content")
    asked = [(one, alone) for one in found if (alone := _asked(one, subject.labels, rows)) is not None]
    tests = [(one, alone, *test) for one, alone in asked for test in _informedness(alone)]
    least = {"stored": stored, "seen": seen}
    rules: list[dict[str, Any]] = [
        {"property": one.name, "kind": one.kind, "class": subject.class_names[k], "informedness": round(j, 4), "p": p}
        for one, _, k, j, p in tests
        if p < alpha / len(tests) and j >= least[one.kind]
    ]
    rules.sort(key=lambda rule: -float(rule["informedness"]))
    best: dict[str, float] = {}
    for one, _, _, j, _ in tests:
        best[one.name] = max(best.get(one.name, -1.0), round(j, 4))
    facts: dict[str, Any] = {
        "rules": rules,
        "best": dict(sorted(best.items(), key=lambda b: -b[1])),
        "tests": len(tests),
    }
    if not rules:
        top = next(iter(facts["best"].items()), None)
        close = f"; the nearest, {top[0]}, reaches {top[1]:.2f}" if top else ""
        return Findings(f"none of {len(asked)} properties gives a class away{close}", facts=facts, found=False)
    alone_of = {one.name: alone for one, alone in asked}
    items, notes = _breaking(subject, rows, alone_of, rules)
    names = list(dict.fromkeys(f"{rule['property']} ({rule['informedness']:.2f})" for rule in rules))
    first = list(dict.fromkeys(str(rule["class"]) for rule in rules))
    summary = f"{joined(names, 3)} gives {joined(first, 3)} away; {len(items):,} items break the rule"
    return Findings(summary, items, notes=notes, facts=facts, found=True)


def _asked(one: Property, labels: np.ndarray, rows: np.ndarray) -> Alone | None:
    """What a property says of the labels of some items; None where it does not vary."""
    values = one.values[rows]
    known = values[np.isfinite(values)]
    if not len(known) or (known.min() == known.max() and np.isfinite(values).all()):
        return None
    return predicted_alone(values, labels[rows], LEAVES, LEAST, balanced=True)


def _informedness(alone: Alone) -> list[tuple[int, float, float]]:
    """Of each class: its number, informedness, and the chance that two equal shares differ so (one-sided)."""
    from scipy.stats import norm

    n, result = len(alone.labels), []
    for k in np.unique(alone.labels):
        own, taken = alone.labels == k, alone.predicted == k
        m, hits, false = int(own.sum()), int((own & taken).sum()), int((~own & taken).sum())
        j = hits / m - false / (n - m)
        share = (hits + false) / n
        spread = np.sqrt(max(share * (1 - share), 1e-12) * (1 / m + 1 / (n - m)))
        result.append((int(k), j, float(norm.sf(j / spread))))
    return result


def _breaking(
    subject: Subject, rows: np.ndarray, alone_of: dict[str, Alone], rules: list[dict[str, Any]]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Items that have a class without its mark, or the mark without the class; those of the clearest rule first."""
    number = {name: k for k, name in enumerate(subject.class_names)}
    note_of: dict[int, str] = {}
    for rule in rules:
        alone, k = alone_of[rule["property"]], number[rule["class"]]
        own, taken = alone.labels == k, alone.predicted == k
        for what, hit in (("is not like", own & ~taken), ("is like", taken & ~own)):
            for item in rows[alone.rows[hit]].tolist():
                note_of.setdefault(item, f"{rule['property']} {what} {rule['class']}")
        rule["breaking"] = int((own != taken).sum())
    return np.array(list(note_of), np.int64), tuple(note_of.values())
