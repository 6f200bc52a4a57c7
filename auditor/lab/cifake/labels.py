"""The labels of CIFAKE both ways: REAL or FAKE, and the ten classes of generated images."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.files import read_json
from auditor.data.base import Dataset
from auditor.data.folder import index_in_split
from auditor.data.open import open_dataset
from auditor.engine.api import analyze
from auditor.runs.run import Run
from auditor.stats.intervals import clopper_pearson, wilson


def _sources(ids: np.ndarray) -> np.ndarray:
    """``FAKE`` or ``REAL`` of each id, object array."""
    return np.array([item.split("/")[1] for item in ids.tolist()], dtype=object)


def audit_by_source(run: Run) -> list[dict[str, Any]]:
    """What one run says of each source: flags, agreement with the given label, and the confident joint's estimate.

    The interval of a share is Wilson's over items: it says how well this run's share is known, nothing about how many
    of the flags are right.
    """
    ids, labels = run.ids, run.labels
    source = _sources(ids)
    flagged = np.isin(ids, run.findings.loc[run.findings["code"] == "LE001", "id"].to_numpy())
    probabilities = np.asarray(run.pred_probs)
    agrees = probabilities.argmax(axis=1) == labels
    rows = []
    for name in ("REAL", "FAKE"):
        of = source == name
        if not of.any():
            continue
        n = int(of.sum())
        row = {
            "source": name,
            "n": n,
            "flagged": int(flagged[of].sum()),
            "flagged_share": asdict(wilson(int(flagged[of].sum()), n)),
            "agreement": asdict(wilson(int(agrees[of].sum()), n)),
            "by_class": _by_class(run, of, flagged, agrees),
        }
        if len(np.unique(labels[of])) > 1:
            joint = analyze(np.ascontiguousarray(probabilities[of]), labels[of]).calibrated_joint
            row["confident_joint_errors"] = int(joint.sum() - np.trace(joint))
        rows.append(row)
    return rows


def _by_class(run: Run, of: np.ndarray, flagged: np.ndarray, agrees: np.ndarray) -> list[dict[str, Any]]:
    labels = run.labels
    return [
        {
            "class": name,
            "n": int((of & (labels == k)).sum()),
            "flagged": int((of & flagged & (labels == k)).sum()),
            "agreement": float(agrees[of & (labels == k)].mean()),
        }
        for k, name in enumerate(run.class_names)
        if (of & (labels == k)).any()
    ]


def twin_names(labels: np.ndarray) -> list[str]:
    """CIFAKE's file of each CIFAR-10 test row: the r-th row of a class is ``REAL/<r>`` with the class's suffix."""
    seen = [0] * (int(labels.max()) + 1)
    names = []
    for label in labels.tolist():
        suffix = f" ({label + 1})" if label else ""
        names.append(f"test/REAL/{seen[label]:04d}{suffix}.jpg")
        seen[label] += 1
    return names


def crowd_reference(settings: Settings) -> dict[str, Any] | None:
    """Published crowd verdicts on CIFAR-10's test labels, by the name of CIFAKE's copy of the photograph.

    Returns
    -------
    dict or None
        ``checked`` and ``wrong`` (fewer than 3 of 5 votes for the given label), sets of ids; None where the verdicts or
        CIFAR-10 are not here.
    """
    found = [p for d in settings.data_dirs if (p := Path(d) / "label_errors" / "cifar10" / "mturk.json").is_file()]
    if not found:
        return None
    names = twin_names(open_dataset("cifar10?split=test", settings).labels)
    verdicts = read_json(found[0])
    return {
        "checked": {names[v["id"]] for v in verdicts},
        "wrong": {names[v["id"]] for v in verdicts if v["mturk"]["given"] < 3},
    }


def fake_not_showing(run: Run, reference: Mapping[str, Any] | None) -> dict[str, Any]:
    """A range for the share of FAKE images that do not show their class, from flags and a stated reference.

    Nobody has reviewed FAKE images. What has been reviewed are CIFAR-10 test photographs, which the same run audits
    with the same rule; the range carries over how often its flags are right *there*. Lower end: the exact lower limit
    of (flagged and judged wrong) / flagged, every flag that nobody judged counted as a right label. Upper end: the
    exact upper limit of (flagged and judged wrong) / (flagged and judged).

    Returns
    -------
    dict
        ``available``; ``reason`` where it is not.
    """
    if reference is None:
        return {"available": False, "reason": "the crowd verdicts on CIFAR-10's test labels are not here"}
    ids = run.ids
    source = _sources(ids)
    flagged = set(run.findings.loc[run.findings["code"] == "LE001", "id"])
    real_test = {i for i, s in zip(ids.tolist(), source.tolist(), strict=True) if s == "REAL" and i.startswith("test/")}
    flagged_real, n_fake = flagged & real_test, int((source == "FAKE").sum())
    judged, wrong = flagged_real & reference["checked"], flagged_real & reference["wrong"]
    if not real_test or not n_fake or not judged:
        return {"available": False, "reason": "the run audits no judged REAL test image, or no FAKE image"}
    n_flagged = sum(s == "FAKE" for i, s in zip(ids.tolist(), source.tolist(), strict=True) if i in flagged)
    low, high = clopper_pearson(len(wrong), len(flagged_real)), clopper_pearson(len(wrong), len(judged))
    share = n_flagged / n_fake
    return {
        "available": True,
        "flagged_fake": n_flagged,
        "n_fake": n_fake,
        "flagged_share": share,
        "reference": {
            "items": "CIFAR-10 test photographs (REAL test) with published crowd verdicts, 5 workers each",
            "flagged": len(flagged_real),
            "flagged_and_judged": len(judged),
            "flagged_and_judged_wrong": len(wrong),
            "judged_wrong": len(reference["wrong"] & real_test),
            "precision_low": asdict(low),
            "precision_high": asdict(high),
        },
        "low": share * low.low,
        "high": share * high.high,
    }


def by_source(settings: Settings) -> Dataset:
    """``cifake:class`` with all REAL images as its train split and all FAKE images as its test split: to train on
    photographs and audit generated images."""
    dataset = copy.copy(open_dataset("cifake:class", settings))
    dataset.__dict__.pop("fingerprint", None)
    splits = np.array(["train" if "/REAL/" in item else "test" for item in dataset.ids.tolist()])
    dataset.items = replace(dataset.items, splits=splits, index=index_in_split(splits))
    dataset.name = "cifake-class-by-source"
    return dataset
