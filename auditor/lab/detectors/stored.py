"""Sets from stored out-of-sample probabilities: ``oof-<labels>:<network>``, ``:uniform`` and ``:convex``.

``<labels>`` names ``cifar10n/<labels>.npy`` and the folder ``oof/cifar10n_<labels>`` below a data folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import DataError
from auditor.core.files import load_npz
from auditor.core.hashing import hash_array, hash_file
from auditor.detect.base import Evidence
from auditor.engine.mixture import normalised
from auditor.lab.detectors.sets import BenchmarkContext, Case, Family, find_data, label_array

NETWORKS = ("resnet18", "resnet50d", "efficientnet_b1", "twins_pcpvt_base", "swin_base_patch4_window7_224")
MIXTURES = ("uniform", "convex")
CLASSES = 10


@dataclass(frozen=True)
class StoredProbabilities:
    """Probabilities of one network, of the uniform mean of all, or of all with convex weights."""

    name: str
    labels: str
    network: str

    @property
    def summary(self) -> str:
        """See `BenchmarkSet.summary`."""
        which = {
            "uniform": "their uniform mean, given as one network",
            "convex": "all given, weighted by their fit to the given labels",
        }.get(self.network, self.network)
        return (
            f"CIFAR-10N {self.labels} labels; stored 5-fold out-of-sample probabilities of ImageNet-pretrained "
            f"networks fine-tuned on the same labels: {which}"
        )

    @property
    def limits(self) -> str:
        """See `BenchmarkSet.limits`."""
        return (
            "One realisation of annotators and of training; not trained here. The truth is itself wrong for about "
            "0.5 % of the items: AP above 98 is at its noise floor."
        )

    def _files(self, context: BenchmarkContext) -> dict[str, Path | None]:
        folder = f"oof/cifar10n_{self.labels}"
        stored = find_data(context.settings, folder)
        if self.network in MIXTURES:
            here = sorted(path.stem for path in stored.glob("*.npz")) if stored else []
            # The usual five first: the order decides nothing but the last bit.
            names = [n for n in NETWORKS if n in here] + [n for n in here if n not in NETWORKS] or list(NETWORKS)
        else:
            names = [self.network]
        files = {name: find_data(context.settings, f"{folder}/{name}.npz") for name in names}
        for kind in (self.labels, "clean"):
            files[f"cifar10n/{kind}.npy"] = find_data(context.settings, f"cifar10n/{kind}.npy")
        return files

    def seeds(self, context: BenchmarkContext, wanted: int) -> int:
        """Stored probabilities are one realisation."""
        return 1

    def absent(self, context: BenchmarkContext) -> str | None:
        """See `BenchmarkSet.absent`."""
        missing = [name for name, path in self._files(context).items() if path is None]
        return f"not found below the data folders: {', '.join(missing)}" if missing else None

    def inputs(self, context: BenchmarkContext, seed: int) -> dict[str, Any]:
        """See `BenchmarkSet.inputs`."""
        return {"files": {name: hash_file(path) for name, path in self._files(context).items() if path is not None}}

    def case(self, context: BenchmarkContext, seed: int) -> Case:
        """See `BenchmarkSet.case`."""
        files = {name: path for name, path in self._files(context).items() if path is not None}
        labels = label_array(files.pop(f"cifar10n/{self.labels}.npy"))
        truth = label_array(files.pop("cifar10n/clean.npy"), len(labels))
        arrays = {name: _probabilities(path, labels) for name, path in files.items()}
        ids = np.char.zfill(np.arange(len(labels)).astype(str), 6)
        if self.network == "uniform":
            mean = np.mean([normalised(p) for p in arrays.values()], axis=0)
            evidence = Evidence(ids, labels, CLASSES, probabilities=mean)
        else:
            evidence = Evidence(ids, labels, CLASSES, probabilities=list(arrays.values()), networks=tuple(arrays))
        facts: dict[str, Any] = {"network": self.network, "labels": f"CIFAR-10N {self.labels}", "trained here": False}
        if self.network == "convex":
            facts["network weights"] = {name: round(w, 3) for name, w in evidence.network_weights.items()}
        return Case(evidence, truth, facts | {"evidence": hash_array(evidence.mean_probabilities)[7:23]})


def _probabilities(path: Path, labels: np.ndarray) -> np.ndarray:
    members = load_npz(path)
    if "pred_probs" not in members:
        raise DataError(f"{str(path)!r} has no member 'pred_probs', only {', '.join(members)}.")
    if "labels" in members and not np.array_equal(members["labels"], labels):
        raise DataError(f"{str(path)!r} was made with other labels.", "Labels and probabilities belong together.")
    return members["pred_probs"]


def _make(name: str) -> StoredProbabilities | None:
    match = re.fullmatch(r"oof-([^:/]+):([^:/]+)", name)
    return StoredProbabilities(name, match[1], match[2]) if match else None


def _usual(labels: str) -> tuple[str, ...]:
    """The usual seven of ``oof-<labels>``."""
    known = re.fullmatch(r"oof-[^:/]+", labels)
    return tuple(f"{labels}:{network}" for network in (*NETWORKS, *MIXTURES)) if known else ()


STORED = Family(_usual("oof-aggre"), _make, _usual)
