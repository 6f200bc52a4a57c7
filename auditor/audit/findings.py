"""From out-of-sample probabilities to ranked findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.data.base import BadItem, Dataset
from auditor.detect.base import Evidence, NotApplicable
from auditor.detect.findings import Findings, find
from auditor.detect.margins import preferred_class
from auditor.detect.registry import run_detector
from auditor.runs.layout import FINDING_COLUMNS

#: Scores written beside the ranking one, for every audited item. All need probabilities only.
EXTRA_SCORES = ("log_odds_margin", "self_confidence", "normalized_margin", "entropy", "class_adjusted")

#: Who sees another class than the given one, by how many of two models doubt the label alone.
_DOUBTERS = ("the models together see", "one of two models sees", "both models see")

#: Share of flagged items above which a run says that the model may be to blame. Human label sets known to be bad
#: (CIFAR-10N random1, NoisyAG-News) have fewer than a fifth of their labels wrong; a quarter leaves room above them.
MANY_FLAGGED = 0.25


@dataclass(frozen=True)
class FindingTables:
    """The two tables of a run, and how they were made.

    Attributes
    ----------
    scores : DataFrame
        Every audited item, most suspicious first.
    findings : DataFrame
        Flagged and undecodable items, columns `runs.layout.FINDING_COLUMNS`.
    detector, rule : str
        What ranked and what flagged; a detector without a flag rule flags nothing.
    """

    scores: pd.DataFrame
    findings: pd.DataFrame
    detector: str
    rule: str


def make_findings(
    dataset: Dataset,
    audited: np.ndarray,
    evidence: Evidence,
    rule: str,
    bad_items: Sequence[BadItem] = (),
    models: Mapping[str, np.ndarray] | None = None,
) -> FindingTables:
    """Rank the audited items and flag the suspicious ones.

    Parameters
    ----------
    dataset : Dataset
    audited : int64 array (m,)
        Rows of the data set that have probabilities.
    evidence : Evidence
        Of those rows, in the same order.
    rule : str
        As in `auditor.detect.findings.find`.
    bad_items : sequence of BadItem
        Items that could not be decoded; they become ``DQ001`` findings after the label findings.
    models : mapping of str to float array (m, K), optional
        What each of several models says alone, by its name.
    """
    result = find(evidence, rule)
    scores = _score_table(dataset, audited, result, models or {})
    findings = _finding_table(scores[scores["flagged"]], dataset, bad_items)
    return FindingTables(scores, findings, result.ranking, result.flag_rule or "nothing")


def weak_model_note(labels: np.ndarray, agreement: float, n_flagged: int) -> str | None:
    """A caution where the flags say more about the model than about the labels, or None.

    Parameters
    ----------
    labels : int array (m,)
        Given labels of the audited items.
    agreement : float
        Share of them that the model predicts out of sample.
    n_flagged : int
        Label errors flagged among them.
    """
    most = float(np.bincount(labels).max() / len(labels))
    seen = f"the model predicts {agreement:.1%} of the given labels out of sample"
    way = "Read the list from the top, take a better model (--model, --budget), or let verdicts set the cut."
    if agreement <= most and agreement < 1:
        return f"{seen}, no more than naming the most frequent class every time ({most:.1%}). {way}"
    if n_flagged > MANY_FLAGGED * len(labels):
        return (
            f"{n_flagged:,} of {len(labels):,} items ({n_flagged / len(labels):.0%}) are flagged, and {seen}: "
            f"many flags will be errors of the model. {way}"
        )
    return None


def identity(dataset: Dataset, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Columns that say which items stand at `rows`."""
    items = dataset.items.take(rows)
    return {"id": items.ids.astype(object), "index": items.index, "split": items.splits.astype(object)}


def _score_table(
    dataset: Dataset, audited: np.ndarray, result: Findings, models: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    evidence, names, rows = result.evidence, np.array(dataset.class_names, dtype=object), np.arange(len(audited))
    probabilities, suggested = evidence.source.read(0, len(audited)), result.suggested()
    table = pd.DataFrame(
        {
            **identity(dataset, audited),
            "row": audited,
            "given": names[evidence.labels],
            "suggested": names[suggested],
            "p_given": probabilities[rows, evidence.labels].astype(np.float64),
            "p_suggested": probabilities[rows, suggested].astype(np.float64),
            "score": result.score,
            "flagged": result.flagged,
        }
    )
    if models:
        doubting = sum(preferred_class(p, evidence.labels)[1].astype(np.int64) for p in models.values())
        table["models_doubting"] = doubting
    for name in EXTRA_SCORES:
        outcome = run_detector(name, evidence)
        if not isinstance(outcome, NotApplicable):
            table[f"score_{name}"] = outcome.score
    table = table.iloc[result.order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _finding_table(flagged: pd.DataFrame, dataset: Dataset, bad_items: Sequence[BadItem]) -> pd.DataFrame:
    table = flagged.reset_index(drop=True).copy()
    # Place in this list; the place among all audited items is in the score table.
    table["rank"] = np.arange(1, len(table) + 1)
    table["code"] = "LE001"
    classes = zip(table["given"], table["suggested"], strict=True)
    who = (
        [_DOUBTERS[count] for count in table["models_doubting"]]
        if "models_doubting" in table
        else ["the model sees"] * len(table)
    )
    table["message"] = [
        f"labelled {given}, {seen} {suggested}" for (given, suggested), seen in zip(classes, who, strict=True)
    ]
    return bad_rows(table[list(FINDING_COLUMNS)], dataset, bad_items)


def bad_rows(table: pd.DataFrame, dataset: Dataset, bad_items: Sequence[BadItem]) -> pd.DataFrame:
    """`table` of findings with the undecodable items after them."""
    if not bad_items:
        return table
    rows = np.array([b.position for b in bad_items])
    undecodable = pd.DataFrame(
        {
            **identity(dataset, rows),
            "rank": np.arange(len(rows)) + len(table) + 1,
            "code": "DQ001",
            "given": dataset.given[rows],
            "suggested": None,
            "message": [b.reason for b in bad_items],
        }
    )
    return pd.concat([table, undecodable.reindex(columns=list(FINDING_COLUMNS))], ignore_index=True)
