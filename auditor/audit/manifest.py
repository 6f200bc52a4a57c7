"""What a stage hands back, and the manifest that is assembled from it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from auditor.audit.context import Context
from auditor.audit.folder import labels_document
from auditor.core.files import read_json
from auditor.core.machine import describe_machine, package_versions
from auditor.core.version import __version__
from auditor.runs import layout
from auditor.runs.run import Run

T = TypeVar("T")


@dataclass(frozen=True)
class StageResult(Generic[T]):
    """What a stage hands back.

    Attributes
    ----------
    value : object
        For later stages.
    outcomes : sequence of dict
        Rows of the manifest's ``outcomes``, made by `done` and `not_applicable`.
    notes : sequence of str
        Lines of its ``notes``.
    sections : mapping
        What is added to its other sections, by their names.
    """

    value: T
    outcomes: Sequence[dict[str, str]] = ()
    notes: Sequence[str] = ()
    sections: Mapping[str, Any] = field(default_factory=dict)


def done(part: str, detail: str) -> dict[str, str]:
    """The row of a part that ran."""
    return {"part": part, "status": "done", "detail": detail}


def not_applicable(part: str, reason: str) -> dict[str, str]:
    """The row of a part that could not run."""
    return {"part": part, "status": "not applicable", "detail": reason}


class Manifest:
    """The manifest of a run in the making. Its clock starts when it is made."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.clock = time.perf_counter()
        self.sections: dict[str, Any] = {
            name: {} for name in ("plan", "model", "second_model", "refits", "embeddings", "counts", "labels")
        }
        self.sections |= {"not_auditable": [], "outcomes": [], "notes": []}

    def take(self, result: StageResult[T]) -> T:
        """Add what a stage hands back; returns its value."""
        for name, added in {**result.sections, "outcomes": result.outcomes, "notes": result.notes}.items():
            section = self.sections[name]
            section.update(added) if isinstance(section, dict) else section.extend(added)
        return result.value

    def run_so_far(self, context: Context) -> Run:
        """The run as its readers will find it, as far as its stages have come."""
        return Run(context.folder, {"data": labels_document(context.dataset), **self.sections})

    def document(self, context: Context) -> dict[str, Any]:
        """All of it, as JSON values."""
        return {
            "schema": layout.RUN_SCHEMA,
            "auditor": __version__,
            "started": self.started,
            "seconds": round(time.perf_counter() - self.clock, 2),
            **{k: v for k, v in read_json(context.folder / layout.CONFIG).items() if k != "schema"},
            **self.sections,
            "stages": [
                {"name": r.name, "seconds": r.seconds, "reused": r.name in context.stages.reused, "outputs": r.outputs}
                for r in context.stages.done
            ],
            "machine": describe_machine(),
            "versions": package_versions(),
        }
