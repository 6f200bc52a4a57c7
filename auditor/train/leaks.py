"""Columns of a table that repeat the given labels, the wrong ones too: a model that sees one contradicts no label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from auditor.core.errors import DataError
from auditor.core.seeds import generator
from auditor.data.labels import number_of
from auditor.stats.predictability import FEWEST, TELLING, balanced_accuracy, predicted_alone
from auditor.train.table import prepare_columns

#: Rows that are looked at.
LOOKED_AT = 5_000
#: A counter of the rows of a sorted table may be blurred: one column alone must be right this often.
_COUNTER_TELLS = 0.9
#: The other columns know something of the labels if they are so far above guessing (0) towards always right (1).
_SKILL = 0.2
#: They contradict labels if so many of those of which they are surest are others, and at least `_FEWEST_CONTRADICTED`.
_CONTRADICTED, _FEWEST_CONTRADICTED = 0.01, 2
#: The surest share of the items. Where labels are right and classes overlap, mistakes lie among the others.
_SURE = 1 / 3
#: Share of the contradicted labels that a column must repeat.
_REPEATS = 0.8
#: Counters are spread this evenly: largest difference of their distribution from an even one.
_UNEVEN = 0.07
#: Most values of a recoding are this many, or three for each class.
_VALUES = 20


@dataclass(frozen=True)
class Leaks:
    """Columns that may give the label away.

    Attributes
    ----------
    left_out : dict of str to str
        Column to why no model should see it.
    kept : dict of str to str
        Column to why it could be one and stays.
    """

    left_out: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)


def find_leaks(frame: pd.DataFrame, labels: np.ndarray, class_names: Sequence[str], parts: np.ndarray) -> Leaks:
    """Which columns repeat the given labels where the other columns contradict them.

    A feature follows the truth, so that it contradicts a wrong label; a copy of the label repeats it. Looked at are
    columns that determine the given label or are determined by it without an exception (codes, other names, one-hot
    columns), that predict it alone as the check ``target_leakage`` demands, and counters of sorted rows, also blurred.
    One is left out if a random forest on all others knows something of the labels, contradicts some of those of which
    it is surest (out of bag), and the column repeats these. Texts that are the names of the classes, in every row, are
    left out whatever the others say.

    Where no label is wrong, or the others contradict right ones, a perfect feature cannot be told from a copy: the
    first kind stays, the second is left out.

    Parameters
    ----------
    frame : DataFrame (n rows)
        float64 columns, NaN where missing, and categories.
    labels : int64 array (n,)
        Given labels, positions in `class_names`.
    class_names : sequence of str
    parts : array (n,)
        The split of each row; rows of a split are in the order of their file.
    """
    rows = np.arange(len(frame))
    if len(rows) > LOOKED_AT:
        rows = np.sort(generator(0, "leaks").choice(rows, LOOKED_AT, replace=False))
    frame, labels, parts = frame.iloc[rows].reset_index(drop=True), labels[rows], parts[rows]
    # Why, the labels that a column stands for, and -1 where it says nothing.
    suspects: dict[str, tuple[str, np.ndarray]] = {}
    leaks = Leaks()
    for name in map(str, frame.columns):
        column = frame[name]
        values = (column.cat.codes if column.dtype == "category" else column).to_numpy(np.float64)
        values = np.where(values == -1, np.nan, values) if column.dtype == "category" else values
        present = ~np.isnan(values)
        if column.dtype == "category" and _are_class_names(column, labels, class_names):
            leaks.left_out[name] = "it holds the names of the classes"
        elif _is_recoding(values[present], labels[present], len(labels)):
            suspects[name] = ("a recoding of the label", np.where(present, labels, -1))
        elif (alone := predicted_alone(values, labels)) is not None:
            predicted = np.full(len(labels), -1)
            predicted[alone.rows] = alone.predicted
            score = balanced_accuracy(alone)
            if score >= TELLING:
                suspects[name] = ("it predicts the label alone", predicted)
            elif score >= _COUNTER_TELLS and _is_counter(values, labels, parts):
                suspects[name] = ("it counts rows that are sorted by label", predicted)
    others = frame.drop(columns=[*leaks.left_out, *suspects])
    if leaks.left_out and not suspects and not len(others.columns):
        return Leaks(kept=dict.fromkeys(leaks.left_out, "there is no other column"))
    if suspects:
        contradicted, words = _contradicted(others, labels)
        for name, (why, says) in suspects.items():
            asked = contradicted[says[contradicted] >= 0]
            same = int((says[asked] == labels[asked]).sum())
            if same and same >= _REPEATS * len(asked):
                leaks.left_out[name] = f"{why}, and repeats {same} of {len(asked)} labels that the others contradict"
            else:
                leaks.kept[name] = f"{why}, but {words or 'it contradicts the labels that the others contradict'}"
    return leaks


def _are_class_names(column: pd.Series, labels: np.ndarray, class_names: Sequence[str]) -> bool:
    """Whether the texts of a column are the names of the given classes. Names that are numbers prove nothing: a
    feature of 0 and 1 is called so, too."""
    if column.isna().any() or any(number_of(name) is not None for name in class_names):
        return False
    named = np.array([_plain(name) for name in class_names], object)[labels]
    return bool((column.astype(object).map(_plain).to_numpy() == named).all())


def _plain(name: object) -> str:
    return " ".join(str(name).casefold().split())


def _is_recoding(values: np.ndarray, labels: np.ndarray, n: int) -> bool:
    """Whether few values and the labels determine one another, at least in one direction, and no value is rare."""
    if len(values) < max(2 * FEWEST, n / 2):
        return False
    kinds, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    classes = np.unique(labels)
    if not 2 <= len(kinds) <= max(_VALUES, 3 * len(classes)) or len(classes) < 2:
        return False
    pairs = len(np.unique(codes.astype(np.int64) * (labels.max() + 1) + labels))
    # One that sets a few items of a rare class apart says nothing of the others.
    common = np.sort(counts)[-2] >= FEWEST
    return bool(common and (pairs == len(kinds) or pairs == len(classes)))


def _is_counter(values: np.ndarray, labels: np.ndarray, parts: np.ndarray) -> bool:
    """Whether values hardly repeat, and are spread as evenly as numbers of rows or follow the order of the rows."""
    from scipy import stats

    if not np.isfinite(values).all() or len(np.unique(values)) < 0.5 * len(values):
        return False
    # Without the ends, which a blurred counter spreads thinner.
    low, high = np.quantile(values, (0.05, 0.95))
    inner = values[(values >= low) & (values <= high)]
    if stats.kstest(inner, "uniform", args=(low, high - low)).statistic < min(_UNEVEN, 1.36 / np.sqrt(len(inner))):
        return True
    agreement = pd.DataFrame({"value": values, "row": np.arange(len(values)), "of": labels, "part": parts})
    ranks = [
        abs(stats.spearmanr(group["value"], group["row"]).statistic)
        for _, group in agreement.groupby(["part", "of"])
        if len(group) >= FEWEST
    ]
    return bool(ranks) and float(np.mean(ranks)) >= _COUNTER_TELLS


def _contradicted(others: pd.DataFrame, labels: np.ndarray) -> tuple[np.ndarray, str]:
    """Positions of the labels that a forest on these columns contradicts although it is sure, and if there are none,
    why."""
    from sklearn.ensemble import RandomForestClassifier

    nothing = np.empty(0, np.int64)
    try:
        columns, _ = prepare_columns(others)
    except DataError:
        return nothing, "there is no other column"
    values = np.column_stack(
        [(c.cat.codes.where(c.cat.codes >= 0, np.nan) if c.dtype == "category" else c) for _, c in columns.items()]
    ).astype(np.float32)
    forest = RandomForestClassifier(100, min_samples_leaf=2, bootstrap=True, oob_score=True, random_state=0)
    probabilities = forest.fit(values, labels).oob_decision_function_
    rows = np.flatnonzero(np.isfinite(probabilities).all(axis=1) & (probabilities.sum(axis=1) > 0))
    if not len(rows):
        return nothing, "there are too few rows to ask the other columns"
    predicted = forest.classes_[probabilities[rows].argmax(axis=1)]
    of_class = [float((predicted[labels[rows] == k] == k).mean()) for k in np.unique(labels[rows])]
    guessing = 1 / len(of_class)
    if (np.mean(of_class) - guessing) / (1 - guessing) < _SKILL:
        return nothing, "the other columns hardly know the labels"
    sureness = probabilities[rows].max(axis=1)
    sure = sureness >= np.quantile(sureness, 1 - _SURE)
    contradicted = rows[sure & (predicted != labels[rows])]
    if len(contradicted) < max(_FEWEST_CONTRADICTED, _CONTRADICTED * sure.sum()):
        return nothing, "the other columns contradict no label"
    return contradicted, ""
