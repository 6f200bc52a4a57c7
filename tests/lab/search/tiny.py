"""A search of one second that keeps to the protocol: random widths of a plain network, against random widths."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from auditor.core.progress import Progress
from auditor.core.seeds import generator
from auditor.lab.search.children import ChildRecipe, Children
from auditor.lab.search.data import SearchData
from auditor.lab.search.outcome import Outcome, SearchLog
from auditor.models.eas import build
from auditor.models.genotype import PlainGenotype, PlainLayer


@dataclass(frozen=True)
class Settings:
    train: int | None = 60
    validation: int = 30
    child: ChildRecipe = field(default_factory=lambda: ChildRecipe(1, 16, 0.05, 1e-4))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


BUDGETS = {"smoke": Settings()}


def plain(width: int) -> PlainGenotype:
    layers = (PlainLayer(kind="conv", width=width, kernel=3), PlainLayer(kind="pool"), PlainLayer(kind="mean"))
    return PlainGenotype(layers=layers)


def search(found: SearchData, settings: Settings, folder: Path, seed: int, device: str, progress: Progress) -> Outcome:
    log = SearchLog(folder / "log.jsonl")
    children = Children(found, settings.child, folder / "children", seed, device)
    best = {}
    for arm in ("search", "control"):
        children.forget()
        random = generator(seed, arm)
        for step in range(4):
            genotype = plain(int(random.integers(2, 40)))
            score = children.score(genotype.key(), lambda g=genotype: build(g, found.data.n_classes, 32))
            log.add(arm, step, score)
            if arm not in best or score.accuracy > best[arm][0]:
                best[arm] = score.accuracy, genotype
    return Outcome(best["search"][1], best["control"][1], log.rows, {"asked": "random"}, start=plain(2))
