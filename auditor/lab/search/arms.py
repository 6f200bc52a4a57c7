"""The two arms of a search, the search itself and its random control: what they evaluate, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from auditor.core.progress import Progress
from auditor.lab.search.children import ChildScore
from auditor.models.genotype import Genotype

G = TypeVar("G", bound=Genotype)


class SearchLog:
    """Every evaluation as a row, written to a JSON Lines file as it happens.

    A search is a deterministic function of its seed and of stored scores, so a search that starts again writes the
    same rows again.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("", encoding="utf-8")
        self.rows: list[dict[str, Any]] = []
        self._spent: dict[str, float] = {}

    def add(self, arm: str, step: int, score: ChildScore, extra_cost: float = 0.0, **facts: Any) -> dict[str, Any]:
        """One evaluated child of an arm (``search`` or ``control``), in step `step` of it."""
        self._spent[arm] = self._spent.get(arm, 0.0) + score.cost + extra_cost
        result = {**asdict(score), "accuracy": score.accuracy, "spent": self._spent[arm]}
        row = {"arm": arm, "step": step, **result, **facts}
        self.rows.append(row)
        self._write({"event": "child", **row})
        return row

    def note(self, event: str, **facts: Any) -> None:
        """Anything else worth keeping: rewards, losses, baselines."""
        self._write({"event": event, **facts})

    def spent(self, arm: str) -> float:
        """MACs the children of an arm have cost."""
        return self._spent.get(arm, 0.0)

    def arm(self, name: str) -> list[dict[str, Any]]:
        """Rows of an arm."""
        return [row for row in self.rows if row["arm"] == name]

    def _write(self, row: dict[str, Any]) -> None:
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(row, sort_keys=True) + "\n")


class Arm(Generic[G]):
    """Writes down the children of one arm and keeps the best of them, the first of equal ones.

    Parameters
    ----------
    name : str
        ``search`` or ``control``.
    log : SearchLog
    progress : Progress
    total : float
        What it is to do, in `unit`.
    unit : str
        ``child``, or what else `add` is told to count.
    """

    def __init__(self, name: str, log: SearchLog, progress: Progress, total: float, unit: str = "child") -> None:
        self.name, self.log, self.progress, self.unit = name, log, progress, unit
        self._children: dict[str, tuple[G, ChildScore]] = {}
        progress.start(name, total, unit)

    def add(self, genotype: G, score: ChildScore, step: int, extra_cost: float = 0.0, **facts: Any) -> None:
        """One evaluated child."""
        self.log.add(self.name, step, score, extra_cost, **facts)
        if score.key not in self._children or score.accuracy > self._children[score.key][1].accuracy:
            self._children[score.key] = genotype, score
        done = len(self.log.arm(self.name)) if self.unit == "child" else self.log.spent(self.name)
        self.progress.advance(self.name, done, f"accuracy {score.accuracy:.3f}")

    @property
    def best(self) -> tuple[G, ChildScore]:
        """The best child, the first of equal ones; there is one as soon as there is any."""
        return self.ranked(1)[0]

    def ranked(self, most: int) -> list[tuple[G, ChildScore]]:
        """The best architectures with their best scores, equal ones in the order they came in."""
        return sorted(self._children.values(), key=lambda each: -each[1].accuracy)[:most]

    def finish(self) -> G:
        """The best architecture, at the end."""
        self.progress.finish(self.name)
        return self.best[0]


@dataclass(frozen=True)
class SearchOutcome:
    """The result of one search.

    Attributes
    ----------
    found, control : Genotype
        The architecture the search chose, and the best of the random control; both by validation items.
    rows : list of dict
        The log.
    facts : dict
        What belongs beside the numbers: settings, latency table. JSON values.
    start : Genotype, optional
        The architecture the search started from, where it started from one.
    noise : Genotype, optional
        What the same search finds where noise stands in place of the validation images, where it says so.
    groups : mapping of str to genotypes
        Networks that are trained in the end beside it, by the names in `auditor.lab.search.groups`.
    """

    found: Genotype
    control: Genotype
    rows: list[dict[str, Any]]
    facts: dict[str, Any] = field(default_factory=dict)
    start: Genotype | None = None
    noise: Genotype | None = None
    groups: Mapping[str, Sequence[Genotype]] = field(default_factory=dict)
