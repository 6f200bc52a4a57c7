"""The table of checks and the one way to run them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.core.errors import DataError
from auditor.core.progress import Progress, SilentProgress
from auditor.core.registry import Registry
from auditor.quality.base import SEVERITIES, Check, Findings, NotApplicable, Outcome
from auditor.quality.subject import Subject

#: Checks by name, in the order they are reported. Third parties add theirs through the entry-point group
#: ``auditor.checks``: a `Check`, or a class whose instances have its attributes.
CHECKS: Registry[Check] = Registry(
    "check",
    {
        "undecodable": "auditor.quality.pictures:undecodable",
        "exact_duplicates": "auditor.quality.copies:exact_duplicates",
        "near_duplicates": "auditor.quality.copies:near_duplicates",
        "conflicting_duplicates": "auditor.quality.copies:conflicting_duplicates",
        "conflicting_alterations": "auditor.quality.copies:conflicting_alterations",
        "mirrored_items": "auditor.quality.copies:mirrored_items",
        "leakage": "auditor.quality.copies:leakage",
        "near_leakage": "auditor.quality.copies:near_leakage",
        "odd_size": "auditor.quality.pictures:odd_size",
        "odd_aspect": "auditor.quality.pictures:odd_aspect",
        "odd_mode": "auditor.quality.pictures:odd_mode",
        "dark": "auditor.quality.pictures:dark",
        "bright": "auditor.quality.pictures:bright",
        "blurry": "auditor.quality.pictures:blurry",
        "low_information": "auditor.quality.pictures:low_information",
        "outliers": "auditor.quality.outliers:outliers",
        "out_of_distribution": "auditor.quality.outliers:out_of_distribution",
        "class_imbalance": "auditor.quality.classes:class_imbalance",
        "tiny_classes": "auditor.quality.classes:tiny_classes",
        "missing_values": "auditor.quality.tables:missing_values",
        "non_iid_order": "auditor.quality.non_iid_order:non_iid_order",
        "drift": "auditor.quality.drift:drift",
        "encoding_damage": "auditor.quality.texts:encoding_damage",
        "near_empty_text": "auditor.quality.texts:near_empty_text",
        "template_texts": "auditor.quality.texts:template_texts",
        "constant_columns": "auditor.quality.tables:constant_columns",
        "target_leakage": "auditor.quality.tables:target_leakage",
        "spurious_cues": "auditor.quality.cues:spurious_cues",
        "weak_slices": "auditor.quality.slices:weak_slices",
        "overlapping_classes": "auditor.quality.class_advice:overlapping_classes",
        "divided_classes": "auditor.quality.class_advice:divided_classes",
        "unlearnable_classes": "auditor.quality.class_advice:unlearnable_classes",
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
    codes = {CHECKS.load(name).code.lower(): name for name in CHECKS}
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
    checks = {name: CHECKS.load(name) for name in (CHECKS if names is None else names)}
    chosen = [name for name in CHECKS if name in checks]
    progress.start("checks", len(chosen), "checks")
    outcomes = []
    for done, name in enumerate(chosen, 1):
        check = checks[name]
        outcomes.append(_run(check() if isinstance(check, type) else check, subject))
        progress.advance("checks", done, name)
    progress.finish("checks")
    return tuple(outcomes)


def _run(check: Check, subject: Subject) -> Outcome:
    if check.severity not in SEVERITIES:
        raise DataError(f"check {check.name!r} has the unknown severity {check.severity!r}.")
    about = (check.code, check.name, check.severity, check.about)
    result = check.run(subject)
    if isinstance(result, NotApplicable):
        return Outcome(*about, "not applicable", result.reason, None)
    _validate(check.name, result, len(subject))
    concerned = len(result.items) > 0 if result.found is None else result.found
    return Outcome(*about, "found" if concerned else "passed", result.summary, result)


def _validate(name: str, findings: Findings, n: int) -> None:
    items = findings.items
    if items.dtype != np.int64 or items.ndim != 1 or (len(items) and (items.min() < 0 or items.max() >= n)):
        raise DataError(f"check {name!r} gave items that are not int64 positions below {n}.")
    if len(np.unique(items)) != len(items):
        raise DataError(f"check {name!r} names an item twice.")
    for part in (findings.values, findings.notes):
        if part is not None and len(part) != len(items):
            raise DataError(f"check {name!r} gave {len(part)} values or notes for {len(items)} items.")
    if any(len(group.members) < 2 for group in findings.groups):
        raise DataError(f"check {name!r} gave a group of fewer than two items.")
