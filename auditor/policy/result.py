"""What a gate found: one result per limit, and the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "not measured"]


@dataclass(frozen=True)
class Concern:
    """A row, or a set of rows, behind a limit. `path` is a file where there is one."""

    ids: tuple[str, ...]
    path: str | None
    message: str


@dataclass(frozen=True)
class LimitResult:
    """One limit and what was found.

    Attributes
    ----------
    name : str
        The key in the policy; ``limits.NAME`` for the limit of a check.
    status : str
        ``"not measured"`` where what is needed is missing; that fails the gate like a broken limit.
    limit : float
    found : float or None
    words : str
    concerns : tuple of Concern
        The first `MOST_CONCERNS` of `auditor.policy.limits`.
    """

    name: str
    status: Status
    limit: float
    found: float | None
    words: str
    concerns: tuple[Concern, ...] = ()

    @classmethod
    def at_most(
        cls, name: str, limit: float, found: float, words: str, concerns: Iterable[Concern] = ()
    ) -> LimitResult:
        """Passed where `found` is no larger than `limit`."""
        return cls(name, "passed" if found <= limit else "failed", limit, found, words, tuple(concerns))

    @classmethod
    def not_measured(cls, name: str, limit: float, reason: str) -> LimitResult:
        """Neither kept nor broken, and why."""
        return cls(name, "not measured", limit, None, f"not measured: {reason}")


@dataclass(frozen=True)
class GateResult:
    """All results, in the order of the policy.

    Attributes
    ----------
    data : str
    rows, judged : int
        Rows there are; new or changed ones, which the limits speak of.
    baseline : str or None
        None: every row was judged.
    """

    data: str
    reference: str
    rows: int
    judged: int
    baseline: str | None
    policy_file: str
    limits: tuple[LimitResult, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return all(limit.status == "passed" for limit in self.limits)

    @property
    def what(self) -> str:
        """The judged rows in words."""
        return f"{self.judged:,} new or changed of {self.rows:,} rows" if self.baseline else f"all {self.rows:,} rows"
