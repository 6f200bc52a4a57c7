"""What a check gets and what it gives back.

A check looks at one thing in the data beside the labels. It has a stable code, and three outcomes: it found
something, it found nothing, or it could not look, with the reason. The third is never the second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from auditor.data.base import item_word
from auditor.quality.groups import Group

Severity = Literal["error", "warning", "info"]
#: ``error``: numbers computed on this data are wrong. ``warning``: somebody should look. ``info``: good to know.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
Status = Literal["found", "passed", "not applicable"]


@dataclass(frozen=True, eq=False)
class Findings:
    """What a check that could look has seen.

    Attributes
    ----------
    summary : str
        One sentence with the figures.
    items : int64 array (m,)
        Positions of the items it is about, the worst first; empty where it is about the data as a whole.
    values : float64 array (m,), optional
        What was measured of each.
    notes : tuple of str, optional
        A word about each item, where they differ.
    groups : tuple of Group
    facts : mapping
        Figures as JSON values.
    found : bool, optional
        Whether there is something to report; by default, whether there are items.
    """

    summary: str
    items: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    values: np.ndarray | None = None
    notes: tuple[str, ...] | None = None
    groups: tuple[Group, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    found: bool | None = None


@dataclass(frozen=True)
class NotApplicable:
    """Why a check could not look."""

    reason: str


@dataclass(frozen=True)
class Check:
    """A data-quality check; made by the decorator `check`.

    Attributes
    ----------
    code : str
        Stable: never changes its meaning, never used again.
    name : str
        Its name in the registry.
    severity : str
        One of `SEVERITIES`.
    about : str
        What a finding means, one clause.
    run : callable
        From a `Subject` (and thresholds, by keyword) to `Findings` or `NotApplicable`. A function of the subject
        alone; the order of the items changes nothing but their positions, except for checks of the order itself.
    """

    code: str
    name: str
    severity: Severity
    about: str
    run: Callable[..., Findings | NotApplicable]


def check(code: str, severity: Severity, about: str) -> Callable[[Callable[..., Findings | NotApplicable]], Check]:
    """Make a function a check of its name; see `Check`."""
    return lambda function: Check(code, function.__name__, severity, about, function)


@dataclass(frozen=True, eq=False)
class Outcome:
    """One check after it was run.

    Attributes
    ----------
    code, name, severity, about : str
        Of the check.
    status : str
        ``"found"``, ``"passed"`` or ``"not applicable"``.
    reason : str
        One sentence: what was found, that nothing was, or why it could not look.
    findings : Findings or None
        None where it was not applicable.
    """

    code: str
    name: str
    severity: Severity
    about: str
    status: Status
    reason: str
    findings: Findings | None

    def __repr__(self) -> str:
        return f"Outcome({self.code} {self.name}: {self.status}, {self.reason})"


def made_for_others(modality: str) -> NotApplicable:
    """The outcome of a check that is made for items of another kind: a check of pictures, asked about texts.

    One reason for all checks, whatever they are made for, so that a list of reasons names it once.
    """
    words = {"probabilities": "probabilities without items"}
    return NotApplicable(f"not made for {words.get(modality, item_word(modality) + 's')}")


def share_of(part: int, whole: int) -> str:
    """``"378 of 20,000 (1.89 %)"``."""
    return f"{part:,} of {whole:,} ({100 * part / max(1, whole):.2f} %)"


def joined(names: Sequence[str], most: int = 5) -> str:
    """The first few names in words."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
