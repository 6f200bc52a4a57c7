"""The final networks of a grid run, asked what they look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.progress import Progress
from auditor.data.cifar10 import CLASSES
from auditor.lab.cifake.background import contact_sheet, look
from auditor.lab.cifake.grid.budgets import GridBudget
from auditor.lab.cifake.grid.data import open_cifake
from auditor.lab.cifake.grid.splits import draw
from auditor.train.kept import load_kept

__all__ = ["look_at_final"]


def look_at_final(
    results: dict[str, Any],
    budget: GridBudget,
    folder: Path,
    n: int,
    seed: int,
    settings: Settings,
    progress: Progress,
    sheet: Path,
) -> dict[str, Any]:
    """Maps of `n` test images drawn by seed, equally many of each source and class, none of them in the train split.

    The first seed's network is asked. Nothing is chosen with these images: the network is final.
    """
    progress.stage("maps", f"{n:,} test images")
    data = open_cifake(settings, budget, seed)
    allowed = data.dataset.items.splits == "test"
    test = np.flatnonzero(allowed)
    allowed[test[data.leaked(test) | data.repeated(test)]] = False
    rows = draw(data.cells, allowed, n, seed)
    images = data.pixels(rows, progress)
    task = results["final"]["tasks"][0]
    found = look(load_kept(folder / "final", task), data, images, rows, CLASSES, seed)
    shown = contact_sheet(found, data, images, rows, seed, sheet)
    told = {k: v for k, v in found.items() if k not in ("values", "predicted", "right")}
    return {"network": task, **told, "sheet": shown}
