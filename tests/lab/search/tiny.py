"""A search of one second that keeps to the protocol: random widths of a plain network, against random widths."""

from __future__ import annotations

from pathlib import Path

from auditor.core.progress import Progress
from auditor.core.seeds import generator
from auditor.lab.search.arms import SearchLog, SearchOutcome
from auditor.lab.search.children import ChildRecipe, Children, SearchSettings
from auditor.lab.search.data import SearchData
from auditor.lab.search.groups import TOLERANCE, draw_equal
from auditor.models.eas import build
from auditor.models.genotype import PlainGenotype, PlainLayer

BUDGETS = {"smoke": SearchSettings(60, 30, ChildRecipe(1, 16, 0.05, 1e-4), group=2)}


def plain(width: int) -> PlainGenotype:
    layers = (PlainLayer(kind="conv", width=width, kernel=3), PlainLayer(kind="pool"), PlainLayer(kind="mean"))
    return PlainGenotype(layers=layers)


def search(
    found: SearchData, settings: SearchSettings, folder: Path, seed: int, device: str, progress: Progress
) -> SearchOutcome:
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
    equal = draw_equal(lambda: plain(int(random.integers(2, 40))), _width, _width(best["search"][1]), settings.group)
    facts = {
        "cost": "filters",
        "found": _width(best["search"][1]),
        "networks": list(equal.costs),
        "tolerance": TOLERANCE,
        "draws": equal.draws,
        "wanted": settings.group,
    }
    groups = {"search": [best["search"][1]], "equal": equal.networks, "published": [plain(12)]}
    found_facts = {"asked": "random", "equal": facts}
    return SearchOutcome(best["search"][1], best["control"][1], log.rows, found_facts, start=plain(2), groups=groups)


def _width(genotype: PlainGenotype) -> float:
    return float(genotype.layers[0].width or 0)
