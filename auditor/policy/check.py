"""Judge a data set by a policy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import ConfigError, UsageError
from auditor.data.open import open_dataset
from auditor.estimation.state import read_state
from auditor.patch.files import read_patch
from auditor.patch.open_target import moved_ids
from auditor.patch.rules import store_of
from auditor.policy.baseline import new_rows, read_baseline
from auditor.policy.corrections import corrections_of
from auditor.policy.limits import copies_limit, severity_limit, single_limit
from auditor.policy.policy import Policy
from auditor.policy.result import GateResult, LimitResult
from auditor.policy.review import error_rate, reviewed
from auditor.policy.rows import Rows, rows_of_dataset, rows_of_run
from auditor.quality.base import Outcome
from auditor.quality.document import by_reason, recorded_outcomes
from auditor.quality.registry import CHECKS
from auditor.quality.run import check_quality
from auditor.runs import layout
from auditor.runs.run import Run, open_run


def check(
    target: Any, policy: Policy, policy_file: str, settings: Settings, *, everything: bool = False, **roles: Any
) -> tuple[GateResult, Rows]:
    """Measure what the policy limits.

    Parameters
    ----------
    target : str, Path or object
        A run folder (or its name in the runs folder), a data reference, or what is in memory. A run stands for the data
        as it recorded them, with the outcomes of its own checks and its own review; a data set is read and checked
        anew, and the policy names the run.
    policy : Policy
    policy_file : str
        For people.
    settings : Settings
    everything : bool
        Judge all rows, whatever the baseline holds.
    **roles
        ``label, text, image, columns, group, id, ...`` of the data: options of `auditor.data.open.open_dataset`.

    Returns
    -------
    GateResult
    Rows
        The rows it speaks of (for a new baseline).

    Raises
    ------
    DataError
        If data, baseline or run cannot be used.
    ConfigError
        If the review is limited and no run is named.
    """
    run = _as_run(str(target), settings) if isinstance(target, str | Path) else None
    moved = moved_ids(str(target)) if run is None and isinstance(target, str | Path) else {}
    names = policy.checks()
    if run is not None:
        if named := [name for name, value in roles.items() if value is not None]:
            raise UsageError(f"{named[0]} names a column of data; {str(target)!r} is a run.")
        rows, outcomes = rows_of_run(run), _recorded(run, names)
    else:
        # Labels are what they are in the run that the policy names.
        reviewed_run = None if policy.run is None else open_run(policy.run, settings.runs_dir)
        dataset = open_dataset(
            target, settings, any_kind=reviewed_run is not None and reviewed_run.form is not None, **roles
        )
        rows, outcomes = rows_of_dataset(dataset), ()
        if names:  # without a name, all checks would be run
            outcomes = check_quality(
                dataset, checks=names, embeddings=policy.embeddings, settings=settings, progress=False
            ).outcomes
    judged = np.ones(len(rows), bool)
    if policy.baseline is not None and not everything:
        judged = new_rows(read_baseline(Path(policy.baseline)), rows)
    by_name = {outcome.name: outcome for outcome in outcomes}
    limits = _copies(policy, by_name, rows, judged) + _review(run, rows, judged, policy, settings, moved)
    limits += [
        single_limit(f"limits.{name}", by_name[name], rows, judged, limit) for name, limit in policy.limits.items()
    ]
    limits += [severity_limit(name, *given, outcomes, judged) for name, given in policy.severity_limits().items()]
    baseline = None if everything else policy.baseline
    about = (rows.name, rows.reference, len(rows), int(judged.sum()), baseline, policy_file)
    return GateResult(*about, tuple(limits), tuple(_notes(outcomes, policy.severities()))), rows


def _as_run(target: str, settings: Settings) -> Run | None:
    for folder in (Path(target), settings.runs_dir / target):
        if (folder / layout.CONFIG).is_file() or (folder / layout.MANIFEST).is_file():
            return open_run(folder)
    return None


def _recorded(run: Run, names: Sequence[str]) -> tuple[Outcome, ...]:
    """Outcomes that the run recorded; a check that it did not run is not applicable."""
    recorded = {outcome.name: outcome for outcome in recorded_outcomes(run)}
    missing = "the run did not run this check: it is of an older version, or was made with --no-quality"
    for name in set(names) - set(recorded):
        known = CHECKS.load(name)
        recorded[name] = Outcome(known.code, name, known.severity, known.about, "not applicable", missing, None)
    return tuple(recorded[name] for name in names)


def _notes(outcomes: Sequence[Outcome], severities: Collection[str]) -> Iterator[str]:
    """Which items no check could compare, and which checks of these severities are not applicable and why."""
    silent = []
    for outcome in outcomes:
        if outcome.name == "undecodable" and outcome.findings is not None and len(outcome.findings.items):
            yield f"{len(outcome.findings.items):,} item(s) cannot be decoded and are compared with no other"
        if outcome.findings is None and outcome.severity in severities:
            silent.append((outcome.name, outcome.reason))
    if silent:
        yield f"not applicable: {by_reason(silent)}"


def _copies(policy: Policy, outcomes: Mapping[str, Outcome], rows: Rows, judged: np.ndarray) -> list[LimitResult]:
    asked = {"max_new_duplicate_leaks": "splits", "max_label_conflicts": "labels"}
    return [
        copies_limit(name, outcomes, policy.near_duplicates, differing, rows, judged, limit)
        for name, differing in asked.items()
        if (limit := getattr(policy, name)) is not None
    ]


def _review(
    run: Run | None, rows: Rows, judged: np.ndarray, policy: Policy, settings: Settings, moved: Mapping[str, str]
) -> list[LimitResult]:
    most, least = policy.max_estimated_error_rate_upper, policy.min_reviewed
    if most is None and least is None:
        return []
    if run is None and policy.run is None:
        raise ConfigError(
            "the policy limits the share of wrong labels, which takes a reviewed run.",
            "Name it in the policy (run = ..) or with --run, or check the run itself: auditor check RUN",
        )
    reviewed_run = run or open_run(policy.run or "", settings.runs_dir)
    with store_of(reviewed_run, policy.store) as store:
        state = read_state(reviewed_run, store)
    patch = None if policy.patch is None else read_patch(Path(policy.patch))
    now = corrections_of(reviewed_run, state, rows, judged, patch, moved)
    n, results = int(judged.sum()), []
    if most is not None:
        results.append(error_rate(n, now, state, most))
    if least is not None:
        results.append(reviewed(n, now, state, least))
    return results
