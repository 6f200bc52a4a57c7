"""Who gets what: streams, overlap, leases, controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
import sqlalchemy as sa

from auditor.core.errors import ConfigError
from auditor.review import schema
from auditor.review.loading import QueuePlan
from auditor.review.readout import ReviewItem
from auditor.review.store import VerdictStore
from tests.review.cases import Clock, make_run, undo, verdict

Make = Callable[..., VerdictStore]


def _work(store: VerdictStore, reviewer: str, rounds: int = 1000, n: int = 10) -> list[ReviewItem]:
    """Judge until nothing comes; returns what was judged, in order."""
    done: list[ReviewItem] = []
    for _ in range(rounds):
        batch = store.next_batch(reviewer, n)
        if not batch:
            return done
        result = store.submit(reviewer, [verdict(item) for item in batch])
        assert len(result.accepted) == len(batch)
        done += batch
    return done


def _streams(store: VerdictStore) -> dict[str, str]:
    votes = store.votes()
    return {votes.item_ids[i]: s for i, s in zip(votes.items, votes.streams, strict=True)}


def test_two_reviewers_share_no_item_without_overlap(loaded: Make) -> None:
    store = loaded()
    hands = {who: {i.item_id for i in store.next_batch(who, 20)} for who in ("ann", "bob", "eve")}
    assert all(len(hand) == 20 for hand in hands.values())
    assert len(set.union(*hands.values())) == 60


def test_everything_in_the_streams_is_judged_once(loaded: Make) -> None:
    store = loaded()
    done = _work(store, "ann")
    ids = [item.item_id for item in done]
    drawn = set(store.audit_stream().item_ids)
    flagged = {item.item_id for item in store.page(limit=61).items}
    assert len(ids) == len(set(ids))
    assert set(ids) == drawn | flagged
    assert drawn & flagged  # an item of both streams was shown once
    assert drawn - flagged  # unflagged items are in the audit
    progress = store.progress()
    assert (progress.ranked_done, progress.audit_done) == (61, 40)


def test_asking_again_gives_the_same_items(loaded: Make) -> None:
    store = loaded()
    first = store.next_batch("ann", 10)
    assert store.next_batch("ann", 10) == first
    more = store.next_batch("ann", 15)
    assert more[:10] == first
    store.submit("ann", [verdict(item) for item in first[:4]])
    assert store.next_batch("ann", 10)[:6] == first[4:]


def test_streams_are_mixed_in_the_stated_share_and_not_shown(loaded: Make) -> None:
    store = loaded(n=3000, flagged=1000, audit_size=900, audit_share=0.3)
    batch = store.next_batch("ann", 400)
    assert "stream" not in {f.name for f in fields(ReviewItem)}
    store.submit("ann", [verdict(item) for item in batch])
    streams = _streams(store)
    kinds = [streams[item.item_id] for item in batch]
    share = kinds.count("audit") / len(kinds)
    assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 400)
    # Interleaved, not one block after the other.
    assert max(len(run) for run in "".join(k[0] for k in kinds).split("a")) < 40
    ranked = [item.place for item, kind in zip(batch, kinds, strict=True) if kind == "ranked"]
    assert ranked == sorted(ranked)


def test_audit_events_carry_the_inclusion_probability(loaded: Make) -> None:
    store = loaded(audit_share=1.0)
    item = store.next_batch("ann", 1)[0]
    store.submit("ann", [verdict(item, stream="ranked", inclusion=1e-9)])  # what the client says of it is ignored
    state, sample = store.state(item.item_id), store.audit_stream()
    assert state is not None
    assert state.events[0]["stream"] == "audit"
    assert state.events[0]["inclusion"] == pytest.approx(sample.probability[0] * len(sample.item_ids))
    assert sample.item_ids[0] == item.item_id
    assert sample.frame_items == 200  # the undecodable item is not in the frame


def test_claims_run_out_and_come_back_to_others(loaded: Make, clock: Clock) -> None:
    store = loaded(audit_share=0.0, lease_seconds=60.0)
    ann = store.next_batch("ann", 5)
    store.submit("ann", [verdict(ann[0])])
    bob = store.next_batch("bob", 5)
    assert not {i.item_id for i in ann} & {i.item_id for i in bob}
    clock.now += 61
    store.submit("bob", [verdict(item) for item in bob])  # late, and nobody else had them: kept
    assert store.next_batch("bob", 4) == ann[1:]  # the first open places of the list
    # Ann was away; her late verdict is still not lost.
    assert store.submit("ann", [verdict(ann[1])]).accepted
    assert {i.item_id for i in store.next_batch("ann", 5)}.isdisjoint({i.item_id for i in ann[1:]})
    assert store.progress().verdicts == 7


def test_asking_renews_the_lease(loaded: Make, clock: Clock) -> None:
    store = loaded(lease_seconds=60.0)
    hand = store.next_batch("ann", 5)
    for _ in range(5):
        clock.now += 40
        assert store.next_batch("ann", 5) == hand
        assert not {i.item_id for i in store.next_batch("bob", 5)} & {i.item_id for i in hand}


def test_a_released_hand_goes_to_others(loaded: Make) -> None:
    store = loaded(audit_share=0.0)
    hand = store.next_batch("ann", 5)
    assert store.release("ann") == 5
    assert store.next_batch("bob", 5) == hand


def test_audit_draws_that_came_back_without_a_verdict_go_first(loaded: Make, clock: Clock) -> None:
    store = loaded(audit_share=0.3, lease_seconds=60.0)
    store.next_batch("visitor", 20)
    a, q, items = schema.assignments.c, schema.queue.c, schema.items.c
    query = sa.select(items.item_id).join(schema.queue, q.item == items.item).join(schema.assignments, a.item == q.item)
    drawn = query.where(a.stream == "audit").order_by(q.audit)
    stalled = store.database.read(lambda c: list(c.scalars(drawn)))
    assert len(stalled) > 2
    store.submit("ann", [verdict(i) for i in store.next_batch("ann", 20)])
    clock.now += 61
    hand = [i.item_id for i in store.next_batch("bob", 10)]
    assert hand[: len(stalled)] == stalled[:10]
    assert len(set(hand)) == 10
    for who in ("visitor", "ann"):  # the visitor comes back; nobody else gets what bob holds
        assert not set(hand) & {i.item_id for i in store.next_batch(who, 10)}
    store.release("bob")
    assert {i.item_id for i in store.next_batch("eve", 10)} >= set(stalled[:10])
    assert store.verify(None) == []


def test_a_hand_is_renewed_without_asking_for_more(loaded: Make, clock: Clock) -> None:
    store = loaded(lease_seconds=1800.0)
    hand = store.next_batch("Ann", 5, lease=60.0)
    for _ in range(4):
        clock.now += 40
        store.renew("ann", 60.0)
    assert not {i.item_id for i in store.next_batch("bob", 5)} & {i.item_id for i in hand}
    clock.now += 61
    assert {i.item_id for i in store.next_batch("eve", 10)} >= {i.item_id for i in hand}


def test_it_is_told_who_holds_what(loaded: Make, clock: Clock) -> None:
    store = loaded(audit_share=0.5)
    assert store.hands() == []
    store.next_batch("ann", 8, lease=60.0)
    clock.now += 10
    batch = store.next_batch("bob", 12, lease=90.0)
    drawn = set(store.audit_stream().item_ids)
    ours = [(hand.reviewer, hand.items, hand.seconds) for hand in store.hands()]
    assert ours == [("bob", 12, 90.0), ("ann", 8, 50.0)]
    assert store.hands()[0].audit == sum(item.item_id in drawn for item in batch) > 0
    clock.now += 51
    store.submit("bob", [verdict(item) for item in batch[:2]])
    assert [(hand.reviewer, hand.items) for hand in store.hands()] == [("bob", 10)]
    store.release("BOB")
    assert store.hands() == []


def test_overlap_items_get_two_reviewers_and_no_more(loaded: Make) -> None:
    store = loaded(n=600, flagged=300, audit_size=100, overlap=0.2)
    for who in ("ann", "bob", "eve"):
        _work(store, who, rounds=8)
    for who in ("ann", "bob", "eve"):
        _work(store, who)
    per_item = Counter(store.votes().items.tolist()).values()
    assert set(per_item) == {1, 2}
    share = sum(n == 2 for n in per_item) / len(per_item)
    assert 0.1 < share < 0.3


def test_several_reviewers_per_item(loaded: Make) -> None:
    store = loaded(reviewers_per_item=3)
    for who in ("ann", "bob", "eve", "kim"):
        _work(store, who)
    assert set(Counter(store.votes().items.tolist()).values()) == {3}


def test_a_single_reviewer_passes_overlap_items_quickly(loaded: Make) -> None:
    store = loaded(overlap=1.0, audit_share=0.0)
    assert len(_work(store, "ann")) == 61 + len(set(store.audit_stream().item_ids) - _flagged(store))
    assert len(_work(store, "bob")) == store.progress().judged


def _flagged(store: VerdictStore) -> set[str]:
    return {item.item_id for item in store.page(limit=61).items}


def test_verdicts_from_outside_the_queue_close_items(loaded: Make) -> None:
    store = loaded(audit_share=0.0)
    first = store.page(limit=5).items
    events = [verdict(item) for item in first]
    store.submit("ann", events)
    assert store.next_batch("bob", 1)[0].item_id == store.page(limit=6).items[5].item_id
    store.submit("ann", [undo(events[2])])
    assert [i.item_id for i in store.next_batch("eve", 1)] == [first[2].item_id]
    assert _streams(store)[first[0].item_id] == "direct"


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_planted_controls(loaded: Make, share: float) -> None:
    known = dict.fromkeys(make_run(400, 100).scores["id"][-6:], "given")
    store = loaded(n=400, flagged=100, audit_size=10, controls=known, control_share=share)
    for who in ("ann", "bob"):
        seen = [item.item_id for item in _work(store, who, rounds=5)]
        assert len(seen) == 50
        assert len(set(seen) & set(known)) == (6 if share else 0)
    streams = Counter(store.votes().streams.tolist())
    assert (streams["control"] > 0) == (share > 0)
    assert store.controls() == known


def test_ask_again_wants_another_reviewer(loaded: Make) -> None:
    store = loaded(audit_share=0.0, audit_size=0)
    done = _work(store, "ann")
    assert store.next_batch("bob", 5) == []
    unflagged = store.page(limit=100).items[-1]
    assert store.ask_again([done[3].item_id, unflagged.item_id, "unknown"]) == 2
    assert [i.item_id for i in store.next_batch("bob", 5)] == [done[3].item_id, unflagged.item_id]
    assert [i.item_id for i in store.next_batch("ann", 5)] == [unflagged.item_id]


def test_an_empty_queue_gives_nothing(loaded: Make) -> None:
    store = loaded(n=50, flagged=0, audit_size=0)
    assert [i.item_id for i in store.next_batch("ann", 10)] == ["sha256:broken"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"overlap": 1.5},
        {"audit_share": 0.9, "control_share": 0.2},
        {"reviewers_per_item": 0},
        {"lease_seconds": 0},
        {"audit_size": -1},
    ],
)
def test_plans_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        QueuePlan(**wrong)  # type: ignore[arg-type]
