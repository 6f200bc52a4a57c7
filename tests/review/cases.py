"""Small runs and events for the tests of the review room."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auditor.core.hashing import hash_json
from auditor.review.readout import ReviewItem

CLASSES = ("cat", "dog", "ship")


@dataclass(frozen=True)
class TableRun:
    """The tables of a run, without a folder."""

    id: str
    audited_content: str
    class_names: tuple[str, ...]
    items: pd.DataFrame
    scores: pd.DataFrame
    findings: pd.DataFrame


def make_run(
    n: int = 200, flagged: int = 60, classes: tuple[str, ...] = CLASSES, seed: int = 0, name: str = "run"
) -> TableRun:
    """A run of `n` audited items, the `flagged` most suspicious of them findings, and one undecodable item."""
    rng = np.random.default_rng(seed)
    names = np.array(classes, dtype=object)
    given = rng.integers(0, len(classes), n)
    suggested = (given + rng.integers(1, len(classes), n)) % len(classes)
    ids = np.array([f"sha256:{i:08x}" for i in rng.permutation(n)], dtype=object)
    scores = pd.DataFrame(
        {
            "rank": np.arange(1, n + 1),
            "id": ids,
            "index": rng.permutation(n),
            "split": "test",
            "row": np.arange(n),
            "given": names[given],
            "suggested": names[suggested],
            "p_given": 0.1,
            "p_suggested": 0.8,
            "score": np.linspace(5, -5, n),
            "flagged": np.arange(n) < flagged,
        }
    )
    findings = scores[:flagged].drop(columns=["row", "flagged"]).copy()
    findings["code"], findings["message"] = "LE001", "looks like another class"
    broken = {
        "rank": flagged + 1,
        "id": "sha256:broken",
        "index": n,
        "split": "test",
        "given": classes[0],
        "suggested": None,
        "p_given": np.nan,
        "p_suggested": np.nan,
        "score": np.nan,
        "code": "DQ001",
        "message": "cannot be decoded",
    }
    findings = pd.concat([findings, pd.DataFrame([broken])], ignore_index=True)
    everyone = pd.DataFrame({"id": [*ids, "sha256:broken"], "content_hash": [*ids, "sha256:broken"]})
    content = hash_json([classes, *findings["given"], *scores[["id", "given"]].to_numpy().ravel()])
    return TableRun(name, content, classes, everyone, scores, findings)


def verdict(item: ReviewItem, what: str = "given", **changes: Any) -> dict[str, Any]:
    """An event as a browser sends it."""
    event = {
        "uuid": str(uuid.uuid4()),
        "item_id": item.item_id,
        "verdict": what,
        "shown_label": item.given,
        "shown_suggested": item.suggested,
        "ms": 800,
        "client_time": 1_700_000_000.5,
    }
    return event | changes


def undo(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The event that takes `event` back."""
    return {"uuid": str(uuid.uuid4()), "kind": "retract", "target": event["uuid"]} | changes


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now
