"""One search as a fit: stored under its key, and run beside others in worker processes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.progress import Progress
from auditor.lab.search.arms import SearchOutcome
from auditor.lab.search.children import SearchSettings
from auditor.lab.search.data import SearchData
from auditor.lab.search.systems import SYSTEMS, TIMED
from auditor.models.genotype import parse_genotype
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.device import choose_device


@dataclass(frozen=True)
class SeedSearch:
    """Trainer whose fit is a whole search: ``task.train`` are its training and ``task.predict`` its validation items.

    The result has no probabilities; what was found lies in its details (`outcome_of`).

    Attributes
    ----------
    system : str
    settings : SearchSettings
    folder : Path
        Every search has a folder ``seed-<k>`` in it, with its log and its children. Never changes a result.
    ids : str array
        Of the items.
    device : str
    """

    system: str
    settings: SearchSettings
    folder: Path
    ids: np.ndarray = field(compare=False)
    device: str = "auto"
    threads: int = 1

    @property
    def name(self) -> str:
        """Name for people."""
        return f"search:{self.system}"

    @property
    def needs_one_process(self) -> bool:
        """Whether searches must follow one another: on an accelerator, and where a search measures time."""
        return self.device == "cuda" or self.system in TIMED

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        return {"search": self.system, "version": 4, "device": self.device, **self.settings.as_dict()}

    def resolved(self, data: TrainingData) -> SeedSearch:
        """With ``auto`` replaced by what this machine offers."""
        return replace(self, device=choose_device(self.device))

    def fit(self, data: TrainingData, task: FitTask, progress: Progress, checkpoint_dir: Path | None) -> FitResult:
        """Search with ``task.seed``; children that are stored already are not trained again."""
        started = time.perf_counter()
        split = SearchData(data, task.train, task.predict, self.ids)
        folder = Path(self.folder) / f"seed-{task.seed}"
        outcome = SYSTEMS.load(self.system)(split, self.settings, folder, task.seed, self.device, progress)
        nothing = np.zeros((0, data.n_classes), np.float32)
        details = {
            "found": outcome.found.model_dump(mode="json"),
            "control": outcome.control.model_dump(mode="json"),
            "start": outcome.start and outcome.start.model_dump(mode="json"),
            "noise": outcome.noise and outcome.noise.model_dump(mode="json"),
            "rows": outcome.rows,
            "facts": outcome.facts,
            "groups": {
                name: [genotype.model_dump(mode="json") for genotype in group] for name, group in outcome.groups.items()
            },
        }
        return FitResult(nothing, None, [], time.perf_counter() - started, details)


def outcome_of(result: FitResult) -> SearchOutcome:
    """The search of a result of `SeedSearch`.

    Raises
    ------
    UnreadableError
        If it was stored by another version.
    """
    details = result.details
    parse = lambda role: parse_genotype(details[role], f"the stored search ({role})")  # noqa: E731
    start, noise = (parse(role) if details.get(role) else None for role in ("start", "noise"))
    groups = {
        name: [parse_genotype(genotype, f"the stored search ({name})") for genotype in group]
        for name, group in details.get("groups", {}).items()
    }
    return SearchOutcome(parse("found"), parse("control"), details["rows"], details["facts"], start, noise, groups)
