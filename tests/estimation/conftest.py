"""Runs with known truth, reviewed through the real store."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

import auditor
from auditor.estimation.state import draw_stream
from auditor.review.loading import QueuePlan
from auditor.review.store import VerdictStore
from auditor.runs.run import Run

#: (verdict of a reviewer, given the position in run.scores, whether the label is wrong, a suggestion that is right)
Reviewer = Callable[[int, bool, bool], str]


def perfect(_: int, wrong: bool, suggestion_right: bool) -> str:
    return "given" if not wrong else "suggested" if suggestion_right else "neither"


@dataclass(frozen=True)
class Case:
    """A run, and which of its labels are wrong in the order of ``run.scores``."""

    run: Run
    wrong: np.ndarray
    suggestion_right: np.ndarray


def make_case(folder: Path, n: int = 3000, rate: float = 0.08, seed: int = 0, classes: int = 4) -> Case:
    """Class-conditional noise and a good model's probabilities, through `find_errors`."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    noise = rng.random(n) < rate
    labels = np.where(noise, (truth + 1) % classes, truth)
    logits = rng.normal(0, 1.2, (n, classes))
    logits[np.arange(n), truth] += 4
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = [f"class {k}" for k in range(classes)]
    run = auditor.find_errors(pred_probs=p, labels=labels, class_names=names, out=folder)
    scores = run.scores
    row = scores["row"].to_numpy()
    suggested = np.array([names.index(s) for s in scores["suggested"]])
    return Case(run, noise[row], suggested == truth[row])


def review(store: VerdictStore, case: Case, who: str, say: Reviewer, items: int) -> int:
    """Let a reviewer judge up to `items` items of the queue; returns how many."""
    place = {item: k for k, item in enumerate(case.run.scores["id"])}
    done = 0
    while done < items and (batch := store.next_batch(who, min(200, items - done))):
        events = []
        for item in batch:
            k = place[item.item_id]
            verdict = say(k, bool(case.wrong[k]), bool(case.suggestion_right[k]))
            events.append(event(item.item_id, item.given, item.suggested, verdict))
        result = store.submit(who, events)
        assert not result.refused, result.refused
        done += len(events)
    return done


def event(item_id: str, given: str, suggested: str | None, verdict: str) -> dict[str, object]:
    return {
        "uuid": str(uuid.uuid4()),
        "item_id": item_id,
        "verdict": verdict,
        "shown_label": given,
        "shown_suggested": suggested,
        "ms": 700,
        "client_time": 1_700_000_000.0,
    }


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("numbers") / "run")


Opened = Callable[..., VerdictStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Makes a store of a case with an importance stream of `draws`; audit items only unless `ranked`."""
    stores: list[VerdictStore] = []

    def make(
        case: Case,
        draws: int | None = 300,
        audit_share: float = 1.0,
        overlap: float = 0.0,
        controls: dict[str, str] | None = None,
        seed: int = 0,
    ) -> VerdictStore:
        store = VerdictStore.open(tmp_path / f"{len(stores)}.sqlite")
        stores.append(store)
        plan = QueuePlan(overlap=overlap, audit_share=audit_share, control_share=0.0, audit_size=300)
        store.load_run(case.run, plan, controls)
        if draws is not None:
            draw_stream(case.run, store, draws, seed, anew=False)
        return store

    yield make
    for store in stores:
        store.close()
