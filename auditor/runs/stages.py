"""Content-addressed stages: a stage is skipped when the hash of its inputs equals the stored one and its
outputs still have the hashes it recorded, never because a file exists."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from auditor.core.errors import UnreadableError
from auditor.core.files import read_json, write_json
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
            return TypeAdapter(StageRecord).validate_python(read_json(self._record_path(name)))
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
            write_json(self._record_path(name), asdict(record))
        self.done.append(record)
        return record
