"""Pairs ``NAME_topKpreds.npy`` (classes) and ``NAME_topKprobs.npy`` (their probabilities).

The columns need not be sorted by probability, and in the published files they are not: the first column holds the
most probable class in a third of the rows. The top class is the one beside the largest probability.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.readers.base import Claim, Prediction, check_length, first_maximum
from auditor.core.errors import DataError, LabelError
from auditor.core.files import load_npy

_PREDS = re.compile(r"^(?P<name>.*?)(?P<between>(?:^|[_\-])(?:top[_\-]?\d+)?[_\-]?)preds\.npy$", re.IGNORECASE)
_PROBS = re.compile(r"^(.*?)(?:^|[_\-])top[_\-]?\d+[_\-]?probs\.npy$", re.IGNORECASE)


class TopK:
    """Two arrays (n, k) for each model."""

    summary = (
        "NAME_topKpreds.npy and NAME_topKprobs.npy: the k best classes and their probabilities, columns in any order"
    )

    def claim(self, files: Sequence[Path]) -> list[Claim]:
        by_name = {path.name: path for path in files}
        claims = []
        for path in files:
            match = _PREDS.match(path.name)
            if match is None:
                continue
            partner = by_name.get(path.name[:-9] + ("PROBS.npy" if path.name[-9:-4].isupper() else "probs.npy"))
            if partner is not None:
                claims.append(Claim(match["name"], (path, partner)))
            elif "top" in match["between"].lower():
                raise DataError(
                    f"{str(path)!r} has no file of probabilities beside it; its columns may be in any order.",
                    f"Put {path.name[:-9]}probs.npy beside it.",
                )
        taken = {path for claim in claims for path in claim.files}
        alone = [path for path in files if _PROBS.match(path.name) and path not in taken]
        if alone:
            raise DataError(
                f"{str(alone[0])!r} has no file of classes beside it.", f"Put {alone[0].name[:-9]}preds.npy beside it."
            )
        return claims

    def read(self, claim: Claim, given_labels: GivenLabels) -> list[Prediction]:
        first, second = claim.files
        classes, probabilities = load_npy(first), load_npy(second)
        where = repr(str(first))
        if classes.ndim != 2 or classes.shape != probabilities.shape:
            raise DataError(
                f"{where} has the shape {classes.shape}, {second.name!r} {probabilities.shape}; both must be rows by k."
            )
        check_length(len(classes), given_labels, where)
        if classes.dtype.kind == "f" and np.isfinite(classes).all() and (classes == np.rint(classes)).all():
            classes = classes.astype(np.int64)
        if classes.dtype.kind not in "iu":
            raise LabelError(f"{where} holds {classes.dtype}, not class numbers.")
        if classes.min(initial=0) < 0:
            raise LabelError(f"{where}: class {int(classes.min())} is negative.")
        best = first_maximum(probabilities, repr(str(second)))
        top = classes.astype(np.int64)
        return [Prediction(claim.name, top[np.arange(len(top)), best], str(first), top)]
