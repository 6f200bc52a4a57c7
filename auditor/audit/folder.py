"""The run folder of an audit: which one, whose it is, and taking possession of it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor.audit.config import AuditConfig
from auditor.core.config import Settings
from auditor.core.errors import RunError, UnreadableError, storage_errors
from auditor.core.escaping import quoted
from auditor.core.files import read_json, sweep_temporary, write_json
from auditor.core.hashing import hash_json
from auditor.core.label_forms import form_document
from auditor.data.base import Dataset
from auditor.data.kinds import ProbabilityDataset
from auditor.review.vocabulary import REVIEW_FILE
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
                exclude={"embeddings", "quality"} | ({"refits"} if config.refits == "auto" else set())
            ),
            "trainer": trainer.recipe() if trainer else None,
            "supplied": supplied.fingerprint if supplied is not None else None,
        }
    )
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in dataset.name).strip("-.") or "data"
    return settings.runs_dir / f"{name}-{config.audit}-{key.removeprefix('sha256:')[:8]}"


@contextmanager
def taken(folder: Path, dataset: Dataset, config: AuditConfig, fresh: bool) -> Iterator[list[str]]:
    """Hold the run folder for one audit of `dataset`; yields notes for its reader.

    With `fresh` the files that a run wrote there go first (`layout.WRITTEN`); verdicts of people are moved aside, and
    whatever else lies there stays.

    Raises
    ------
    RunError
        If another process holds it, it holds something else than a run of the same data, or `fresh` is asked for
        while its verdict store is open.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{str(folder)!r} is a file, not a folder.", "Choose another folder with --out.")
    path = folder / layout.CONFIG
    if folder.is_dir() and any(entry.name != layout.LOCK for entry in folder.iterdir()) and not _is_run(folder):
        raise RunError(f"{str(folder)!r} is not empty and not a run folder.", "Choose another folder with --out.")
    notes: list[str] = []
    with locked(folder):
        if fresh:
            with storage_errors(folder):
                notes += _verdicts_aside(folder)
                _remove_written(folder)
        identity = ("name", "reference", "modality", "fingerprint", "hash_scheme")
        data = {name: getattr(dataset, name) for name in identity}
        data |= {"n_items": len(dataset)} | labels_document(dataset)
        if path.is_file():
            _refuse_other_data(path, dataset, folder)
        sweep_temporary(folder)
        # The manifest says "finished": it goes before anything changes.
        (folder / layout.MANIFEST).unlink(missing_ok=True)
        write_json(path, {"schema": layout.RUN_SCHEMA, "data": data, "config": config.model_dump()})
        yield notes


def labels_document(dataset: Dataset) -> dict[str, Any]:
    """What the data section of a run says of the labels: the classes, or what labels of a form are made of."""
    if dataset.form is None:
        return {"class_names": list(dataset.class_names)}
    return {"class_names": list(dataset.form.names), "label_form": form_document(dataset.form)}


def _is_run(folder: Path) -> bool:
    """Whether a run was started here: many tools call their configuration ``config.json``."""
    try:
        config = read_json(folder / layout.CONFIG)
    except UnreadableError:
        return (folder / layout.CONFIG).is_file() and any((folder / layout.STAGES).glob("*.json"))
    return isinstance(config, dict) and str(config.get("schema", "")).startswith(layout.RUN_SCHEMA.partition("/")[0])


#: What a damaged store raises; its own words are in the message, and may be no text.
_DAMAGED = (sqlite3.Error, UnicodeDecodeError)


def close_store(folder: Path, way_out: str) -> None:
    """Bring the verdicts of a run folder into one file, before it is moved or copied.

    Raises
    ------
    RunError
        If a process has it open: what people judge there next would go where nobody looks.
    """
    store = folder / REVIEW_FILE
    if not os.path.lexists(store):
        return
    with contextlib.suppress(*_DAMAGED), contextlib.closing(sqlite3.connect(store, timeout=0)) as database:
        try:
            # SQLite lets only a single connection do so.
            database.execute("PRAGMA journal_mode=DELETE").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise RunError(f"the verdicts in {str(store)!r} are in use: a review is running.", way_out) from error


def _verdicts_aside(folder: Path) -> list[str]:
    """Give the verdict store a dated name; returns what is to be said about it.

    Raises
    ------
    RunError
        If a process has it open: what people judge there next would go where nobody looks.
    """
    store = folder / REVIEW_FILE
    if not os.path.lexists(store):
        return []
    close_store(folder, "Stop it first (Ctrl-C where auditor review runs), or choose another folder with --out.")
    stamp, number = datetime.now(UTC).strftime("%Y%m%dT%H%M%S"), 1
    aside = store.with_stem(f"{store.stem}-{stamp}")
    while os.path.lexists(aside):
        number += 1
        aside = store.with_stem(f"{store.stem}-{stamp}-{number}")
    for suffix in ("-wal", "-shm", ""):  # the first two lie beside a damaged store
        if os.path.lexists(f"{store}{suffix}"):
            os.rename(f"{store}{suffix}", f"{aside}{suffix}")
    return [
        f"the verdicts given before were moved to {str(aside)!r}; those of unchanged items are taken over with: "
        f"auditor import-verdicts {quoted(folder)} {quoted(aside)}"
    ]


def _remove_written(folder: Path) -> None:
    for place, _, names in os.walk(folder, topdown=False):
        relative = Path(place).relative_to(folder)
        for name in names:
            if layout.WRITTEN.fullmatch((relative / name).as_posix()):
                os.unlink(os.path.join(place, name))
        if relative.parts[:1] in ((layout.STAGES,), (layout.TASKS,), (layout.WORK,)) and not os.listdir(place):
            os.rmdir(place)


def _refuse_other_data(path: Path, dataset: Dataset, folder: Path) -> None:
    fresh = "" if os.path.lexists(folder / REVIEW_FILE) else ", or start anew with --fresh"
    way_out = f"Choose another folder with --out{fresh}."
    try:
        stored = dict(read_json(path)["data"])
    except (UnreadableError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"the run folder {str(folder)!r} has a damaged {path.name}.", way_out) from error
    if stored.get("fingerprint") != dataset.fingerprint:
        raise RunError(
            f"the run folder {str(folder)!r} belongs to other data: {stored.get('reference')!r} "
            f"({stored.get('n_items')} items), not {dataset.reference!r} ({len(dataset)} items) as it is now.",
            way_out,
        )


def holds_verdicts(folder: Path) -> bool:
    """Whether people judged items in a run folder, in its verdict store or in one that was moved aside; True too where
    that cannot be told. Nothing is changed: opening a store writes what its log holds into it."""
    store = folder / REVIEW_FILE
    for path in folder.glob(f"{store.stem}*{store.suffix}"):
        log = Path(f"{path}-wal")
        if log.exists() and log.stat().st_size:
            return True
        try:
            where = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
            with contextlib.closing(sqlite3.connect(where, uri=True)) as database:
                if database.execute("SELECT EXISTS (SELECT 1 FROM events)").fetchone()[0]:
                    return True
        except _DAMAGED:
            return True
    return False
