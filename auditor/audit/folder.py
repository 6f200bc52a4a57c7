"""The run folder of an audit: which one, whose it is, and taking possession of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditor.audit.config import AuditConfig
from auditor.core.config import Settings
from auditor.core.errors import RunError, UnreadableError, storage_errors
from auditor.core.files import read_json, sweep_temporary, write_json
from auditor.core.hashing import hash_json
from auditor.data.base import Dataset
from auditor.data.kinds import ProbabilityDataset
from auditor.runs import layout
from auditor.runs.lock import locked
from auditor.train.base import Trainer


def default_folder(
    dataset: Dataset,
    config: AuditConfig,
    settings: Settings,
    trainer: Trainer | None,
    supplied: ProbabilityDataset | None,
) -> Path:
    """A folder in ``settings.runs_dir`` named after the data and all that makes it another run."""
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


@contextmanager
def taken(folder: Path, dataset: Dataset, config: AuditConfig, fresh: bool) -> Iterator[None]:
    """Hold the run folder for one audit of `dataset`; `fresh` empties it first.

    Raises
    ------
    RunError
        If another process holds it, or it holds something else than a run of the same data.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{str(folder)!r} is a file, not a folder.", "Choose another folder with --out.")
    path = folder / layout.CONFIG
    if folder.is_dir() and not path.is_file() and any(entry.name != layout.LOCK for entry in folder.iterdir()):
        raise RunError(f"{str(folder)!r} is not empty and not a run folder.", "Choose another folder with --out.")
    with locked(folder):
        if fresh:
            with storage_errors(folder):
                for entry in folder.iterdir():
                    if entry.is_dir():
                        shutil.rmtree(entry)
                    elif entry.name != layout.LOCK:
                        entry.unlink()
        identity = ("name", "reference", "modality", "fingerprint", "hash_scheme")
        data = {name: getattr(dataset, name) for name in identity}
        data |= {"n_items": len(dataset), "class_names": list(dataset.class_names)}
        if path.is_file():
            _refuse_other_data(path, dataset, folder)
        sweep_temporary(folder)
        # The manifest says "finished": it goes before anything changes.
        (folder / layout.MANIFEST).unlink(missing_ok=True)
        write_json(path, {"schema": layout.RUN_SCHEMA, "data": data, "config": config.model_dump()})
        yield


def _refuse_other_data(path: Path, dataset: Dataset, folder: Path) -> None:
    try:
        stored = read_json(path)["data"]
    except (UnreadableError, KeyError, TypeError) as error:
        raise RunError(f"the run folder {str(folder)!r} has a damaged {path.name}.", "Use --fresh.") from error
    if stored.get("fingerprint") != dataset.fingerprint:
        raise RunError(
            f"the run folder {str(folder)!r} belongs to other data: {stored.get('reference')!r} "
            f"({stored.get('n_items')} items), not {dataset.reference!r} ({len(dataset)} items) as it is now.",
            "Choose another folder with --out, or start anew with --fresh.",
        )
