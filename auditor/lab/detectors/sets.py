"""The benchmark's sets: how evidence, labels and truth come about. The table of families is at the end.

A set says which data it needs (`absent`), what its result depends on (`inputs`), and makes a `Case` per seed.
The truth lies beside the evidence, never in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError, UnknownNameError, UsageError
from auditor.core.progress import Progress, SilentProgress
from auditor.core.registry import Registry
from auditor.data.locate import search_folders
from auditor.detect.base import Evidence
from auditor.lab.experiment.shell import ExperimentOptions


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions(ExperimentOptions):
    """What a user may choose. Everything here can change a result and is part of the stored inputs.

    Attributes
    ----------
    noise_rate : float
        Expected share of injected wrong labels.
    subset : int
        Items of ``cifar10+...``, chosen by the hash of their ids.
    model : str
        Trainer of ``cifar10+...``.
    audit_budget : str or None
        ``"quick"`` or ``"standard"``: recipe of trained networks. None: 50,000 images are not trained on, and
        small sets use the quick recipe.
    folds : int
    draws : int
        Resamples of the paired bootstrap.
    """

    noise_rate: float = 0.2
    subset: int = 10_000
    model: str = "frozen"
    audit_budget: str | None = None
    folds: int = 5
    draws: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.noise_rate < 1:
            raise UsageError(f"noise rate {self.noise_rate}: a share between 0 and 1 is needed.")
        if self.subset < 100:
            raise UsageError(f"a subset of {self.subset} items says nothing.", "Take at least 100.")
        if self.draws < 20:
            raise UsageError(f"{self.draws} draws: at least 20 are needed.")
        if self.audit_budget not in (None, "smoke", "quick", "standard"):
            raise UsageError(f"unknown budget {self.audit_budget!r}.", "Choose quick or standard.")


@dataclass(frozen=True)
class BenchmarkContext:
    """Where things are.

    Attributes
    ----------
    settings : Settings
    work : Path
        Fits, runs and embeddings; content-addressed, so it may be shared and kept.
    options : BenchmarkOptions
    runs : tuple of Path
        Finished run folders that may serve ``cifar10n-...`` sets; each serves the set whose labels it has.
    workers : int
    progress : Progress
    """

    settings: Settings
    work: Path
    options: BenchmarkOptions = field(default_factory=BenchmarkOptions)
    runs: tuple[Path, ...] = ()
    workers: int = 1
    progress: Progress = field(default_factory=SilentProgress)


@dataclass(frozen=True, eq=False)
class Case:
    """One set with one seed.

    Attributes
    ----------
    evidence : Evidence
        All that the methods see.
    truth : int64 array (n,)
        True classes, for measuring only.
    facts : dict
        Conditions that belong beside the figures: network, recipe, training seconds, noise.
    judged : bool array (n,) or None
        Where people looked; elsewhere `truth` repeats the given label without anybody knowing. None: all is known.
    """

    evidence: Evidence
    truth: np.ndarray
    facts: Mapping[str, Any]
    judged: np.ndarray | None = None

    @property
    def wrong(self) -> np.ndarray:
        """bool (n,): the given label differs from the truth."""
        return self.evidence.labels != self.truth


class BenchmarkSet(Protocol):
    """One set of the benchmark."""

    @property
    def name(self) -> str:
        """Unique; its first word names the family."""

    @property
    def summary(self) -> str:
        """One sentence: items, labels, probabilities."""

    @property
    def limits(self) -> str:
        """What the figures do not say."""

    def seeds(self, context: BenchmarkContext, wanted: int) -> int:
        """How many seeds there are to run: 1 where a seed changes nothing."""

    def absent(self, context: BenchmarkContext) -> str | None:
        """Why the set cannot be run here, or None."""

    def inputs(self, context: BenchmarkContext, seed: int) -> dict[str, Any]:
        """JSON values that determine the case: hashes of the data, recipe, seed."""

    def case(self, context: BenchmarkContext, seed: int) -> Case:
        """Evidence and truth."""


@dataclass(frozen=True)
class Family:
    """Sets of one kind, in one module.

    Attributes
    ----------
    names : tuple of str
        Those that are run when nothing is chosen.
    make : callable
        The set of a name, or None. It may know more than `names`: other labels or networks in the same layout.
    others : callable
        Names of the sets that a word means which is no name itself; none by default.
    """

    names: tuple[str, ...]
    make: Callable[[str], BenchmarkSet | None]
    others: Callable[[str], tuple[str, ...]] = lambda word: ()


#: First word of a set's name to its family.
FAMILIES: Registry[Family] = Registry(
    "benchmark set",
    {
        "oof": "auditor.lab.detectors.stored:STORED",
        "text": "auditor.lab.detectors.trained:TEXTS",
        "table": "auditor.lab.detectors.planted:TABLES",
        "digits": "auditor.lab.detectors.trained:DIGITS",
        "cifar10": "auditor.lab.detectors.trained:CIFAR10",
        "cifar10n": "auditor.lab.detectors.trained:HUMAN",
        "published": "auditor.lab.detectors.published:SETS",
    },
    entry_point_group="auditor.benchmark_sets",
)


def list_sets() -> list[str]:
    """Names of all sets that are run when nothing is chosen."""
    return [name for family in FAMILIES for name in FAMILIES.load(family).names]


def select_sets(wanted: Sequence[str]) -> list[BenchmarkSet]:
    """The sets asked for; a first part of names (``digits``, ``oof-aggre``) means all that begin with it.

    Raises
    ------
    UnknownNameError
        With the names there are.
    """
    known = list_sets()
    names: list[str] = []
    for word in wanted or known:
        family = re.split(r"[-+:]", word)[0]
        if word in known:
            names.append(word)
        elif parts := [name for name in known if re.match(re.escape(word) + r"[-+:]", name)]:
            names += parts
        elif family in FAMILIES and (others := FAMILIES.load(family).others(word)):
            names += others
        elif family in FAMILIES and FAMILIES.load(family).make(word):
            names.append(word)
        else:
            raise UnknownNameError("benchmark set", word, known, [n for n in known if n.startswith(word[:4])][:3])
    sets = []
    for name in dict.fromkeys(names):
        made = FAMILIES.load(re.split(r"[-+:]", name)[0]).make(name)
        if made is None:
            raise UnknownNameError("benchmark set", name, known, [])
        sets.append(made)
    return sets


def slug(name: str) -> str:
    """A set's name as a file name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)


def find_data(settings: Settings, relative: str) -> Path | None:
    """A file or folder below one of the data folders."""
    places = [folder / relative for folder in search_folders(settings)]
    return next((path for path in places if path.exists()), None)


def label_array(path: Path, n_items: int | None = None) -> np.ndarray:
    """Labels from a ``.npy`` file, int64 (n,).

    Raises
    ------
    DataError
        Another shape than ``(n_items,)``.
    """
    from auditor.core.files import load_npy

    labels = load_npy(path).astype(np.int64)
    if labels.ndim != 1 or (n_items is not None and len(labels) != n_items):
        raise DataError(f"{str(path)!r} holds labels of shape {labels.shape}; expected ({n_items or 'n'},).")
    return labels
