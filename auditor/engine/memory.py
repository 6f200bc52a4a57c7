"""How much memory a run needs: said before it starts, and checked."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.core.errors import MemoryGuardError
from auditor.core.machine import available_memory
from auditor.engine.scan import CHUNK_BYTES

#: Bytes per row of the two entry lists, measured at 1.3 entries per row and 12 bytes each, rounded up.
_LIST_BYTES_PER_ROW = 16
#: Bytes of a pair of classes that holds anything: joints, calibration, prune counts, margins, about eight times a count
#: and its place.
_PAIR_BYTES = 8 * 16


@dataclass(frozen=True)
class MemoryPlan:
    """Expected need in bytes, beside the probabilities themselves."""

    rows: int
    classes: int
    per_row: int
    pairs: int
    buffers: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.rows * self.per_row + self.pairs + self.buffers

    def describe(self) -> str:
        """One line for people."""
        return (
            f"{self.rows:,} x {self.classes:,}: about {self.total / 2**30:.2f} GiB "
            f"({self.per_row} bytes per item, {self.pairs / 2**20:.0f} MiB for class pairs, "
            f"{self.buffers / 2**20:.0f} MiB of buffers)"
        )


def plan_memory(n_rows: int, n_classes: int, item_bytes: int, workers: int = 2) -> MemoryPlan:
    """Estimate the need of `analyze` and any rule; probabilities already in memory not included.

    Parameters
    ----------
    item_bytes : int
        Size of the computing type: 4 or 8.
    workers : int
        Threads, each with its chunk.
    """
    label_bytes = 2 if n_classes <= 1 << 16 else 4
    # Per row: two probabilities, a copy of one in class order, label and argmax, three masks, the lists.
    per_row = 3 * item_bytes + 2 * label_bytes + 3 + _LIST_BYTES_PER_ROW
    buffers = workers * (3 * CHUNK_BYTES + 4 * n_classes * item_bytes)
    pairs = min(n_rows + n_classes, n_classes * n_classes)  # an item is in one cell of the joint
    return MemoryPlan(n_rows, n_classes, per_row, _PAIR_BYTES * pairs, buffers)


def check_memory(plan: MemoryPlan, limit: int | None = None) -> None:
    """Compare a plan with the limit, or with what the machine has left.

    Raises
    ------
    MemoryGuardError
        With both figures.
    """
    have = available_memory() if limit is None else limit
    if plan.total > have:
        raise MemoryGuardError(
            f"the confident-learning engine needs {plan.describe()}; {have / 2**30:.2f} GiB are available.",
            "Run on a machine with more memory, or on a part of the items.",
        )
