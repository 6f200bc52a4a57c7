"""The order learned from verdicts: used where it is better, and no estimate suffers from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import auditor
from auditor.audit.evidence import run_evidence
from auditor.detect.base import Evidence
from auditor.estimation.adaptive import FEWEST, is_due, learned_order, update_order
from auditor.estimation.estimate import estimate
from auditor.estimation.state import draw_stream, read_state
from auditor.review.loading import QueuePlan
from auditor.review.store import VerdictStore
from tests.estimation.conftest import Case, Opened, event, perfect, review


def make_uneven(folder: Path, n: int = 1500, seed: int = 0) -> Case:
    """Two classes are confused by the model, two by the people who labelled: only verdicts can tell which.

    Class 0 looks like class 1 to the model, and its labels are right. Labels of class 2 are often really 3.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, n)
    wrong = (truth == 3) & (rng.random(n) < 0.35)
    labels = np.where(wrong, 2, truth)
    logits = rng.normal(0, 1.0, (n, 4))
    logits[np.arange(n), truth] += 3
    unclear = (truth == 0) & (rng.random(n) < 0.5)
    logits[unclear, 1] += 5.5
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = [f"class {k}" for k in range(4)]
    run = auditor.find_errors(pred_probs=p, labels=labels, class_names=names, out=folder)
    row = run.scores["row"].to_numpy()
    suggested = np.array([names.index(s) for s in run.scores["suggested"]])
    return Case(run, wrong[row], suggested == truth[row])


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_uneven(tmp_path_factory.mktemp("uneven") / "run")


def _follow(store: VerdictStore, case: Case, evidence: Evidence, verdicts: int, adaptive: bool, step: int = 50) -> int:
    """Review `verdicts` items, learning the order after every `step`; returns how many wrong labels were found."""
    done = 0
    while done < verdicts and (new := review(store, case, "ann", perfect, min(step, verdicts - done))):
        done += new
        if adaptive and is_due(store, step):
            update_order(case.run, store, evidence)
    return int(read_state(case.run, store).wrong("strict").sum())


def test_a_better_order_finds_more_errors_with_the_same_verdicts(uneven: Case, opened: Opened) -> None:
    evidence = run_evidence(uneven.run)
    found = {}
    for adaptive in (False, True):
        store = opened(uneven, 150, audit_share=0.25)
        found[adaptive] = _follow(store, uneven, evidence, 250, adaptive)
    assert found[True] > found[False] + 10
    last = store.reordering()[0]
    assert last is not None
    assert "learned from" in last.reason


def test_few_verdicts_change_nothing(uneven: Case, opened: Opened) -> None:
    store = opened(uneven, 100)
    assert not is_due(store)
    before = store.next_ranked(10_000)
    review(store, uneven, "ann", perfect, FEWEST - 20)
    assert is_due(store, 50)
    done = update_order(uneven.run, store, run_evidence(uneven.run))
    assert done.moved == 0
    assert "too few" in done.reason
    assert not is_due(store, 50)
    assert [i for i in before if i in set(store.next_ranked(10_000))] == store.next_ranked(10_000)


def test_verdicts_that_are_noise_keep_the_order_of_the_run(uneven: Case) -> None:
    evidence = run_evidence(uneven.run)
    base = uneven.run.scores.set_index("id")["score"].reindex(evidence.ids.astype(str)).to_numpy()
    kept = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        positions = rng.choice(len(evidence), 200, replace=False)
        score, reason = learned_order(evidence, base, positions, rng.random(200) < 0.2)
        kept += score is None
        assert score is None or "learned" in reason
    assert kept >= 8


def test_the_order_is_learned_from_what_people_agree_on(uneven: Case, opened: Opened) -> None:
    """Broken items and open disagreements are left out; an item judged twice counts once."""
    store = opened(uneven, 50)
    rows = uneven.run.scores.iloc[:300]
    for who, word in (("ann", "given"), ("bob", "bad_item")):
        store.submit(who, [event(r.id, r.given, r.suggested, word) for r in rows.itertuples()])
    done = update_order(uneven.run, store, run_evidence(uneven.run))
    assert "given" not in done.reason
    assert done.moved == 0


def _coverage(tmp_path: Path, replays: int, verdicts: int, n: int) -> tuple[float, float, int]:
    """Coverage of the total, its relative bias, and in how many replays an order was learned."""
    inside, values, learned, truths = 0, [], 0, []
    for seed in range(replays):
        case = make_uneven(tmp_path / f"run-{seed}", n, seed)
        evidence = run_evidence(case.run)
        with VerdictStore.open(tmp_path / f"{seed}.sqlite") as store:
            store.load_run(case.run, QueuePlan(overlap=0.0, audit_share=0.4, control_share=0.0, audit_size=10))
            draw_stream(case.run, store, 200, seed, anew=False)
            _follow(store, case, evidence, verdicts, adaptive=True)
            last = store.reordering()[0]
            learned += last is not None and "learned" in last.reason
            total = estimate(read_state(case.run, store), seed).strict
        assert total is not None
        truth, e = int(case.wrong.sum()), total.total.estimate
        inside += e.low <= truth <= e.high
        values.append(e.value)
        truths.append(truth)
    return inside / replays, float(np.mean(values) / np.mean(truths) - 1), learned


Covered = Callable[[Path, int, int, int], tuple[float, float, int]]


@pytest.mark.parametrize(
    ("replays", "verdicts", "n"), [(6, 250, 800), pytest.param(300, 300, 1500, marks=pytest.mark.slow)]
)
def test_estimates_stay_valid_while_the_order_learns(tmp_path: Path, replays: int, verdicts: int, n: int) -> None:
    coverage, bias, learned = _coverage(tmp_path, replays, verdicts, n)
    assert learned > 0.5 * replays
    assert coverage >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / replays)
    assert abs(bias) < 0.02 + 0.3 / math.sqrt(replays)
