"""Every file of a run folder against the hash that was recorded when it was written, as ``git fsck`` does."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auditor.core.errors import AuditorError, UnreadableError
from auditor.core.files import read_sealed
from auditor.core.hashing import hash_file
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.stages import Stages
from auditor.runs.tables import read_arrow

INTACT: Final = "intact"
DAMAGED: Final = "damaged"
#: Derived data, or what a fit or a command that was stopped left: made again when it is needed, whatever it holds.
REBUILT: Final = "rebuilt when needed"
#: What others put there, or a version of before hashes were recorded.
NOT_COMPARED: Final = "not compared"
_DERIVED: Final = re.compile(
    rf"{layout.WORK}/([\w-]+/)?|({layout.TASKS}|{layout.BENCHMARK}/fits|{layout.IMPROVEMENT}/fits/\w+)/(checkpoints|shared)/"
    r"|(.+/)?\..+\.tmp-\d+(-\d+)?$"
)
#: Verdict stores and the files SQLite keeps beside them: `VerdictStore.verify` looks at these.
_STORE: Final = re.compile(r"review[^/]*\.sqlite(-wal|-shm)?$")


@dataclass(frozen=True)
class FileState:
    """One file.

    Attributes
    ----------
    file : str
        Name in the folder.
    state : str
        `INTACT`, `DAMAGED`, `REBUILT` or `NOT_COMPARED`.
    detail : str
        What is wrong.
    """

    file: str
    state: str
    detail: str = ""


def verify_files(run: Run) -> list[FileState]:
    """Every file of the folder but the verdict stores: compared with what the manifest, the stages, the training tasks
    and the benchmark recorded, or with the reason why it is not. `open_run` has compared the manifest itself."""
    stages, states = Stages(run.path), [FileState(layout.MANIFEST, INTACT)]
    of_run, hashes = {stage["name"]: stage["outputs"] for stage in run.manifest["stages"]}, dict[str, str]()
    for name in sorted({*of_run, *(path.stem for path in (run.path / layout.STAGES).glob("*.json"))}):
        record = stages.record(name)
        hashes |= record.outputs if record else {}
        wrong = "" if record and record.outputs == of_run.get(name, record.outputs) else "not what was recorded"
        states.append(_state(f"{layout.STAGES}/{name}.json", wrong))
    for name, digest in (hashes | run.recorded).items():
        if name.startswith(f"{layout.WORK}/") and not (run.path / name).exists():
            states.append(FileState(name, REBUILT))
        else:
            states.append(_compared(run.path, name, digest))
    if layout.P_WRONG not in hashes and (run.path / layout.P_WRONG).exists():  # its pages carry their own checksums
        states.append(_state(layout.P_WRONG, _error(read_arrow, run.path / layout.P_WRONG)))
    improved = sorted(path.relative_to(run.path).as_posix() for path in (run.path / layout.IMPROVEMENT).glob("fits/*"))
    for fits in (layout.TASKS, f"{layout.BENCHMARK}/fits", *improved):
        for described in sorted((run.path / fits / "results").glob("*.json")):
            states += _task(run.path, f"{fits}/results/{described.stem}")
        if (run.path / fits / "choices.json").exists():
            states.append(_state(f"{fits}/choices.json", _error(read_sealed, run.path / fits / "choices.json")))
    states += _listed(run.path, layout.BENCHMARK, layout.BENCHMARK_MANIFEST)
    states += _listed(run.path, layout.IMPROVEMENT, layout.IMPROVEMENT_RESULT)
    return [*states, *_others(run.path, {state.file for state in states})]


def _state(file: str, wrong: str) -> FileState:
    return FileState(file, DAMAGED if wrong else INTACT, wrong)


def _compared(folder: Path, file: str, digest: str) -> FileState:
    path = folder / file
    same = path.is_file() and hash_file(path) == digest
    return _state(file, "" if same else "not what was written" if os.path.lexists(path) else "gone")


def _error(read: Callable[[Any], object], what: Any) -> str:
    try:
        read(what)
    except AuditorError as error:
        return error.what
    return ""


def _task(folder: Path, name: str) -> Iterator[FileState]:
    """The files of one fit; before their weights were recorded, of the arrays alone."""
    try:
        row = read_sealed(folder / f"{name}.json")
    except UnreadableError as error:
        yield FileState(f"{name}.json", DAMAGED, error.what)
        return
    yield _state(f"{name}.json", "" if "arrays" in row else "it records no arrays")
    for key, suffix in (("arrays", ".npz"), ("weights", ".weights.npz")):
        if key in row:
            yield _compared(folder, f"{name}{suffix}", str(row[key]))


def _listed(folder: Path, part: str, manifest: str) -> Iterator[FileState]:
    """What a later command left in a folder of the run, by the `manifest` there; nothing while that is not there."""
    name = f"{part}/{manifest}"
    if not (folder / name).exists():
        return
    try:
        files = read_sealed(folder / name)["files"]
        states = [_compared(folder, f"{part}/{file}", str(digest)) for file, digest in files.items()]
    except (UnreadableError, KeyError, AttributeError) as error:
        yield FileState(name, DAMAGED, str(error))
        return
    yield FileState(name, INTACT)
    yield from states


def _others(folder: Path, compared: set[str]) -> list[FileState]:
    """What no hash was recorded of: by folder where it is made again when needed, else file by file."""
    states: dict[str, FileState] = {}
    for path in sorted(folder.rglob("*")):
        file = path.relative_to(folder).as_posix()
        if path.is_dir() or file in compared or _STORE.match(file) or path.suffix == ".lock":
            continue
        if derived := _DERIVED.match(file):
            states.setdefault(derived[0], FileState(derived[0], REBUILT))
        else:
            states[file] = FileState(file, NOT_COMPARED, "no hash of it was recorded")
    return list(states.values())
