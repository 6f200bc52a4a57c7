"""Every file of a run folder against the hash that was recorded when it was written, as ``git fsck`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auditor.core.errors import AuditorError, UnreadableError
from auditor.core.files import read_json
from auditor.core.hashing import hash_file
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.stages import Stages
from auditor.runs.tables import read_arrow

INTACT: Final = "intact"
DAMAGED: Final = "damaged"
#: Derived data that is not there; it is made again when it is needed.
REBUILT: Final = "rebuilt when needed"


@dataclass(frozen=True)
class FileState:
    """One file.

    Attributes
    ----------
    file : str
        Name in the folder.
    state : str
        `INTACT`, `DAMAGED` or `REBUILT`.
    detail : str
        What is wrong.
    """

    file: str
    state: str
    detail: str = ""


def verify_files(run: Run) -> list[FileState]:
    """What the manifest, the stages and the training tasks recorded. `open_run` has compared the manifest itself."""
    stages, states = Stages(run.path), [FileState(layout.MANIFEST, INTACT)]
    for stage in run.manifest["stages"]:
        record, file = stages.record(stage["name"]), f"{layout.STAGES}/{stage['name']}.json"
        wrong = "" if record and record.outputs == stage["outputs"] else "not what the manifest says of this stage"
        states.append(_state(file, wrong))
    for name in (*run.recorded, *(n for n in (layout.DETECTORS, layout.NEIGHBOURS) if (run.path / n).exists())):
        if name.startswith(f"{layout.WORK}/") and not (run.path / name).exists():
            states.append(FileState(name, REBUILT))
        else:
            states.append(_state(name, _error(run.file, name)))
    if (run.path / layout.P_WRONG).exists():  # its pages carry their own checksums
        states.append(_state(layout.P_WRONG, _error(read_arrow, run.path / layout.P_WRONG)))
    for described in sorted((run.path / layout.TASKS / "results").glob("*.json")):
        states += _task(described)
    return states


def _state(file: str, wrong: str) -> FileState:
    return FileState(file, DAMAGED if wrong else INTACT, wrong)


def _error(read: Callable[[Any], object], what: Any) -> str:
    try:
        read(what)
    except AuditorError as error:
        return error.what
    return ""


def _task(described: Path) -> Iterator[FileState]:
    """The files of one fit; before their weights were recorded, of the arrays alone."""
    name = f"{layout.TASKS}/results/{described.stem}"
    try:
        row = read_json(described)
        hashes = {file: row[key] for key, file in (("arrays", ".npz"), ("weights", ".weights.npz")) if key in row}
    except (UnreadableError, TypeError) as error:
        yield FileState(f"{name}.json", DAMAGED, str(error))
        return
    yield _state(f"{name}.json", "" if ".npz" in hashes else "it records no arrays")
    for suffix, digest in hashes.items():
        path = described.with_name(f"{described.stem}{suffix}")
        same = path.is_file() and hash_file(path) == digest
        yield _state(f"{name}{suffix}", "" if same else "not what was recorded")
