"""Masks: a class for each pixel of pictures, and a cell is a connected piece in which a model sees another class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError, ProbabilityError, UsageError
from auditor.kinds.base import KindFlags
from auditor.kinds.formulas import given_class, softmin
from auditor.kinds.mask_coco import VOID
from auditor.kinds.mask_files import MaskedPicture, MaskedPictures, open_masks
from auditor.kinds.mask_pictured import pictured_masks
from auditor.kinds.mask_regions import Regions, find_regions, joined, kinds_of

MISSING_PIECE, SURPLUS_PIECE, SWAPPED_CLASS, WRONG_BORDER = "LE071", "LE072", "LE073", "LE074"
#: What the document calls each, in the order of `mask_regions.kinds_of`.
WORDS: Final = ("missing_piece", "surplus_piece", "swapped_class", "border")
_CODES: Final = np.array([MISSING_PIECE, SURPLUS_PIECE, SWAPPED_CLASS, WRONG_BORDER])
#: Flagged is what would be likelier wrong than right if one pixel in so many were in a wrong piece of its kind. Few, as
#: published masks have: a flag costs a person a look, and a prior too high floods them with the model's own mistakes.
ONE_WRONG_IN: Final = 1000
#: The most suspicious pieces that a document lists; a weak model differs from every border of every picture.
MOST_LISTED: Final = 100_000
#: From so many pictures on it is asked whether labels and predictions belong together, by one pixel in so many.
_ENOUGH_PICTURES, _LOOK = 10, 7


class Masks:
    """The kind ``masks``."""

    name: ClassVar[str] = "masks"
    summary: ClassVar[str] = "a class for each pixel, beside the probabilities that a model predicts"
    codes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            MISSING_PIECE: "an object has no mask",
            SURPLUS_PIECE: "a mask is about nothing",
            SWAPPED_CLASS: "a mask has another class than its object",
            WRONG_BORDER: "a mask ends where its object does not",
        }
    )

    def read(self, *, labels: Any, pred_probs: Any = None, predictions: Any = None) -> MaskedPictures:
        """Find the pictures; each is opened, and checked, when it is looked at.

        Parameters
        ----------
        labels : path, array or dict
            Class numbers, 0 .. K - 1, and 255 where nothing is to be judged: int (n, H, W), or a list of (H, W), in
            memory or in a ``.npy`` file; a folder of one file a picture (PNG, BMP or TIFF of grey values or palette
            indices, or ``.npy``); or a COCO document whose segmentations are run-length encodings.
        pred_probs, predictions : path or array
            Out-of-sample probabilities, by either name: float (n, K, H, W), or a list of (K, H, W), in memory or in a
            ``.npy`` file; or a folder of ``.npy`` (K, H, W), called as the masks.

        Raises
        ------
        EmptyDataError
            No pictures.
        LabelError, ProbabilityError
            Masks without probabilities or the reverse, other forms; when a picture is looked at also numbers that are
            no class and values that are no probabilities; with the picture.
        UnreadableError, UnsafeFileError
            A file that is no array or picture.
        UsageError
            Both names, or neither.
        """
        if (pred_probs is None) == (predictions is None):
            which = "either" if pred_probs is None else "one of"
            raise UsageError(
                f"kind 'masks' needs {which} --pred-probs and --predictions.",
                "Give a folder of .npy (K, height, width), or one array (n, K, height, width).",
            )
        return open_masks(labels, predictions if pred_probs is None else pred_probs)

    def flag(self, given: MaskedPictures) -> KindFlags:
        """Score every piece, and flag what would be likelier wrong than right if few pixels were wrong
        (`ONE_WRONG_IN`): scores of 0.5 and more. They order pieces and are no probabilities."""
        seen = _look(given)
        regions, image = seen.regions, seen.image
        kind = kinds_of(regions, seen.background)
        scores = scores_of(regions, kind, seen.judged)
        order = np.lexsort((*regions.box.T, image, -scores))
        chosen = order[scores[order] >= 0.5]
        names = np.array(given.class_names(seen.n_classes), object)
        items = [
            {
                "id": given.ids[image[k]],
                "score": round(float(scores[k]), 6),
                "kind": WORDS[kind[k]],
                "flagged": bool(scores[k] >= 0.5),
                "box": regions.box[k].tolist(),
                "area": int(regions.area[k]),
                "given": names[regions.given[k]],
                "suggested": names[regions.seen[k]],
            }
            for k in order[:MOST_LISTED].tolist()
        ]
        image_scores = _of_pictures(scores, image, seen.softmin)
        columns = {"image": np.array([str(given.ids[k]) for k in image[chosen]], object), "score": scores[chosen]}
        columns |= {side: regions.box[chosen, k] for k, side in enumerate(("x", "y", "width", "height"))}
        return KindFlags(
            kind=self.name,
            axes=("cell",),
            shape=scores.shape,
            flagged=chosen[:, None],
            given=names[regions.given[chosen]],
            suggested=names[regions.seen[chosen]],
            codes=_CODES[kind[chosen]],
            expected_f1=None,
            blocks=lambda: [scores],
            facts={
                "items": items,
                "image_scores": image_scores,
                "softmin": seen.softmin,
                "background": names[seen.background],
                "n_void": seen.void,
            },
            columns=columns | {"area": regions.area[chosen]},
            saved=image_scores,
            pictured=pictured_masks(
                given, regions, image, chosen, items, image_scores, names.tolist(), seen.background
            ),
        )


def scores_of(regions: Regions, kind: np.ndarray, judged: int) -> np.ndarray:
    """How much speaks against the mask in each piece, float64 (m,) in [0, 1); an order, no probability.

    Where mask and model differ one of them is wrong, and mostly the model. Evidence that it is the mask are the odds of
    the model where the piece is thickest, times its thickness in pixels (a mask is seldom off by much at a border, and
    a model seldom sure of a large mistake), over the share of all judged pixels that lie in pieces of this kind: what
    the model sees everywhere is its own habit. The logarithm x of this becomes ``x / (x + log(ONE_WRONG_IN))``: it
    keeps the order, does not crowd at 1, and is one half where odds and thickness outweigh that share over the prior.

    Parameters
    ----------
    regions : Regions
    kind : int64 array (m,)
        Of `kinds_of`.
    judged : int
        Pixels.
    """
    share = np.bincount(kind, regions.area, minlength=len(WORDS)) / judged
    evidence = np.maximum(regions.core, 0) + np.log(regions.thickness) - np.log(share[kind])
    return np.asarray(evidence / (evidence + np.log(ONE_WRONG_IN)))


@dataclass(frozen=True, eq=False)
class _Seen:
    """Pieces of all pictures with the picture of each; of each picture cleanlab's quality; pixels, and void ones."""

    regions: Regions
    image: np.ndarray
    softmin: np.ndarray
    background: int
    n_classes: int
    judged: int
    void: int


def _look(given: MaskedPictures) -> _Seen:
    parts, image, quality = [], [], []
    pixels, void = np.zeros(0, np.int64), 0
    own, others = [], []
    before: MaskedPicture | None = None
    for k, picture in enumerate(given):
        p = picture.probabilities
        if not len(pixels):
            pixels = np.zeros(len(p), np.int64)
        here = picture.mask[picture.judged]
        pixels += np.bincount(here, minlength=len(p))
        void += picture.judged.size - len(here)
        found = find_regions(picture.mask, p, picture.seen)
        parts.append(found)
        image.append(np.full(len(found.area), k))
        values = given_class(p, picture.mask)[picture.judged]
        quality.append(softmin(values) if len(values) else 1.0)
        if before is not None and before.mask.shape == picture.mask.shape:
            own.append(_agreement(picture, picture.seen))
            others.append(_agreement(picture, before.seen))
        before = picture
    _refuse_unjudged(pixels, void)
    background = int(pixels.argmax())
    _refuse_unrelated(np.array(own), np.array(others))
    judged = int(pixels.sum())
    return _Seen(joined(parts), np.concatenate(image), np.array(quality), background, len(pixels), judged, void)


def _of_pictures(scores: np.ndarray, image: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """The score of each picture, float64 (n,): of its most suspicious piece. Pictures without a piece come behind all
    others, by softmin."""
    most = np.full(len(quality), -1.0)
    np.maximum.at(most, image, scores)
    lowest = float(scores.min()) if len(scores) else 0.5
    return np.where(most < 0, (1 - quality) * lowest, most)


def _agreement(picture: MaskedPicture, seen: np.ndarray) -> float:
    """Share of the pixels in which the mask has the class that `seen` has, of those where that is not the picture's
    usual one; NaN without such."""
    mask, seen = picture.mask.ravel()[::_LOOK], seen.ravel()[::_LOOK]
    told = seen != np.bincount(mask).argmax()
    return float((mask[told] == seen[told]).mean()) if told.any() else float("nan")


def _refuse_unjudged(pixels: np.ndarray, void: int) -> None:
    """Refuse masks of nothing but void, and of 0 and 255 as programs write those of two classes."""
    if not pixels.sum():
        raise EmptyDataError(f"all pixels of the labels are void ({VOID}): there is nothing to judge.")
    if void and (pixels > 0).sum() == 1:
        raise LabelError(
            f"all pixels are class {int(pixels.argmax())} or {VOID}, and {VOID} means that nobody judges them.",
            f"Masks of two classes hold 0 and 1: divide the values by {VOID}.",
        )


def _refuse_unrelated(own: np.ndarray, others: np.ndarray) -> None:
    """Refuse predictions that agree with the masks of their pictures no better than with those of the next ones."""
    told = ~np.isnan(own) & ~np.isnan(others)
    if told.sum() < _ENOUGH_PICTURES:
        return
    better = own[told] - others[told]
    if own[told].mean() < 0.5 and better.mean() <= 2 * better.std() / np.sqrt(told.sum()):
        raise ProbabilityError(
            f"predictions are unrelated to the labels: they agree in {own[told].mean():.0%} of what they see with the "
            f"masks of their pictures, and in {others[told].mean():.0%} with those of other pictures.",
            "Are both in the same order, and the maps in the order of the class numbers?",
        )
