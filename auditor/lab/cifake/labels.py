"""The labels of CIFAKE both ways: REAL or FAKE, and the ten classes of generated images."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.core.config import Settings
from auditor.data.base import Dataset
from auditor.data.folder import index_in_split
from auditor.data.open import open_dataset
from auditor.engine.api import analyze
from auditor.review.published import read_published
from auditor.runs.run import Run
from auditor.stats.intervals import clopper_pearson, wilson

#: Below a data folder.
CROWD = ("label_errors", "cifar10", "mturk.json")


def _items(run: Run) -> pd.DataFrame:
    """``id, source`` (FAKE or REAL) and ``label`` of every item, if it is ``flagged``, and if the model ``agrees``."""
    ids, suspects = pd.Series(run.ids), run.findings.loc[run.findings["code"] == "LE001", "id"]
    agrees = np.asarray(run.pred_probs).argmax(axis=1) == run.labels
    columns = {"label": run.labels, "flagged": ids.isin(suspects), "agrees": agrees}
    return pd.DataFrame({"id": ids, "source": ids.str.split("/").str[1], **columns})


def audit_by_source(run: Run) -> list[dict[str, Any]]:
    """What one run says of each source: flags, agreement with the given label, and the confident joint's estimate.

    The interval of a share is Wilson's over items: it says how well this run's share is known, nothing about how many
    of the flags are right.
    """
    items, rows = _items(run), []
    for source in ("REAL", "FAKE"):
        own = items[items["source"] == source]
        if own.empty:
            continue
        n, flagged = len(own), int(own["flagged"].sum())
        by_class = [
            {"class": name, "n": len(of), "flagged": int(of["flagged"].sum()), "agreement": float(of["agrees"].mean())}
            for k, name in enumerate(run.class_names)
            if not (of := own[own["label"] == k]).empty
        ]
        row = {
            "source": source,
            "n": n,
            "flagged": flagged,
            "flagged_share": asdict(wilson(flagged, n)),
            "agreement": asdict(wilson(int(own["agrees"].sum()), n)),
            "by_class": by_class,
        }
        if len(by_class) > 1:
            probabilities = np.ascontiguousarray(np.asarray(run.pred_probs)[own.index])
            joint = analyze(probabilities, own["label"].to_numpy()).calibrated_joint
            row["confident_joint_errors"] = int(joint.sum() - np.trace(joint))
        rows.append(row)
    return rows


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
    verdicts = next((read_published(path) for d in settings.data_dirs if (path := Path(d, *CROWD)).is_file()), None)
    if verdicts is None:
        return None
    names = twin_names(open_dataset("cifar10?split=test", settings).labels)
    return {
        "checked": {names[int(item.id)] for item in verdicts},
        "wrong": {names[int(item.id)] for item in verdicts if item.votes["given"] < 3},
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
    items = _items(run)
    photographs = items[(items["source"] == "REAL") & items["id"].str.startswith("test/")]
    flagged_real, generated = set(photographs.loc[photographs["flagged"], "id"]), items["source"] == "FAKE"
    judged, wrong = flagged_real & reference["checked"], flagged_real & reference["wrong"]
    if photographs.empty or not generated.any() or not judged:
        return {"available": False, "reason": "the run audits no judged REAL test image, or no FAKE image"}
    n_fake, n_flagged = int(generated.sum()), int((generated & items["flagged"]).sum())
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
            "judged_wrong": len(reference["wrong"] & set(photographs["id"])),
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
