"""Probabilities that already lie in a torch tensor, on a GPU or not. The only module of the engine that knows torch.

The scan runs as tensor operations on the tensor's device; what comes back are the few numbers per row that the
rest of the engine works on, so every result equals the one for the same array in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from auditor.core.errors import ProbabilityError
from auditor.engine.entries import EntryList, InputRules, ScanResult
from auditor.engine.semantics import EPSILON
from auditor.engine.validate import check_form, raise_bad_row

_TYPES = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}

#: Bytes of probabilities per step: large enough to keep a GPU busy, small beside its memory.
_STEP_BYTES = 256 << 20


class TorchSource:
    """A two-dimensional floating-point tensor.

    Raises
    ------
    ProbabilityError
        Another shape or type; bfloat16 has too few digits and is refused.
    """

    name = "the probabilities"
    in_memory = True

    def __init__(self, tensor: torch.Tensor) -> None:
        if tensor.dtype not in _TYPES:
            raise ProbabilityError(
                f"the probabilities have the type {tensor.dtype}.", "Give float16, float32 or float64."
            )
        self._tensor = tensor.detach()
        self.dtype: np.dtype[Any] = np.dtype(_TYPES[tensor.dtype])
        self.shape = check_form(tuple(tensor.shape), self.dtype, self.name)
        self.natural_rows = max(1, _STEP_BYTES // max(1, tensor.shape[1] * tensor.element_size()))

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.asarray(self._tensor[start:stop].cpu().numpy())

    def pick(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Single entries in the computing type; only they leave the device."""
        device = self._tensor.device
        at = torch.from_numpy(rows.astype(np.int64)).to(device)
        values = self._tensor[at, torch.from_numpy(columns.astype(np.int64)).to(device)]
        return np.asarray(_standard(values).cpu().numpy())

    def scan(
        self, start: int, stop: int, labels: np.ndarray, tau: float, floor: float, rules: InputRules
    ) -> ScanResult:
        """As `auditor.engine.scan.scan_job`."""
        p = _standard(self._tensor[start:stop])
        p, clipped = _checked(p, start, rules)
        n_classes = p.shape[1]
        y = torch.from_numpy(labels.astype(np.int64)).to(p.device)
        column = torch.arange(n_classes, device=p.device)
        given = p.gather(1, y[:, None])[:, 0]
        nothing = torch.full((), -1.0, dtype=p.dtype, device=p.device)
        before = torch.where(column < y[:, None], p, nothing).amax(dim=1)
        after = torch.where(column > y[:, None], p, nothing).amax(dim=1)
        other = torch.maximum(before, after)
        lifted = given + EPSILON
        candidate = ~((lifted > before) & (lifted >= after))
        # torch does not promise the first column on ties; NumPy's argmax, which the rules follow, does.
        peak = torch.maximum(given, other)
        top = torch.where(p == peak[:, None], column, n_classes).amin(dim=1)
        reached = p >= tau
        many = reached & (reached.sum(dim=1) >= 2)[:, None]
        rivals = candidate[:, None] & (p > given[:, None]) & (p >= floor) & (column != y[:, None])
        kind, numbers = labels.dtype, [t.cpu().numpy() for t in (given, other, top, candidate)]
        outputs = (numbers[0], numbers[1], numbers[2].astype(kind), numbers[3])
        return ScanResult(start, outputs, _entries(p, many, start, kind), _entries(p, rivals, start, kind), clipped)


def _standard(values: torch.Tensor) -> torch.Tensor:
    return values.float() if values.dtype == torch.float16 else values


def _checked(p: torch.Tensor, start: int, rules: InputRules) -> tuple[torch.Tensor, int]:
    """Check the rows; clip those that may be clipped."""
    slack = rules.clip or EPSILON
    bad = ~((p >= -slack) & (p <= 1 + slack)).all(dim=1)
    clipped = 0
    if rules.clip:
        outside = ~bad & ~((p >= 0) & (p <= 1)).all(dim=1)
        clipped = int(outside.sum())
        if clipped:
            p = torch.where(outside[:, None], p.clamp(0, 1), p)
    bad = bad | ~((p.sum(dim=1) - 1).abs() <= rules.row_sum_tolerance)
    if bool(bad.any()):
        row = int(torch.nonzero(bad)[0, 0])
        raise_bad_row(p[row].cpu().numpy(), start + row, TorchSource.name, slack, rules.row_sum_tolerance)
    return p, clipped


def _entries(p: torch.Tensor, mask: torch.Tensor, start: int, kind: np.dtype[Any]) -> list[EntryList]:
    at = torch.nonzero(mask)  # row-major order: rows ascending, then columns
    if not len(at):
        return []
    row = at[:, 0].cpu().numpy().astype(np.uint32)
    column = at[:, 1].cpu().numpy().astype(kind)
    return [EntryList(start, row, column, p[mask].cpu().numpy())]
