"""From out-of-sample probabilities to ranked findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.data.base import BadItem, Dataset
from auditor.detect.base import Evidence, NotApplicable
from auditor.detect.findings import Findings, find
from auditor.detect.registry import run_detector
from auditor.runs.layout import FINDING_COLUMNS

#: Scores written beside the ranking one, for every audited item. All need probabilities only.
EXTRA_SCORES = ("log_odds_margin", "self_confidence", "normalized_margin", "entropy", "class_adjusted")

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
    probabilities: np.ndarray,
    rule: str,
    bad_items: Sequence[BadItem] = (),
    evidence: Evidence | None = None,
) -> FindingTables:
    """Rank the audited items and flag the suspicious ones.

    Parameters
    ----------
    dataset : Dataset
    audited : int64 array (m,)
        Rows of the data set that have probabilities.
    probabilities : float array (m, K)
        Out-of-sample probabilities of those rows, in the same order.
    rule : str
        As in `auditor.detect.findings.find`.
    bad_items : sequence of BadItem
        Items that could not be decoded; they become ``DQ001`` findings after the label findings.
    evidence : Evidence, optional
        On the audited items; default: the probabilities alone.
    """
    if evidence is None:
        evidence = Evidence(
            ids=dataset.ids[audited],
            labels=dataset.labels[audited],
            n_classes=len(dataset.class_names),
            class_names=dataset.class_names,
            probabilities=(np.asarray(probabilities),),
        )
    found = find(evidence, rule)
    scores = _score_table(dataset, audited, np.asarray(probabilities), found)
    findings = _finding_table(scores[scores["flagged"]], dataset, bad_items)
    return FindingTables(scores, findings, found.ranking, found.flag_rule or "nothing")


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


def _score_table(dataset: Dataset, audited: np.ndarray, probabilities: np.ndarray, found: Findings) -> pd.DataFrame:
    names = np.array(dataset.class_names, dtype=object)
    labels, rows, suggested = found.evidence.labels, np.arange(len(audited)), found.suggested()
    table = pd.DataFrame(
        {
            "id": dataset.ids[audited].astype(object),
            "index": dataset.items.index[audited],
            "split": dataset.items.splits[audited].astype(object),
            "row": audited,
            "given": names[labels],
            "suggested": names[suggested],
            "p_given": probabilities[rows, labels].astype(np.float64),
            "p_suggested": probabilities[rows, suggested].astype(np.float64),
            "score": found.score,
            "flagged": found.flagged,
        }
    )
    for name in EXTRA_SCORES:
        outcome = run_detector(name, found.evidence)
        if not isinstance(outcome, NotApplicable):
            table[f"score_{name}"] = outcome.score
    table = table.iloc[found.order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _finding_table(flagged: pd.DataFrame, dataset: Dataset, bad_items: Sequence[BadItem]) -> pd.DataFrame:
    found = flagged.reset_index(drop=True).copy()
    # Place in this list; the place among all audited items is in the score table.
    found["rank"] = np.arange(1, len(found) + 1)
    found["code"] = "LE001"
    found["message"] = [
        f"labelled {g}, the model sees {s}" for g, s in zip(found["given"], found["suggested"], strict=True)
    ]
    found = found[list(FINDING_COLUMNS)]
    if not bad_items:
        return found
    rows = np.array([b.position for b in bad_items])
    undecodable = pd.DataFrame(
        {
            "rank": np.arange(len(rows)) + len(found) + 1,
            "id": dataset.ids[rows].astype(object),
            "index": dataset.items.index[rows],
            "split": dataset.items.splits[rows].astype(object),
            "code": "DQ001",
            "given": np.array(dataset.class_names, dtype=object)[dataset.labels[rows]],
            "suggested": None,
            "p_given": np.nan,
            "p_suggested": np.nan,
            "score": np.nan,
            "message": [b.reason for b in bad_items],
        }
    )
    return pd.concat([found, undecodable[list(FINDING_COLUMNS)]], ignore_index=True)
