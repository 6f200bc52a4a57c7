"""Judge a data set by a policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import ConfigError, RunError
from auditor.estimation.state import ReviewState, read_state
from auditor.patch.rules import open_store
from auditor.policy.baseline import new_rows, read_baseline
from auditor.policy.measures import conflicts, error_rate, leaks, reviewed
from auditor.policy.outcomes import GateResult, Outcome
from auditor.policy.policy import Policy
from auditor.policy.rows import Rows, rows_of_dataset, rows_of_run
from auditor.runs import layout
from auditor.runs.run import Run, open_run

__all__ = ["Checked", "check"]


@dataclass(frozen=True)
class Checked:
    """The result, and the rows it speaks of (for a new baseline)."""

    result: GateResult
    rows: Rows


def check(target: str, policy: Policy, policy_file: str, settings: Settings, *, everything: bool = False) -> Checked:
    """Measure what the policy limits.

    Parameters
    ----------
    target : str
        A run folder (or its name in the runs folder), or a data reference. A run stands for the data as it recorded
        them and brings its own review; a data set is read anew, and the policy names the run.
    policy : Policy
    policy_file : str
        For people.
    settings : Settings
    everything : bool
        Judge all rows, whatever the baseline holds.

    Raises
    ------
    DataError
        If data, baseline or run cannot be used.
    ConfigError
        If the review is limited and no run is named.
    """
    run = _as_run(target, settings)
    rows = (
        rows_of_dataset(target, settings, policy.near_duplicates)
        if run is None
        else rows_of_run(run, policy.near_duplicates)
    )
    judged, notes = np.ones(len(rows), bool), []
    if policy.baseline is not None and not everything:
        judged = new_rows(read_baseline(Path(policy.baseline)), rows)
    outcomes: list[Outcome] = []
    if policy.max_new_duplicate_leaks is not None:
        outcomes.append(leaks(rows, judged, policy.max_new_duplicate_leaks))
    if policy.max_label_conflicts is not None:
        outcomes.append(conflicts(rows, judged, policy.max_label_conflicts))
    outcomes += _review_outcomes(run, rows, judged, policy, settings)
    if not rows.readable.all():
        notes.append(f"{int((~rows.readable).sum()):,} item(s) cannot be decoded; they are compared with nothing")
    baseline = None if everything else policy.baseline
    result = GateResult(
        rows.name, rows.reference, len(rows), int(judged.sum()), baseline, policy_file, tuple(outcomes), tuple(notes)
    )
    return Checked(result, rows)


def _as_run(target: str, settings: Settings) -> Run | None:
    for folder in (Path(target), settings.runs_dir / target):
        if (folder / layout.CONFIG).is_file() or (folder / layout.MANIFEST).is_file():
            return open_run(folder)
    return None


def _review_outcomes(
    run: Run | None, rows: Rows, judged: np.ndarray, policy: Policy, settings: Settings
) -> list[Outcome]:
    most, least = policy.max_estimated_error_rate_upper, policy.min_reviewed
    if most is None and least is None:
        return []
    if run is None and policy.run is None:
        raise ConfigError(
            "the policy limits the share of wrong labels, which takes a reviewed run.",
            "Name it in the policy (run = ..) or with --run, or check the run itself: auditor check RUN",
        )
    reviewed_run = run or open_run(policy.run or "", settings.runs_dir)
    with open_store(policy.store or reviewed_run.path) as store:
        state = read_state(reviewed_run, store)
    known = _known(reviewed_run, state, rows, judged)
    n, found = int(judged.sum()), []
    if most is not None:
        found.append(error_rate(n, known, state, most))
    if least is not None:
        found.append(reviewed(n, known, state, least))
    return found


def _known(run: Run, state: ReviewState, rows: Rows, judged: np.ndarray) -> np.ndarray:
    """Judged rows among the audited items of the run, bool over ``state.ids``.

    Rows are recognised by id, content and label: a row that has changed since the run is none of its items.

    Raises
    ------
    RunError
        If the run has hardly anything to do with the data.
    """
    items = run.items
    recorded = {
        str(i): (str(c), str(g)) for i, c, g in zip(items["id"], items["content_hash"], items["given"], strict=True)
    }
    now = zip(rows.ids, rows.content, rows.labels, strict=True)
    same = np.array([recorded.get(str(i)) == (str(c), str(label)) for i, c, label in now], bool)
    if not same.any():
        raise RunError(
            f"the run {run.id!r} is of other data: none of the {len(rows):,} rows is an item of it.",
            "Repeat auditor find-errors on the data as it is now.",
        )
    mine = set(map(str, rows.ids[same & judged]))
    return np.array([str(i) in mine for i in state.ids], bool)
