"""The main job, from a reference to a finished run folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auditor.audit.config import AuditConfig, make_config
from auditor.audit.job import AuditJob
from auditor.audit.plan import wanted_rows
from auditor.audit.stages.quality import check_quality
from auditor.audit.supplied import ArrayOrPath, supplied_for
from auditor.core.config import Settings, load_settings
from auditor.core.errors import RunError, UsageError, storage_errors
from auditor.core.hashing import hash_json
from auditor.core.progress import Progress, SilentProgress
from auditor.data.base import Dataset
from auditor.data.kinds import ProbabilityDataset
from auditor.data.open import open_dataset
from auditor.data.probabilities import open_probabilities
from auditor.runs import layout
from auditor.runs.lock import locked
from auditor.runs.run import Run
from auditor.train.base import Trainer
from auditor.train.cluster import Cluster

__all__ = ["find_errors"]


def find_errors(
    data: str | Path | Dataset | None = None,
    *,
    pred_probs: ArrayOrPath | None = None,
    labels: ArrayOrPath | None = None,
    class_names: Sequence[str] | None = None,
    trainer: Trainer | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    workers: int | None = None,
    cluster: Cluster | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    **config: Any,
) -> Run:
    """Find the likely label errors of a data set.

    Parameters
    ----------
    data : str, Path or Dataset, optional
        A data reference (``"cifar10"``, a folder, ``"hf://org/name"``, a table file) or an open data set. May be
        left out when `pred_probs` is given.
    pred_probs : path or float array (n, K), optional
        Your own out-of-sample probabilities; nothing is trained.
    labels : path or int array (n,), optional
        Given labels to go with `pred_probs`.
    class_names : sequence of str, optional
        Class names in the column order of `pred_probs`.
    trainer : Trainer, optional
        Your own trainer instead of a named one.
    out : path, optional
        Run folder. By default a folder in ``settings.runs_dir`` named after data and configuration. An
        unfinished or finished run found there is continued: only what its inputs changed is computed again.
    fresh : bool
        Throw away what is in the run folder and start anew.
    workers : int, optional
        Processes that train side by side; by default one per core. Never changes the result.
    cluster : Cluster, optional
        Fits on its nodes, e.g. `auditor.engine.ray_executor.RayExecutor`. The result is the local one where the
        nodes have the same processor and libraries.
    settings : Settings, optional
    progress : Progress, optional
    **config
        Fields of `AuditConfig`: ``audit, model, budget, folds, seeds, train_on_test_folds, rule,
        near_duplicates, second_round, embeddings, quality, device, seed``.

    Returns
    -------
    Run
        The finished run; its ``findings`` table lists the suspects.

    Raises
    ------
    AuditorError
        See `auditor.core.errors` for the tree.
    """
    clock = time.perf_counter()
    settings = settings or load_settings()
    progress = progress or SilentProgress()
    asked = make_config(**config)
    progress.stage("data", "" if isinstance(data, Dataset) or data is None else str(data))
    dataset, supplied = _open(data, pred_probs, labels, class_names, asked.audit, settings)
    folder = Path(out) if out is not None else _default_folder(dataset, asked, settings, trainer, supplied)
    _refuse_foreign(folder)
    if fresh and folder.is_dir():
        with locked(folder), storage_errors(folder):
            _clear(folder)
    with locked(folder):
        job = AuditJob.begin(dataset, asked, folder, progress, clock, supplied=supplied, trainer=trainer)
        if job.supplied is None:
            bad = job.decode()
            groups = job.group_duplicates(bad)
            chosen = job.choose(bad)
            embedding = job.choose_embedding(chosen)
            plan = job.plan(chosen, groups, bad)
            job.train(chosen, plan, workers, cluster)
            job.clean_again(chosen, plan, workers, cluster)
            job.embed(embedding, plan.usable)
        else:
            embedding = job.choose_embedding(None)
            job.take_supplied()
            job.embed(embedding)
        job.find()
        check_quality(job)
        return job.finish()


def _open(
    data: str | Path | Dataset | None,
    pred_probs: ArrayOrPath | None,
    labels: ArrayOrPath | None,
    class_names: Sequence[str] | None,
    audit: str,
    settings: Settings,
) -> tuple[Dataset, ProbabilityDataset | None]:
    """The data set, and the supplied probabilities of its items if there are any."""
    if data is None:
        if pred_probs is None:
            raise UsageError("there is nothing to audit.", "Name a data set, or give --pred-probs and --labels.")
        supplied = open_probabilities(pred_probs, labels, class_names)
        return supplied, supplied
    dataset = data if isinstance(data, Dataset) else open_dataset(str(data), settings)
    if isinstance(dataset, ProbabilityDataset):
        return dataset, dataset
    if pred_probs is None:
        if labels is not None or class_names is not None:
            raise UsageError("--labels and --class-names go with --pred-probs.", "A data set brings its own.")
        return dataset, None
    # Supplied rows are those of the audited split, in its order.
    dataset = dataset.subset(np.flatnonzero(wanted_rows(dataset, audit)))
    return dataset, supplied_for(dataset, pred_probs, labels, class_names)


def _default_folder(
    dataset: Dataset,
    config: AuditConfig,
    settings: Settings,
    trainer: Trainer | None,
    supplied: ProbabilityDataset | None,
) -> Path:
    key = hash_json(
        {
            "data": dataset.fingerprint,
            # Embeddings and checks are added to a run; they do not make it another one.
            "config": config.model_dump(
                exclude={"embeddings", "quality"} | (set() if config.second_round else {"second_round"})
            ),
            "trainer": trainer.recipe() if trainer else None,
            "supplied": supplied.fingerprint if supplied is not None else None,
        }
    )
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in dataset.name).strip("-.") or "data"
    return settings.runs_dir / f"{name}-{config.audit}-{key.removeprefix('sha256:')[:8]}"


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds something else than a run, before anything is written into it."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{str(folder)!r} is a file, not a folder.", "Choose another folder with --out.")
    if not folder.is_dir() or (folder / layout.CONFIG).is_file():
        return
    if any(entry.name != layout.LOCK for entry in folder.iterdir()):
        raise RunError(f"{str(folder)!r} is not empty and not a run folder.", "Choose another folder with --out.")


def _clear(folder: Path) -> None:
    """Empty a run folder."""
    for entry in folder.iterdir():
        if entry.name == layout.LOCK:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
