"""Published test sets whose suspected errors people judged: ``published-<set>``.

Below ``label_errors/<set>`` of a data folder: the given labels, the verdicts (``mturk.json``) and out-of-sample
probabilities (``pyx.npy``), as the data repository of Northcutt, Athalye and Mueller 2021 (arXiv:2103.14749) has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import DataError
from auditor.core.files import load_npy
from auditor.core.hashing import hash_array, hash_file
from auditor.detect.base import Evidence
from auditor.engine.mixture import normalised
from auditor.lab.detectors.sets import BenchmarkContext, Case, Family, find_data, label_array
from auditor.review.published import category, check_rows, label_numbers, published_rows, read_index, read_published

VERDICTS, LABELS, PROBABILITIES, INDEX = "mturk.json", "original_labels.npy", "pyx.npy", "index.json"
#: Votes of five that settle an item, the paper's rule.
MAJORITY = 3


@dataclass(frozen=True)
class PublishedSet:
    """One set; items that nobody judged are unknown."""

    name: str

    @property
    def summary(self) -> str:
        """See `BenchmarkSet.summary`."""
        return (
            f"{self._folder}, published labels and out-of-sample probabilities; five people judged each item that one "
            "model doubted, and a label is wrong where fewer than three of them kept it"
        )

    @property
    def limits(self) -> str:
        """See `BenchmarkSet.limits`."""
        return (
            "P@50 and P@100 count judged items only; the other figures take an item that nobody judged for right. What "
            "was judged was chosen with these probabilities by cleanlab's rules, which favours its order."
        )

    @property
    def _folder(self) -> str:
        return self.name.removeprefix("published-")

    def _file(self, context: BenchmarkContext, name: str) -> Path | None:
        return find_data(context.settings, f"label_errors/{self._folder}/{name}")

    def _files(self, context: BenchmarkContext) -> dict[str, Path]:
        paths = {name: self._file(context, name) for name in (VERDICTS, LABELS, PROBABILITIES, INDEX)}
        return {name: path for name, path in paths.items() if path is not None}

    def seeds(self, context: BenchmarkContext, wanted: int) -> int:
        """Stored probabilities are one realisation."""
        return 1

    def absent(self, context: BenchmarkContext) -> str | None:
        """See `BenchmarkSet.absent`."""
        here = self._files(context)
        missing = [name for name in (VERDICTS, LABELS, PROBABILITIES) if name not in here]
        where = f"label_errors/{self._folder}"
        return f"not found in {where} below the data folders: {', '.join(missing)}" if missing else None

    def inputs(self, context: BenchmarkContext, seed: int) -> dict[str, Any]:
        """See `BenchmarkSet.inputs`."""
        return {"files": {name: hash_file(path) for name, path in self._files(context).items()}}

    def case(self, context: BenchmarkContext, seed: int) -> Case:
        """See `BenchmarkSet.case`."""
        files = self._files(context)
        probabilities = load_npy(files[PROBABILITIES])
        labels = label_array(files[LABELS], len(probabilities))
        items = read_published(files[VERDICTS])
        rows = published_rows(items, read_index(files[INDEX]) if INDEX in files else None)
        given, guessed = label_numbers(items)
        check_rows(items, rows, labels.tolist(), given.tolist())
        if len(np.unique(rows)) < len(rows):
            raise DataError(f"{str(files[VERDICTS])!r} judges one row of {self._folder} twice.")
        wrong = np.array([category(item, MAJORITY) != "non-error" for item in items])
        # The class an item should have is not always known; that it is not the given one is.
        n_classes = probabilities.shape[1]
        other = np.where(guessed != given, guessed, (given + 1) % n_classes)
        truth, judged = labels.copy(), np.zeros(len(labels), bool)
        truth[rows[wrong]], judged[rows] = other[wrong], True
        ids = np.char.zfill(np.arange(len(labels)).astype(str), 6)
        evidence = Evidence(ids, labels, n_classes, probabilities=normalised(probabilities))
        facts = {
            "network": "published",
            "labels": self._folder,
            "trained here": False,
            "judged": int(judged.sum()),
            "evidence": hash_array(evidence.mean_probabilities)[7:23],
        }
        return Case(evidence, truth, facts, judged)


def _make(name: str) -> PublishedSet | None:
    return PublishedSet(name) if re.fullmatch(r"published-\w+", name) else None


SETS = Family(tuple(f"published-{each}" for each in ("cifar10", "cifar100", "caltech256", "imdb", "amazon")), _make)
