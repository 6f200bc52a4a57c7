"""The run under review: opened once per process, shared by all visitors and routes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from auditor.core.config import Settings, load_settings
from auditor.core.errors import ConfigError, MissingExtraError
from auditor.runs import layout
from auditor.runs.run import Run, open_run
from auditor.runs.tables import read_table
from auditor.ui.catalogue import Catalogue
from auditor.ui.config import ReviewConfig, current_config
from auditor.ui.contents import Contents
from auditor.ui.keywords import Keywords
from auditor.ui.rows import RunRows
from auditor.ui.search import WordSearch

try:
    from auditor.review.additions import read_controls
    from auditor.review.loading import QueuePlan
    from auditor.review.store import VerdictStore
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "sqlalchemy", "ui", "the review app") from error


@dataclass(frozen=True)
class Workspace:
    """A run, its verdict store and its items; `keywords` for texts only."""

    run: Run
    store: VerdictStore
    rows: RunRows
    contents: Contents
    settings: Settings
    keywords: Keywords | None

    def warm(self) -> None:
        """Read ahead what the first visitor would wait for."""
        _ = self.catalogue
        self.rows.warm()
        self.contents.warm()

    @cached_property
    def catalogue(self) -> Catalogue:
        """The items of the store as columns, read when first needed."""
        return Catalogue(self.store, self.run.path)

    @cached_property
    def search(self) -> WordSearch:
        """Finds items by words."""
        return WordSearch(self.catalogue, self.rows, self.contents)


#: Items from which on a run is taken into its store by a process of its own.
APART: Final = 200_000

_lock = threading.Lock()
#: The open workspace and what it was opened for.
_opened: tuple[ReviewConfig, Workspace] | None = None
_chosen: str | None = None


def open_workspace(config: ReviewConfig, settings: Settings | None = None) -> Workspace:
    """Open the run named by `config`, and take it into its verdict store the first time.

    Raises
    ------
    RunError
        If there is no such run, or the verdicts in the store were given on other data.
    ConfigError
        If the queue was laid out otherwise than asked for.
    DataError
        If a control is no item of the run.
    ResourceError
        If the store cannot be reached.
    """
    settings = settings or load_settings()
    run = open_run(config.run or "", settings.runs_dir)
    # First of all: the queue is laid out once and for all when the run is taken in.
    controls = {} if config.controls is None else read_controls(Path(config.controls))
    store = VerdictStore.open(config.store or run.path)
    try:
        if not store.loaded and not _taken_in_apart(run, config):
            take_in(str(run.path), config.store, config.plan)
        store.load_run(run)
        _check_plan(store, config)
        if controls:
            store.plant(controls)
        follow_detectors(run, store)
    except BaseException:
        store.close()
        raise
    # Taking a run in reads whole tables; they are not needed again.
    run = open_run(run.path)
    rows = RunRows(run)
    contents = Contents(run, rows, settings)
    of_classes = contents.kind == "text" and run.form is None  # words speak for classes
    return Workspace(run, store, rows, contents, settings, contents.keywords() if of_classes else None)


def take_in(run: str, store: str | None, plan: Sequence[Sequence[Any]] = ()) -> None:
    """Load a run into its empty store. Errors as `open_workspace`."""
    opened = open_run(run)
    with VerdictStore.open(store or opened.path) as empty:
        empty.load_run(opened, QueuePlan(**{str(name): value for name, value in plan}))
        follow_detectors(opened, empty)
        Catalogue(empty, opened.path)  # makes the file that the first visitor would wait for


def _taken_in_apart(run: Run, config: ReviewConfig) -> bool:
    """Take a large run in by a process of its own, which gives its memory back; False where that was not done.

    Measured for 1,000,000 items: 1.6 GiB at the peak, of which a server would keep a good part.
    """
    if run.counts.get("n_items", 0) < APART:
        return False
    code = "import sys, json; from auditor.ui.workspace import take_in; take_in(*json.load(sys.stdin))"
    # By its input: arguments, and with them the password in a store's address, are shown by `ps`.
    asked = json.dumps([str(run.path.resolve()), config.store, config.plan])
    done = subprocess.run([sys.executable, "-c", code], input=asked, text=True, check=False)
    # What went wrong there goes wrong here as well, and is told properly.
    return done.returncode == 0


def _check_plan(store: VerdictStore, config: ReviewConfig) -> None:
    plan = asdict(store.plan)
    differ = [f"{name} {plan[name]}, not {value}" for name, value in config.plan if plan[name] != value]
    if differ:
        raise ConfigError(
            f"the queue of this run was laid out with {'; '.join(differ)}. It is fixed when the run is first taken in.",
            "Leave these options out, or start another store: --store FILE.sqlite",
        )


def follow_detectors(run: Run, store: VerdictStore) -> bool:
    """Take what the run's detectors flag into the store where they were computed since; whether that was so."""
    path = run.path / layout.DETECTORS
    if not path.is_file():
        return False
    source = f"{path.stat().st_size}-{path.stat().st_mtime_ns}"
    if store.facts.get("detections_of") == source:
        return False
    flags = read_table(run.file(layout.DETECTORS)).set_index("id").filter(regex="^flagged_")
    ids = flags.index.to_numpy()
    store.set_detections({str(name)[len("flagged_") :]: ids[flags[name].to_numpy()] for name in flags}, source)
    return True


def workspace() -> Workspace | None:
    """The process's workspace, opened on the first call; None where no run was named yet. Errors as above."""
    global _opened
    config = current_config()
    if config.run is None:
        config = replace(config, run=_chosen)
    if config.run is None:
        return None
    with _lock:
        if _opened is None or _opened[0] != config:
            _close()
            _opened = config, open_workspace(config)
        return _opened[1]


def _close() -> None:
    global _opened
    if _opened is not None:
        _opened[1].store.close()
    _opened = None


def choose(path: str) -> None:
    """Pick the run where none was named. Holds for everybody who uses this server."""
    global _chosen
    _chosen = path


def close_workspace() -> None:
    """Close the store; the next `workspace` opens it again."""
    global _chosen
    with _lock:
        _close()
        _chosen = None


def finished_runs(settings: Settings) -> list[Path]:
    """Run folders one can review, newest first."""
    manifests = settings.runs_dir.glob(f"*/{layout.MANIFEST}")
    return [path.parent for path in sorted(manifests, key=lambda path: path.stat().st_mtime, reverse=True)]
