"""Numbers: each item has one, and its cell is that number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.stats import rankdata

from auditor.core.errors import EmptyDataError, LabelError, ProbabilityError
from auditor.core.label_forms import LabelForm
from auditor.data.intake import open_matrix, read_numbers
from auditor.detect.thresholds import best_expected_f1
from auditor.kinds.base import Judged, KindFlags, Table
from auditor.kinds.residual_model import OTHER_COLUMN, Group, ResidualFit, fit_residuals

WRONG_VALUE, WRONG_UNIT, OTHER_QUANTITY = "LE041", "LE042", "LE043"
#: Cells are flagged from this probability on, at least.
LEAST_WRONG = 0.1
#: From so many rows on it is asked whether predictions and labels belong together.
_ENOUGH_ROWS = 50


@dataclass(frozen=True, eq=False)
class Numbers:
    """Given numbers and predictions of the same items, checked.

    Attributes
    ----------
    predictions : float64 array (n, models)
    labels : float64 array (n,)
    """

    predictions: np.ndarray
    labels: np.ndarray


class Regression:
    """The kind ``regression``."""

    name: ClassVar[str] = "regression"
    output: ClassVar[Literal["tags", "number", "sequence"]] = "number"
    summary: ClassVar[str] = "numbers beside predicted ones, of one model or of several"
    codes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            WRONG_VALUE: "the number is far from what is predicted, for how well this is predicted here",
            WRONG_UNIT: "the number is in another unit than the others: it is right but for one factor",
            OTHER_QUANTITY: "the number is like others that have nothing to do with what is predicted: another column",
        }
    )

    def read(self, *, predictions: Any, labels: Any) -> Numbers:
        """Open predictions and labels.

        Parameters
        ----------
        predictions : path or array (n,), (n, models), or a list of them
            Out-of-sample predictions. Where several models, or fits of one, predict, how far they differ counts as
            doubt about the prediction.
        labels : path or sequence (n,)

        Raises
        ------
        EmptyDataError
            No rows.
        LabelError
            A label that is no finite number, several columns, or other rows than the predictions.
        ProbabilityError
            Predictions that are no finite numbers, of another length, all equal, or unrelated to the labels.
        """
        y = read_numbers(labels, "labels")
        several = isinstance(predictions, list | tuple) and (
            all(isinstance(one, str) for one in predictions) or np.ndim(predictions[0]) > 0
        )
        columns = [_read_predictions(one) for one in (predictions if several else [predictions])]
        for column in columns:
            if len(column) != len(y):
                raise LabelError(
                    f"{len(y)} labels for {len(column)} rows of predictions.", "Row i of both must be the same item."
                )
        _refuse_unrelated(matrix := np.column_stack(columns), y)
        return Numbers(matrix, y)

    def flag(self, given: Numbers) -> KindFlags:
        """Score every number by `auditor.kinds.residual_model`, and flag as many as make the expected F1 largest."""
        return self._flags(fit_residuals(given.predictions, given.labels), given.labels)

    def strata(self, values: np.ndarray) -> np.ndarray:
        """Fifths of the numbers by their size; halves of few."""
        parts = 5 if len(values) >= 100 else 2
        place = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        return (place * parts // len(values)).astype(np.int64)

    def outputs(self, form: LabelForm, values: np.ndarray) -> int:
        """One."""
        return 1

    def pool(self, predictions: list[np.ndarray]) -> np.ndarray:
        """A column for each model: how far they differ counts as doubt."""
        return np.column_stack(predictions)

    def judge(
        self, predictions: np.ndarray, values: np.ndarray, form: LabelForm, texts: Sequence[str] | None = None
    ) -> Judged:
        """Suggestions are rounded as the given numbers are."""
        fit = fit_residuals(predictions.astype(np.float64), values)
        flags, codes = self._flags(fit, values), _codes(fit, len(values))
        flagged = np.zeros(len(values), bool)
        flagged[flags.flagged[:, 0]] = True
        rounded = np.round(fit.suggested, decimals_of(values))
        suggested = np.where(rounded == values, fit.suggested, rounded)
        unit = {int(item): group.name for group in fit.groups for item in group.items}
        said = [
            f"{form.write(values[k])}, predicted {fit.predicted[k]:.5g}" + (f" ({unit[k]})" if k in unit else "")
            if flagged[k]
            else ""
            for k in range(len(values))
        ]
        mean = predictions.mean(axis=1, dtype=np.float64)
        groups = tuple((g.name, len(g.items), int(flagged[g.items].sum())) for g in fit.groups)
        correlation = float(np.corrcoef(rankdata(mean), rankdata(values))[0, 1]) if np.ptp(mean) > 0 else 0.0
        written = [None if s == v else form.write(s) for s, v in zip(suggested, values, strict=True)]
        return Judged(
            score=fit.score,
            wrong=fit.wrong,
            flagged=flagged,
            suggested=np.array(written, dtype=object),
            codes=codes,
            messages=said,
            expected_f1=flags.expected_f1,
            agreement=("rank correlation", correlation),
            tables=(Table("Groups of equal errors", ("unit", "items", "flagged"), groups),) if groups else (),
            points=(values, mean),
        )

    def _flags(self, fit: ResidualFit, y: np.ndarray) -> KindFlags:
        codes = _codes(fit, len(y))
        order = np.lexsort((fit.predicted, y, -fit.score))
        may = order[(fit.wrong[order] >= LEAST_WRONG) & (fit.suggested[order] != y[order])]
        rest = float(fit.wrong.sum() - fit.wrong[may].sum())
        count, expected = best_expected_f1(fit.wrong[may], max(rest, 0.0)) if len(may) else (0, None)
        chosen = may[:count]
        facts = {"expected_wrong": float(fit.wrong.sum()), "groups": [_described(group) for group in fit.groups]}
        return KindFlags(
            self.name,
            ("index",),
            y.shape,
            chosen[:, None],
            y[chosen],
            fit.suggested[chosen],
            codes[chosen],
            expected,
            lambda: [fit.score],
            facts,
        )


def _codes(fit: ResidualFit, n: int) -> np.ndarray:
    codes = np.full(n, WRONG_VALUE)
    for group in fit.groups:
        codes[group.items] = OTHER_QUANTITY if group.name == OTHER_COLUMN else WRONG_UNIT
    return codes


def decimals_of(numbers: np.ndarray) -> int:
    """Digits after the point that nearly all of some numbers need, at most 6; wrong ones may have more."""
    for digits in range(6):
        if (np.abs(np.round(numbers, digits) - numbers) <= 1e-9 * np.abs(numbers)).mean() >= 0.95:
            return digits
    return 6


def _described(group: Group) -> dict[str, Any]:
    return {"name": group.name, "n_items": len(group.items), "items": group.items.tolist()}


def _read_predictions(given: Any) -> np.ndarray:
    """Predictions, float64 (n, models), finite."""
    if isinstance(given, str) or np.ndim(given) < 2:
        try:
            return read_numbers(given, "predictions")[:, None]
        except EmptyDataError:
            raise
        except LabelError as refused:
            if "shape" not in refused.what:
                raise ProbabilityError(refused.what, refused.way_out) from refused
    source, _ = open_matrix(given, "predictions")
    matrix = source.read(0, source.shape[0]).astype(np.float64)
    if not matrix.size:
        raise EmptyDataError(f"{source.name} has shape {source.shape}: there are no predictions.")
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad):
        row, column = bad[0]
        raise ProbabilityError(
            f"{source.name}: {matrix[row, column]} in row {row}, column {column} is no finite number.",
            "Leave these rows out, here and in the labels.",
        )
    return matrix


def _refuse_unrelated(predictions: np.ndarray, y: np.ndarray) -> None:
    """Refuse predictions that say nothing: all equal, or of other rows than the labels.

    Ranks are compared, since wrong labels can be larger than all others by any factor.
    """
    n, unit = len(y), max(float(np.abs(predictions).max()), 1e-300)
    mean = (predictions / unit).mean(axis=1)
    if n > 1 and np.ptp(mean) <= 1e-12:
        raise ProbabilityError(
            "predictions are the same for every item: they say nothing about single labels.",
            "Give out-of-sample predictions of a model that has learned something.",
        )
    if n >= _ENOUGH_ROWS and np.ptp(y) > 0:
        correlation = float(np.corrcoef(rankdata(mean), rankdata(y))[0, 1])
        if abs(correlation) < 3 / np.sqrt(n) and 0.5 < _spread(mean) / max(_spread(y) / unit, 1e-300) < 2:
            raise ProbabilityError(
                f"predictions are unrelated to the labels (rank correlation {correlation:.2f} over {n:,} rows), and "
                "spread as a model's would that explains them.",
                "Row i of both must be the same item: are they in another order?",
            )


def _spread(values: np.ndarray) -> float:
    """Standard deviation by the quartiles."""
    low, high = np.percentile(values, [25, 75])
    return float(high - low) / 1.349
