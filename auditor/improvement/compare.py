"""Train every arm with the same seeds and folds, and compare what they have right on the held-out items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from auditor.core.errors import EmptyDataError
from auditor.core.progress import Progress
from auditor.core.seeds import derive_seed, generator
from auditor.improvement.arms import CORRECTED, GIVEN, Arm
from auditor.stats.paired import paired_interval
from auditor.train.base import FitTask, Trainer, TrainingData
from auditor.train.crossval import run_tasks

#: Probability that any claim of a comparison is wrong.
LEVEL: Final = 0.05
HELPS: Final = "helps"
HARMS: Final = "harms"
NOT_TOLD: Final = "cannot be told"


@dataclass(frozen=True, eq=False)
class Trained:
    """One arm after its fits.

    Attributes
    ----------
    right : bool array (seeds, m)
        Which held-out items it has right.
    n_train : float
        Training items, mean over the fits.
    seconds : float
        Of all its fits.
    """

    right: np.ndarray
    n_train: float
    seconds: float


def split_parts(
    pool: np.ndarray, rows: np.ndarray, groups: np.ndarray, folds: int, seed: int, number: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of training and held-out rows; every held-out row is predicted once, and no row of its group trains then.

    Parameters
    ----------
    pool : bool array (n,)
        Rows that may be trained on.
    rows : int64 array (m,)
        Held-out rows. Those of the pool are held out in turns, all others at once.
    groups : int64 array (n,)
        Copies and the user's groups.
    folds : int
        Most turns.
    seed, number : int
        Root, and which of the seeds: each has other folds.

    Raises
    ------
    EmptyDataError
        If nothing is left to train on.
    """
    inside, outside = rows[pool[rows]], rows[~pool[rows]]
    turns = [outside] if len(outside) else []
    if len(inside):
        units, unit = np.unique(groups[inside], return_inverse=True)
        fold = generator(seed, "improvement", number).permutation(len(units))[unit] % min(folds, len(units))
        turns += [inside[fold == k] for k in range(fold.max() + 1)]
    parts = [(np.flatnonzero(pool & ~np.isin(groups, groups[held])), held) for held in turns]
    if any(not len(train) for train, _ in parts):
        raise EmptyDataError("nothing is left to train on beside the held-out items and their copies.")
    return parts


def train_arms(
    trainer: Trainer,
    data: TrainingData,
    arms: Sequence[Arm],
    truth: np.ndarray,
    parts: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]],
    *,
    seed: int,
    folder: Path | None,
    workers: int,
    progress: Progress,
) -> dict[str, Trained]:
    """Fit every arm that has no reason against it.

    Parameters
    ----------
    trainer : Trainer
    data : TrainingData
        Features of n items; the labels are those of the arms.
    arms : sequence of Arm
    truth : int64 array (n,)
        Right labels of the held-out items; others are not read.
    parts : per seed what `split_parts` gives
        The same for every arm, and so are the seeds of the fits.
    seed : int
        Root of the seeds.
    folder : Path or None
        Where fits are kept; a finished one is not made again.
    workers : int
    progress : Progress
    """
    held = np.sort(np.concatenate([rows for _, rows in parts[0]]))
    trained: dict[str, Trained] = {}
    # Arms with the same labels share the data, and with it what trainers keep of its features.
    for own_labels in (False, True):
        members = [arm for arm in arms if not arm.reason and (arm.name == CORRECTED) == own_labels]
        tasks = {arm.name: [_tasks(arm, number, split, seed) for number, split in enumerate(parts)] for arm in members}
        flat = [task for by_seed in tasks.values() for split in by_seed for task in split]
        if not flat:
            continue
        here = replace(data, labels=members[0].labels)
        place = None if folder is None else folder / (CORRECTED if own_labels else GIVEN)
        results = iter(run_tasks(trainer, here, flat, workers=workers, progress=progress, folder=place))
        for arm in members:
            right, seconds = np.zeros((len(parts), len(held)), bool), 0.0
            for number, split in enumerate(tasks[arm.name]):
                for task in split:
                    result = next(results)
                    seconds += result.seconds
                    at = np.searchsorted(held, task.predict)
                    right[number, at] = result.probabilities.argmax(1) == truth[task.predict]
            sizes = [len(task.train) for split in tasks[arm.name] for task in split]
            trained[arm.name] = Trained(right, float(np.mean(sizes)), seconds)
    return {arm.name: trained[arm.name] for arm in arms if arm.name in trained}


def _tasks(arm: Arm, number: int, parts: Sequence[tuple[np.ndarray, np.ndarray]], seed: int) -> list[FitTask]:
    tasks = []
    for k, (train, predict) in enumerate(parts):
        rows = train[arm.stays[train]]
        weights = None if arm.weights is None else arm.weights[rows]
        name, own = f"{arm.name}-seed-{number}-part-{k}", derive_seed(seed, "improvement", number, k)
        tasks.append(FitTask(name, rows, predict, own, weights))
    return tasks


def compare_arms(trained: dict[str, Trained], weights: np.ndarray | None = None) -> list[dict[str, Any]]:
    """Every other arm against the given labels.

    The intervals hold together: with m comparisons each is at 1 - 0.05 / m (Bonferroni). An arm helps or harms where
    its interval does not hold 0 and at least `least_discordant` items are answered differently.

    Parameters
    ----------
    trained : dict of str to Trained
    weights : float64 array (held-out items,), optional
        What each item stands for.

    Returns
    -------
    list of dict
        ``arm, difference, interval, level, better, worse, verdict, enough``: the difference of the accuracies, in
        [-1, 1]; items that only this arm and only the given labels have right, means over seeds; about how many
        held-out items would show a difference of this size (None where 0, or where it shows already).
    """
    counted = slice(None) if weights is None else np.flatnonzero(weights)
    base = trained[GIVEN].right[:, counted]
    others = {name: arm.right[:, counted] for name, arm in trained.items() if name != GIVEN}
    rows = []
    for name, right in others.items():
        level = 1 - LEVEL / len(others)
        interval = paired_interval(right, base, None if weights is None else weights[counted], level)
        better, worse = float((right & ~base).sum(1).mean()), float((base & ~right).sum(1).mean())
        clear = better + worse >= least_discordant(len(others))
        verdict = HELPS if interval.low > 0 and clear else HARMS if interval.high < 0 and clear else NOT_TOLD
        enough = None
        if verdict == NOT_TOLD and interval.value:
            half = interval.high - interval.value
            enough = math.ceil(base.shape[1] * max(1.0, half / abs(interval.value)) ** 2)
        rows.append(
            {
                "arm": name,
                "difference": interval.value,
                "interval": [interval.low, interval.high],
                "level": level,
                "better": better,
                "worse": worse,
                "verdict": verdict,
                "enough": enough,
            }
        )
    return rows


def least_discordant(comparisons: int) -> int:
    """Items that must be answered differently: of fewer, an exact sign test shows nothing even if all agree."""
    return math.ceil(math.log2(2 * comparisons / LEVEL))
