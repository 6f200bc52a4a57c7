"""Boxes about objects in pictures: a cell is a given box, or a place where a model sees an object and none is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

import numpy as np

from auditor.core.errors import EmptyDataError, ProbabilityError
from auditor.core.reading import local_path, usable_paths
from auditor.detect.thresholds import best_expected_f1
from auditor.kinds.base import KindFlags
from auditor.kinds.box_folders import read_folder
from auditor.kinds.box_model import BoxFit, fit_boxes, overlaps
from auditor.kinds.box_sets import GivenBoxes, PredictedBoxes, read_coco, read_results
from auditor.kinds.pictured import FlaggedPicture, Pictured, Shape, findings_by_picture

OVERLOOKED, BADLY_LOCATED, SWAPPED, SURPLUS = "LE051", "LE052", "LE053", "LE054"
#: What the document calls each, in the order of the columns of `BoxFit.given`, then the one without a box.
WORDS: Final = ("badly_located", "swapped", "surplus", "overlooked")
_CODES: Final = np.array([BADLY_LOCATED, SWAPPED, SURPLUS, OVERLOOKED])
#: Cells are flagged from this probability on, at least, and listed among `items` from the second on.
LEAST_WRONG: Final = 0.1
LEAST_LISTED: Final = 0.005
#: Probabilities are not taken for nearer to 0 and 1 than this.
_FLOOR: Final = 1e-6
#: From so many boxes on it is asked whether labels and predictions belong together.
_ENOUGH_BOXES: Final = 50


@dataclass(frozen=True, eq=False)
class BoxedPictures:
    """Given and predicted boxes of the same pictures, checked."""

    labels: GivenBoxes
    predictions: PredictedBoxes


class Boxes:
    """The kind ``boxes``."""

    name: ClassVar[str] = "boxes"
    summary: ClassVar[str] = "boxes with a class in pictures, beside the boxes that a model predicts"
    codes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            OVERLOOKED: "an object has no box",
            BADLY_LOCATED: "a box does not lie where its object is",
            SWAPPED: "a box has another class than its object",
            SURPLUS: "a box is about nothing, or a second one about the same object",
        }
    )

    @usable_paths()
    def read(self, *, labels: Any, predictions: Any) -> BoxedPictures:
        """Open labels and predictions.

        Parameters
        ----------
        labels : path or dict
            A COCO document; or a folder of YOLO's texts beside their pictures, or of Pascal VOC's XML.
        predictions : path or list of dict
            COCO's results form: ``image_id, category_id, bbox, score`` each; out of sample, and better with the
            unsure ones than without.

        Raises
        ------
        EmptyDataError
            No pictures, boxes or predictions.
        LabelError, ProbabilityError
            A box that is none or lies outside its picture, unknown or repeated ids, scores outside [0, 1]; with the
            place. Predictions that have nothing to do with the labels.
        UnreadableError
            A missing or damaged file.
        """
        if isinstance(labels, Path | str) and (folder := Path(local_path(str(labels))).expanduser()).is_dir():
            given = read_folder(folder)
        else:
            given = read_coco(labels)
        if given.ignored.all():
            raise EmptyDataError("all given boxes are crowds or marked as ignored: there is nothing to judge.")
        found = read_results(predictions, given)
        _refuse_unrelated(given, found)
        return BoxedPictures(given, found)

    def flag(self, given: BoxedPictures) -> KindFlags:
        """Score every box and every place without one by `auditor.kinds.box_model`, and flag as many as make the
        expected F1 largest. The score is the log-odds of being wrong in any way."""
        labels = given.labels
        fit = fit_boxes(labels, given.predictions)
        m = len(labels.boxes)
        wrong = np.concatenate([fit.given.sum(axis=1), fit.missing])
        kind = np.concatenate([fit.given.argmax(axis=1), np.full(len(fit.missing), WORDS.index("overlooked"))])
        scores = log_odds(wrong)
        image = np.concatenate([labels.image, fit.image])
        boxes = np.concatenate([labels.boxes, fit.boxes])
        order = np.lexsort((*boxes.T, image, -scores))
        may = order[wrong[order] >= LEAST_WRONG]
        rest = float(wrong.sum() - wrong[may].sum())
        count, expected = best_expected_f1(wrong[may], max(rest, 0.0)) if len(may) else (0, None)
        chosen = may[:count]
        listed = order[wrong[order] >= LEAST_LISTED]
        items = _items(labels, fit, listed, scores, kind, set(chosen.tolist()))
        ids = np.array([str(labels.ids[k]) for k in image[chosen]], object)
        columns = {"image": ids, "score": scores[chosen]}
        columns |= {side: boxes[chosen, k] for k, side in enumerate(("x", "y", "width", "height"))}
        written = [_written(labels, fit, cell, int(kind[cell])) for cell in chosen]
        image_scores = any_wrong(wrong, image, len(labels.ids))
        return KindFlags(
            kind=self.name,
            axes=("cell",),
            shape=scores.shape,
            flagged=chosen[:, None],
            given=np.array([before for before, _ in written], object),
            suggested=np.array([after for _, after in written], object),
            codes=_CODES[kind[chosen]],
            expected_f1=expected,
            blocks=lambda: [scores],
            facts={
                "items": items,
                "image_scores": image_scores,
                "expected_wrong": float(wrong.sum()),
                "n_given": m,
                "rates": fit.rates,
            },
            columns=columns,
            saved=image_scores,
            pictured=_pictured(labels, items, image_scores),
        )


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Log-odds, of probabilities not nearer to 0 and 1 than a floor."""
    p = np.clip(probability, _FLOOR, 1 - _FLOOR)
    return np.asarray(np.log(p / (1 - p)))


def any_wrong(wrong: np.ndarray, image: np.ndarray, n: int) -> np.ndarray:
    """Log-odds that anything is wrong in each picture, float64 (n,), of P(wrong) of cells in `image`."""
    none = np.bincount(image, np.log1p(-np.minimum(wrong, 1 - _FLOOR)), minlength=n)
    return np.asarray(np.log(np.maximum(-np.expm1(none), _FLOOR)) - none)


def _items(
    labels: GivenBoxes, fit: BoxFit, listed: np.ndarray, scores: np.ndarray, kind: np.ndarray, chosen: set[int]
) -> list[dict[str, Any]]:
    """The findings as objects, most suspicious first."""
    m = len(labels.boxes)
    items = []
    for cell in listed.tolist():
        word = WORDS[kind[cell]]
        row: dict[str, Any] = {"score": round(float(scores[cell]), 6), "kind": word, "flagged": cell in chosen}
        if cell < m:
            row = {"id": labels.ids[labels.image[cell]], **row, "box": labels.boxes[cell].tolist()}
            row |= {"annotation": labels.box_ids[cell], "given": labels.names[labels.category[cell]]}
            if word == "swapped":
                row["suggested"] = labels.names[fit.other_class[cell]]
            elif word == "badly_located":
                row["suggested_box"] = np.round(fit.other_box[cell], 3).tolist()
        else:
            at = cell - m
            row = {"id": labels.ids[fit.image[at]], **row, "box": np.round(fit.boxes[at], 3).tolist()}
            row["suggested"] = labels.names[fit.category[at]]
        items.append(row)
    return items


def _pictured(labels: GivenBoxes, items: list[dict[str, Any]], image_scores: np.ndarray) -> Pictured:
    """The flagged pictures: all given boxes, and what is suggested in place of suspicious ones."""
    found = findings_by_picture(items)
    at = {called: k for k, called in enumerate(labels.ids)}

    def each() -> Iterator[FlaggedPicture]:
        for called, findings in found.items():
            k = at[called]
            wrong = {one["annotation"]: number for number, one in enumerate(findings) if "annotation" in one}
            shapes = [
                Shape(labels.names[labels.category[m]], _sides(labels.boxes[m]), True, wrong.get(labels.box_ids[m]))
                for m in np.flatnonzero(labels.image == k)
            ]
            for number, one in enumerate(findings):
                # A surplus box, and one of which nothing better is known, have no suggestion.
                box, label = one.get("suggested_box", one["box"]), one.get("suggested", one.get("given"))
                if label != one.get("given") or not np.allclose(box, one["box"], rtol=0, atol=1e-3):
                    shapes.append(Shape(label, _sides(box), False, number))
            width, height = labels.sizes[k].tolist()
            size = (width, height) if np.isfinite(labels.sizes[k]).all() else None
            yield FlaggedPicture(called, labels.files[k], size, float(image_scores[k]), tuple(findings), tuple(shapes))

    return Pictured(labels.names, "boxes", len(found), each)


def _sides(box: Sequence[float] | np.ndarray) -> tuple[float, float, float, float]:
    x, y, width, height = map(float, box)
    return x, y, width, height


def _written(labels: GivenBoxes, fit: BoxFit, cell: int, kind: int) -> tuple[str, str]:
    """A flagged cell as it is and as it should be: class and box, or nothing."""

    def text(category: int, box: np.ndarray) -> str:
        return f"{labels.names[category]} {','.join(f'{value:.10g}' for value in box)}"

    m = len(labels.boxes)
    if cell >= m:
        return "", text(fit.category[cell - m], fit.boxes[cell - m])
    category, box = labels.category[cell], labels.boxes[cell]
    before = text(category, box)
    if WORDS[kind] == "surplus":
        return before, ""
    if WORDS[kind] == "swapped" and fit.other_class[cell] != category:
        return before, text(fit.other_class[cell], box)
    if WORDS[kind] == "badly_located" and (fit.other_box[cell] != box).any():
        return before, text(category, fit.other_box[cell])
    return before, f"not {before}"


def _refuse_unrelated(labels: GivenBoxes, found: PredictedBoxes) -> None:
    """Refuse predictions that lie at given boxes of their pictures no more often than at those of other pictures."""
    m, n = len(labels.boxes), len(labels.ids)
    if m < _ENOUGH_BOXES or len(found.boxes) < _ENOUGH_BOXES or n < 10:
        return
    order = np.argsort(found.image, kind="stable")
    bounds = np.searchsorted(found.image[order], np.arange(n + 1))
    sample = np.linspace(0, m - 1, min(m, 2000)).astype(np.int64)
    hits = np.zeros(2)
    for k in sample:
        for which, picture in enumerate((labels.image[k], (labels.image[k] + n // 2) % n)):
            there = order[bounds[picture] : bounds[picture + 1]]
            if len(there):
                hits[which] += overlaps(labels.boxes[k : k + 1], found.boxes[there]).max() >= 0.5
    own, other = hits / len(sample)
    if own <= other + 2 * np.sqrt(max(other * (1 - other), 1 / len(sample)) / len(sample)):
        raise ProbabilityError(
            f"predictions are unrelated to the labels: they lie at {own:.0%} of the given boxes of their pictures, and "
            f"at {other:.0%} of those of other pictures.",
            "Are ids and boxes of the same pictures, and boxes [x, y, width, height] in pixels, not corners?",
        )
