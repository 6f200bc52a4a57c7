"""Cross-validation for the benchmark: from data and a trainer to the evidence of every auditable item."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import numpy as np

from auditor.core.files import atomic_write, load_npy
from auditor.core.hashing import hash_array, hash_json
from auditor.detect.base import Evidence
from auditor.detect.item_dynamics import FitDynamics, ItemDynamics
from auditor.lab.detectors.sets import Context
from auditor.train.base import Trainer, TrainingData
from auditor.train.crossval import run_tasks
from auditor.train.folds import plan_folds

__all__ = ["cross_validated", "principal_components", "slug"]

#: Neighbours are looked for among so many principal components: an exact search in thousands of dimensions takes
#: minutes for 10,000 items, and cosines hardly change.
COMPONENTS = 128


def slug(name: str) -> str:
    """A set's name as a file name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)


def cross_validated(
    context: Context,
    name: str,
    data: TrainingData,
    ids: np.ndarray,
    trainer: Trainer,
    seed: int,
    groups: np.ndarray | None,
    embeddings: np.ndarray | None,
) -> tuple[Evidence, np.ndarray, dict[str, Any]]:
    """Out-of-sample probabilities and, where the trainer has epochs, dynamics.

    Parameters
    ----------
    context : Context
    name : str
        Of the set; names the folder of the fits.
    data : TrainingData
        With the **given** labels.
    ids : str array (n,)
    trainer : Trainer
    seed : int
        Folds, initialisation and order.
    groups : array (n,) or None
        Duplicates, which never cross a fold.
    embeddings : array (n, d) or None

    Returns
    -------
    evidence : Evidence
        Of the auditable items.
    positions : int64 array
        Their positions in `data`.
    facts : dict
    """
    plan = plan_folds(ids, data.labels, data.n_classes, context.options.folds, seed, groups)
    tasks = plan.tasks(seed)
    results = run_tasks(
        trainer,
        data,
        tasks,
        workers=context.workers,
        progress=context.progress,
        folder=context.work / "fits" / f"{slug(name)}-{seed}",
    )
    probabilities = np.zeros((len(data), data.n_classes))
    for task, result in zip(tasks, results, strict=True):
        probabilities[task.predict] = result.probabilities
    dynamics = None
    if all(result.dynamics is not None for result in results):
        fits = [(t.train, t.predict, cast(FitDynamics, r.dynamics)) for t, r in zip(tasks, results, strict=True)]
        dynamics = ItemDynamics.merge(len(data), fits)
    positions = np.flatnonzero(plan.fold >= 0)
    pick = lambda a: None if a is None else a[positions]  # noqa: E731
    evidence = Evidence(
        ids=np.asarray(ids)[positions],
        labels=data.labels[positions],
        n_classes=data.n_classes,
        probabilities=probabilities[positions],
        networks=(trainer.name,),
        dynamics=None if dynamics is None else dynamics.take(positions),
        embeddings=pick(embeddings),
        duplicate_groups=pick(groups),
    )
    facts = {
        "network": trainer.name,
        "recipe": trainer.recipe(),
        "folds": context.options.folds,
        "trained here": True,
        "training seconds": round(sum(result.seconds for result in results), 2),
        "evidence": hash_array(evidence.mean_probabilities)[7:23],
    }
    return evidence, positions, facts


def principal_components(features: np.ndarray, folder: Path) -> np.ndarray:
    """The first 128 principal components of the standardised features, float32 (n, 128), kept in `folder`.

    No label is looked at, so one set of components serves all folds and all noises.
    """
    if features.shape[1] <= COMPONENTS:
        return np.asarray(features, dtype=np.float32)
    key = hash_json([hash_array(features), COMPONENTS, 1]).removeprefix("sha256:")[:32]
    path = folder / "components" / f"{key}.npy"
    if path.is_file():
        return load_npy(path)
    from sklearn.decomposition import PCA

    from auditor.train.estimator import one_thread

    rows = np.asarray(features, dtype=np.float32)
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-3)
    with one_thread():
        found = PCA(COMPONENTS, svd_solver="randomized", random_state=0).fit_transform(rows).astype(np.float32)
    with atomic_write(path) as handle:
        np.save(handle, found, allow_pickle=False)
    return found
