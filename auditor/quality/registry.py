"""The table of checks and the one way to run them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.core.errors import DataError
from auditor.core.progress import Progress, SilentProgress
from auditor.core.registry import Registry
from auditor.quality.base import SEVERITIES, Check, Found, NotApplicable, Outcome
from auditor.quality.subject import Subject

__all__ = ["CHECKS", "check_names", "run_checks"]

#: Check classes by name, in the order they are reported. Third parties add theirs through an entry-point group.
CHECKS: Registry[type[Check]] = Registry(
    "check",
    {
        "undecodable": "auditor.quality.undecodable:Undecodable",
        "exact_duplicates": "auditor.quality.exact_duplicates:ExactDuplicates",
        "near_duplicates": "auditor.quality.near_duplicates:NearDuplicates",
        "conflicting_duplicates": "auditor.quality.conflicting_duplicates:ConflictingDuplicates",
        "leakage": "auditor.quality.leakage:Leakage",
        "near_leakage": "auditor.quality.near_leakage:NearLeakage",
        "odd_size": "auditor.quality.odd_size:OddSize",
        "odd_aspect": "auditor.quality.odd_aspect:OddAspect",
        "odd_mode": "auditor.quality.odd_mode:OddMode",
        "dark": "auditor.quality.dark:Dark",
        "bright": "auditor.quality.bright:Bright",
        "blurry": "auditor.quality.blurry:Blurry",
        "low_information": "auditor.quality.low_information:LowInformation",
        "outliers": "auditor.quality.outliers:Outliers",
        "class_imbalance": "auditor.quality.class_imbalance:ClassImbalance",
        "tiny_classes": "auditor.quality.tiny_classes:TinyClasses",
        "missing_values": "auditor.quality.missing_values:MissingValues",
        "non_iid_order": "auditor.quality.non_iid_order:NonIidOrder",
        "drift": "auditor.quality.drift:Drift",
        "encoding_damage": "auditor.quality.encoding_damage:EncodingDamage",
        "near_empty_text": "auditor.quality.near_empty_text:NearEmptyText",
        "template_texts": "auditor.quality.template_texts:TemplateTexts",
        "constant_columns": "auditor.quality.constant_columns:ConstantColumns",
        "target_leakage": "auditor.quality.target_leakage:TargetLeakage",
    },
    entry_point_group="auditor.checks",
)


def check_names(asked: Sequence[str]) -> list[str]:
    """Names of checks given by name or by code.

    Raises
    ------
    UnknownNameError
        No such check.
    """
    codes = {CHECKS.load(name).code.lower(): name for name in CHECKS.names()}
    names = [codes.get(given.lower(), given) for given in asked]
    for name in names:
        CHECKS.target(name)
    return names


def run_checks(
    subject: Subject, names: Sequence[str] | None = None, progress: Progress | None = None
) -> tuple[Outcome, ...]:
    """Run checks.

    Parameters
    ----------
    subject : Subject
    names : sequence of str, optional
        Names in `CHECKS`; by default all.
    progress : Progress, optional

    Returns
    -------
    tuple of Outcome
        In the order of the registry.

    Raises
    ------
    UnknownNameError
        No such check.
    DataError
        A check broke its contract: positions outside the data, an unknown severity.
    """
    progress = progress or SilentProgress()
    classes = {name: CHECKS.load(name) for name in (CHECKS.names() if names is None else names)}
    chosen = [name for name in CHECKS.names() if name in classes]
    progress.start("checks", len(chosen), "checks")
    outcomes = []
    for done, name in enumerate(chosen, 1):
        outcomes.append(_run(classes[name](), subject))
        progress.advance("checks", done, name)
    progress.finish("checks")
    return tuple(outcomes)


def _run(check: Check, subject: Subject) -> Outcome:
    if check.severity not in SEVERITIES:
        raise DataError(f"check {check.name!r} has the unknown severity {check.severity!r}.")
    result = check.run(subject)
    if isinstance(result, NotApplicable):
        return Outcome(check.code, check.name, check.severity, check.about, "not applicable", result.reason, None)
    _validate(check.name, result, len(subject))
    there = len(result.items) > 0 if result.found is None else result.found
    status = "found" if there else "passed"
    return Outcome(check.code, check.name, check.severity, check.about, status, result.summary, result)  # type: ignore[arg-type]


def _validate(name: str, found: Found, n: int) -> None:
    items = found.items
    if items.dtype != np.int64 or items.ndim != 1 or (len(items) and (items.min() < 0 or items.max() >= n)):
        raise DataError(f"check {name!r} gave items that are not int64 positions below {n}.")
    if len(np.unique(items)) != len(items):
        raise DataError(f"check {name!r} names an item twice.")
    for part in (found.values, found.notes):
        if part is not None and len(part) != len(items):
            raise DataError(f"check {name!r} gave {len(part)} values or notes for {len(items)} items.")
    if any(len(group.members) < 2 for group in found.groups):
        raise DataError(f"check {name!r} gave a group of fewer than two items.")
