"""The final networks of a grid run, and what their decisions rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.progress import Progress
from auditor.data.cifar10 import CLASSES
from auditor.lab.cifake.grid.budgets import GridBudget
from auditor.lab.cifake.grid.data import open_cifake
from auditor.lab.cifake.grid.splits import draw
from auditor.lab.saliency.maps import StudiedImages, contact_sheet, measure_maps
from auditor.train.kept import load_kept


def study_final_network(
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
    labels, objects, ids = data.dataset.labels[rows], data.cells[rows] % len(CLASSES), data.dataset.ids[rows]
    images = StudiedImages(data.pixels(rows, progress), labels, objects, ids, ("FAKE", "REAL"), CLASSES)
    task = results["final"]["tasks"][0]
    measured = measure_maps(load_kept(folder / "final", task), images, seed)
    shown = contact_sheet(measured, images, seed, sheet)
    figures = {k: v for k, v in measured.items() if k not in ("values", "predicted", "right")}
    return {"network": task, **figures, "sheet": shown}
