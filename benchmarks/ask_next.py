"""Which item to ask about next, and whom: consensus accuracy per question, beside CROWDLAB's active-learning scores.

    python benchmarks/ask_next.py [--seeds 3] [--rounds 10] [--each 60] [--out benchmarks/results/ask-next]

Simulated annotators of 600 CIFAR-10 items (`tokens_and_annotators.crowd`, 30 annotators), of whom one has been asked
about each item. In every round each policy asks `each` questions, each about another item, of somebody who has not
judged it yet, and everything is fitted again:

- random: any item, anybody;
- ActiveLab: the items with the lowest scores of `cleanlab.multiannotator.get_active_learning_scores`, which say nothing
  of whom to ask: anybody, or the annotator of the largest CROWDLAB weight who is left;
- `whom_to_ask` of this package by the expected gain in accuracy (its default) and by the information of a label.

All are measured by the same consensus, that of `fit_annotators`, and ActiveLab also by CROWDLAB's own. Of each: the
accuracy after all questions, and its mean over the rounds. The largest share of the questions that one annotator gets
was chosen on the draw before the seeds here. Without a model CROWDLAB has no scores. Differences have a
95 % interval: a paired bootstrap over items, seeds averaged.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tokens_and_annotators import CLASSES, DRAWS, FIRST_SEED, Crowd, crowd, interval

from auditor.core.files import atomic_write
from auditor.core.machine import conditions
from auditor.core.seeds import generator
from auditor.report.markdown import table
from auditor.review.annotator_model import AnnotatorFit, fit_annotators
from auditor.review.asking import whom_to_ask
from auditor.review.crowdlab import crowdlab

KINDS = ("uniform", "spammers", "adversaries", "by class", "hard items", "CIFAR-10N")
OURS, INFORMATION = "whom_to_ask", "whom_to_ask, by information"

#: What is asked next: labels so far (n, A; -1 not asked), the model or None, the fit to both, a generator, how many ->
#: items and annotators.
Policy = Callable[
    [np.ndarray, np.ndarray | None, AnnotatorFit, np.random.Generator, int], tuple[np.ndarray, np.ndarray]
]


def fitted(labels: np.ndarray, p: np.ndarray | None) -> AnnotatorFit:
    items, who = np.nonzero(labels >= 0)
    return fit_annotators(items, who, labels[items, who], (*labels.shape, CLASSES), p)


def anybody(labels: np.ndarray, items: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.array([rng.choice(np.flatnonzero(labels[i] < 0)) for i in items])


def at_random(labels: np.ndarray, p: Any, fit: Any, rng: np.random.Generator, count: int) -> Any:
    items = rng.choice(len(labels), count, replace=False)
    return items, anybody(labels, items, rng)


def unsure_items(labels: np.ndarray, p: np.ndarray, count: int) -> np.ndarray:
    from cleanlab.multiannotator import get_active_learning_scores

    said = np.where(labels < 0, np.nan, labels)
    asked = (labels >= 0).any(axis=0)
    scores, _ = get_active_learning_scores(said[:, asked], p)
    return np.argsort(scores, kind="stable")[:count]


def active_lab(labels: np.ndarray, p: np.ndarray, fit: Any, rng: np.random.Generator, count: int) -> Any:
    items = unsure_items(labels, p, count)
    return items, anybody(labels, items, rng)


def active_lab_best(labels: np.ndarray, p: np.ndarray, fit: Any, rng: np.random.Generator, count: int) -> Any:
    items = unsure_items(labels, p, count)
    voted, who = np.nonzero(labels >= 0)
    weights = crowdlab(voted, who, labels[voted, who], p, labels.shape[1]).annotator_weights
    return items, np.where(labels[items] < 0, weights, -np.inf).argmax(axis=1)


def ours(by: str) -> Policy:
    def ask(labels: np.ndarray, p: Any, fit: AnnotatorFit, rng: Any, count: int) -> Any:
        rows = whom_to_ask(fit, count=count, by=by)
        return rows["item"], rows["annotator"]

    return ask


POLICIES: dict[str, Policy] = {
    OURS: ours("accuracy"),
    INFORMATION: ours("information"),
    "random": at_random,
    "ActiveLab": active_lab,
    "ActiveLab, best annotator": active_lab_best,
}


def asked_in_rounds(drawn: Crowd, p: np.ndarray | None, name: str, seed: int, rounds: int, each: int) -> np.ndarray:
    """Whether the consensus is right, bool (1 or 2 ways, rounds + 1, n): of `fit_annotators`, and CROWDLAB's own."""
    rng = generator(seed, "ask-next", name)
    first = generator(seed, "ask-next", "first").random(drawn.answers.shape).argmax(axis=1)
    labels = np.full(drawn.answers.shape, -1)
    labels[np.arange(len(first)), first] = drawn.answers[np.arange(len(first)), first]
    right, own = [], []
    for number in range(rounds + 1):
        fit = fitted(labels, p)
        right.append(fit.labels == drawn.truth)
        if p is not None and name.startswith("ActiveLab"):
            items, who = np.nonzero(labels >= 0)
            own.append(crowdlab(items, who, labels[items, who], p, labels.shape[1]).labels == drawn.truth)
        if number < rounds:
            items, whom = POLICIES[name](labels, p, fit, rng, each)
            assert (labels[items, whom] < 0).all()
            labels[items, whom] = drawn.answers[items, whom]
    return np.array([right, own] if own else [right])


def compared(by_name: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """A row a policy, with its difference to the first; arrays (seeds, rounds + 1, n)."""
    rows = []
    first = by_name[OURS]
    for name, right in by_name.items():
        draws = []
        for number in range(DRAWS):
            at = np.random.default_rng(number).integers(0, right.shape[2], right.shape[2])
            draws.append(float(first[:, 1:, at].mean() - right[:, 1:, at].mean()))
        rows.append(
            {
                "policy": name,
                "last": float(right[:, -1].mean()),
                "mean": float(right[:, 1:].mean()),
                "ahead": float(first[:, 1:].mean() - right[:, 1:].mean()),
                "interval": interval(draws),
            }
        )
    return rows


def case(kind: str, with_model: bool, seeds: int, rounds: int, each: int) -> list[dict[str, Any]]:
    by_name: dict[str, list[np.ndarray]] = {}
    for seed in range(FIRST_SEED + 1, FIRST_SEED + 1 + seeds):
        drawn = crowd(kind, seed)
        for name in POLICIES:
            if not with_model and name.startswith("ActiveLab"):
                continue
            found = asked_in_rounds(drawn, drawn.p if with_model else None, name, seed, rounds, each)
            by_name.setdefault(name, []).append(found[0])
            if len(found) > 1:
                by_name.setdefault(f"{name}, CROWDLAB's consensus", []).append(found[1])
    rows = compared({name: np.array(found) for name, found in by_name.items()})
    return [{"case": kind, "model": with_model, **row} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--each", type=int, default=60)
    parser.add_argument("--out", type=Path, help="without suffix: a .md and a .json are written")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    where = conditions("auditor", "numpy", "scikit-learn", "cleanlab")
    results: list[dict[str, Any]] = []
    shown = []
    for kind in asked.kinds:
        for with_model in (True, False):
            for row in case(kind, with_model, asked.seeds, asked.rounds, asked.each):
                results.append(row)
                low, high = row["interval"]
                ahead = f"{100 * row['ahead']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
                figures = [f"{100 * row[name]:.1f}" for name in ("mean", "last")]
                model = "yes" if with_model else "no"
                shown.append([kind, model, row["policy"], *figures, "" if row["policy"] == OURS else ahead])
                print(*shown[-1], sep=" | ", file=sys.stdout, flush=True)
    called = f"--seeds {asked.seeds} --rounds {asked.rounds} --each {asked.each}"
    header = ["annotators", "model", "policy", "mean over rounds", "at the end", "whom_to_ask ahead in the mean by"]
    lines = ["# Which item to ask about next, and whom", "", f"`python benchmarks/ask_next.py {called}`. {where}."]
    lines += ["Accuracy of the consensus in per cent; what the rows are is told at the top of the script.", ""]
    lines += [*table(header, shown), ""]
    if asked.out:
        document = json.dumps({"where": where, "called": called, "rows": results}, indent=1)
        for suffix, text in ((".md", "\n".join(lines)), (".json", document)):
            with atomic_write(asked.out.with_suffix(suffix)) as handle:
                handle.write(text.encode())


if __name__ == "__main__":
    main()
