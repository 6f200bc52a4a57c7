"""Content-addressed stages: a stage is skipped when the hash of its inputs equals the stored one and its
outputs still have the hashes it recorded, never because a file exists."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from auditor.core.errors import UnreadableError
from auditor.core.files import read_sealed, write_sealed
from auditor.core.hashing import hash_file, hash_json
from auditor.runs.layout import STAGES


@dataclass(frozen=True)
class StageRecord:
    """What a finished stage left behind.

    Attributes
    ----------
    name : str
    key : str
        Hash of its inputs.
    outputs : dict
        File name in the run folder to ``sha256:<hex>``.
    seconds : float
        Wall time when it was really computed (kept when the stage is reused).
    info : dict
        Small JSON values later steps need (counts, reasons, notes).
    """

    name: str
    key: str
    outputs: dict[str, str]
    seconds: float
    info: dict[str, Any] = field(default_factory=dict)


class Stages:
    """The stage records of one run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.done: list[StageRecord] = []
        self.reused: set[str] = set()

    def _record_path(self, name: str) -> Path:
        return self.folder / STAGES / f"{name}.json"

    def record(self, name: str) -> StageRecord | None:
        """The record of `name`; None where there is none, or a damaged or older one."""
        try:
            return TypeAdapter(StageRecord).validate_python(read_sealed(self._record_path(name)))
        except (UnreadableError, ValidationError):
            return None

    def stored(self, name: str, key: str) -> StageRecord | None:
        """The record of `name` if it was made from inputs with hash `key` and its outputs are intact."""
        record = self.record(name)
        if record is None or record.key != key:
            return None
        for file, digest in record.outputs.items():
            target = self.folder / file
            if not target.is_file() or hash_file(target) != digest:
                return None
        return record

    def run(
        self,
        name: str,
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        produce: Callable[[], Mapping[str, Any] | None],
    ) -> StageRecord:
        """Return the stored record if it is still valid, else call `produce` and record what it wrote.

        Parameters
        ----------
        name : str
            Stage name; also its file name.
        inputs : mapping
            JSON values that determine the outputs: hashes, configuration, versions.
        outputs : sequence of str
            Files, relative to the run folder, that `produce` writes atomically.
        produce : callable
            Does the work; may return a small JSON mapping kept as ``info``.
        """
        key = hash_json({"stage": name, "inputs": dict(inputs)})
        record = self.stored(name, key)
        if record is not None:
            self.reused.add(name)
        else:
            # The old record goes first: a kill between here and the end must not pair it with new outputs.
            self._record_path(name).unlink(missing_ok=True)
            begin = time.perf_counter()
            info = dict(produce() or {})
            seconds = round(time.perf_counter() - begin, 3)
            hashes = {file: hash_file(self.folder / file) for file in outputs}
            record = StageRecord(name, key, hashes, seconds, info)
            self._write(record)
        self.done.append(record)
        return record

    def _write(self, record: StageRecord) -> None:
        write_sealed(self._record_path(record.name), asdict(record))

    def wrote(self, path: Path) -> bool:
        """Whether the file at `path` is one that `recording` recorded, and nobody has changed since."""
        record = self.record(self._name_of(path))
        return record is not None and path.is_file() and hash_file(path) in record.outputs.values()

    @contextmanager
    def recording(self, path: Path) -> Iterator[None]:
        """Record the hash of the file that a later command writes at `path` inside, if that is in the run folder."""
        if path.parent.resolve() != self.folder.resolve():
            yield
            return
        record = self._record_path(self._name_of(path))
        record.unlink(missing_ok=True)
        yield
        self._write(StageRecord(record.stem, "", {path.name: hash_file(path)}, 0.0))

    def _name_of(self, path: Path) -> str:
        return re.sub(r"[^\w-]", "-", path.name)
