"""A small problem of every label kind whose wrong cells are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import softmax

from auditor.kinds.box_model import fit_boxes, overlaps
from auditor.kinds.boxes import Boxes
from auditor.kinds.mask_regions import find_regions
from auditor.kinds.registry import flag_kind


@dataclass(frozen=True)
class Case:
    """What a kind is given, and where it is wrong.

    Attributes
    ----------
    inputs : dict
        Name of the option -> array, or what JSON can hold.
    wrong : bool array, of the form of the scores
    rows : tuple of str
        Inputs whose first axis is the items: permuting them permutes the scores.
    """

    inputs: dict[str, Any]
    wrong: np.ndarray
    rows: tuple[str, ...]


def multilabel(n: int = 300) -> Case:
    """Four tags of different frequency; one cell in thirty is turned round."""
    rng = np.random.default_rng(0)
    truth = rng.random((n, 4)) < [0.5, 0.3, 0.1, 0.02]
    z = np.where(truth, 2.0, -2.5) + rng.normal(0, 0.8, truth.shape)
    wrong = rng.random(truth.shape) < 1 / 30
    return Case(
        {"pred_probs": 1 / (1 + np.exp(-z)), "labels": (truth ^ wrong).astype(int)}, wrong, ("pred_probs", "labels")
    )


def tokens(n_sentences: int = 150) -> Case:
    """Spans of two types in sentences; one span in eight has the other type, or no tag."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 14, n_sentences)
    truth = np.zeros(lengths.sum(), np.int64)
    offsets = np.cumsum([0, *lengths])
    given = truth.copy()
    for number, start in enumerate(offsets[:-1]):
        span = slice(start + 1, start + 3)
        truth[span] = given[span] = 1 + number % 2
        if number % 8 == 3:
            given[span] = (0, 3 - truth[start + 1])[number // 8 % 2]
    p = np.eye(3)[truth] * 5 + rng.normal(0, 0.6, (len(truth), 3))
    p = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
    return Case({"pred_probs": p, "labels": given, "offsets": offsets}, given != truth, ())


def annotators(n: int = 400) -> Case:
    """Eight annotators, three an item, of ten classes; two guess, and some items were shown to nobody else."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 10, n)
    labels = np.full((n, 8), -1)
    guessed = rng.random(n) < 0.06
    for i in range(n):
        asked = [0, 1] if guessed[i] else rng.choice(8, 3, replace=False)
        for a in asked:
            right = a > 1 and rng.random() < 0.93
            labels[i, a] = truth[i] if right else rng.integers(0, 10)
    p = np.full((n, 10), 0.05) + 0.5 * np.eye(10)[truth]
    p[guessed] = 0.1
    inputs = {"pred_probs": p, "labels": labels}
    wrong = flag_kind("annotators", **inputs).facts["consensus"] != truth
    return Case(inputs, wrong, ("pred_probs", "labels"))


def regression(n: int = 300) -> Case:
    """A line; some numbers are drawn anew, some are ten times too large."""
    rng = np.random.default_rng(0)
    predicted = rng.normal(50, 10, n)
    given = predicted + rng.normal(0, 1.5, n)
    at = rng.permutation(n)[:16]
    given[at[:10]] += rng.choice([-1, 1], 10) * rng.uniform(10, 30, 10)
    given[at[10:]] *= 10
    return Case({"predictions": predicted, "labels": given}, np.isin(np.arange(n), at), ("predictions", "labels"))


def ordinal(n: int = 400) -> Case:
    """Five ordered classes that a model tells apart but for neighbours; some labels are two classes off or more."""
    rng = np.random.default_rng(0)
    place = rng.uniform(0, 5, n)
    truth = np.minimum(place.astype(int), 4)
    p = np.exp(-1.5 * np.abs(np.arange(5) + 0.5 - (place + rng.normal(0, 0.3, n))[:, None]))
    given = truth.copy()
    at = rng.permutation(n)[:20]
    given[at] = (truth[at] + 3) % 5
    given[at] = np.where(np.abs(given[at] - truth[at]) < 2, (truth[at] + 2) % 5, given[at])
    inputs = {"pred_probs": p / p.sum(axis=1, keepdims=True), "labels": given}
    return Case(inputs, given != truth, ("pred_probs", "labels"))


def boxes(n: int = 70) -> Case:
    """Four objects a picture; one in eight is lost, moved, of another class, or a box too many."""
    rng = np.random.default_rng(0)
    given, found, wrong, lost = [], [], [], []
    for k in range(n):
        for j, corner in enumerate(((5, 5), (105, 5), (5, 105), (105, 105))):
            box = np.r_[np.add(corner, rng.uniform(0, 20, 2)), rng.uniform(30, 60, 2)]
            seen = box + rng.normal(0, 1.5, 4)
            row = {"image_id": 10 + k, "category_id": 1 + j % 3, "bbox": box.tolist()}
            error = rng.integers(0, 4) if rng.random() < 1 / 8 else -1
            if error < 3:
                found.append(row | {"bbox": seen.tolist(), "score": rng.uniform(0.6, 1.0)})
            if error == 0:
                lost.append((k, box))
                continue
            if error == 1:
                row["bbox"] = (box + np.r_[0.4 * box[2:], 0, 0]).tolist()
            elif error == 2:
                row["category_id"] = 1 + (j + 1) % 3
            given.append(row)
            wrong.append(error >= 0)
        for _ in range(2):
            alarm = np.r_[rng.uniform(0, 150, 2), rng.uniform(20, 60, 2)]
            found.append(
                {"image_id": 10 + k, "category_id": 1, "bbox": alarm.tolist(), "score": rng.uniform(0.05, 0.4)}
            )
    document = {
        "images": [{"id": 10 + k, "width": 220, "height": 220} for k in range(n)],
        "categories": [{"id": 1 + c, "name": name} for c, name in enumerate(("cat", "dog", "cow"))],
        "annotations": [{"id": 100 + k, **row} for k, row in enumerate(given)],
    }
    inputs = {"labels": document, "predictions": found}
    fit = fit_boxes(*vars(Boxes().read(**inputs)).values())
    for k, box in zip(fit.image, fit.boxes, strict=True):
        there = np.array([b for picture, b in lost if picture == k]).reshape(-1, 4)
        wrong.append(bool((overlaps(box[None], there) > 0.5).any()))
    return Case(inputs, np.array(wrong), ())


def masks(n: int = 40) -> Case:
    """Two squares a picture, and a model that is unsure at borders and sees things that are not there; one square in
    eight is lost, of another class, shifted, or one too many."""
    rng = np.random.default_rng(0)
    truth, given = np.zeros((2, n, 40, 60), np.int64)
    for k in range(n):
        for j, left in enumerate((4, 34)):
            top, size = rng.integers(3, 12), rng.integers(12, 18)
            square = (k, slice(top, top + size), slice(left, left + size))
            truth[square] = given[square] = 1 + (k + j) % 2
            error = rng.integers(0, 4) if rng.random() < 1 / 8 else -1
            if error in (0, 2):
                given[square] = 0
            if error == 1:
                given[square] = 2 - (k + j) % 2
            elif error == 2:
                given[k, top + 6 : top + 6 + size, left + 6 : left + 6 + size] = 1 + (k + j) % 2
            elif error == 3:
                given[k, 32:38, left : left + 8] = 1
    z = 3.0 * np.eye(3)[truth] + gaussian_filter(rng.normal(0, 6, (n, 40, 60, 3)), (0, 2, 2, 0))
    p = softmax(gaussian_filter(z, (0, 1, 1, 0)), axis=-1).transpose(0, 3, 1, 2).astype(np.float32)
    inputs = {"labels": given, "pred_probs": p}
    wrong = []
    for k in range(n):
        regions = find_regions(given[k], p[k], p[k].argmax(axis=0))
        for (x, y, width, height), before, seen in zip(regions.box, regions.given, regions.seen, strict=True):
            part = (k, slice(y, y + height), slice(x, x + width))
            inside = (given[part] == before) & (p[k].argmax(axis=0)[part[1:]] == seen)
            wrong.append((given[part] != truth[part])[inside].mean() > 0.5)
    return Case(inputs, np.array(wrong), ())


CASES: dict[str, Callable[[], Case]] = {
    "multilabel": multilabel,
    "regression": regression,
    "ordinal": ordinal,
    "tokens": tokens,
    "annotators": annotators,
    "boxes": boxes,
    "masks": masks,
}
