"""Another order of the ranked stream: leases, verdicts and the audit stream stay as they are."""

from __future__ import annotations

from collections.abc import Callable

from auditor.review.readout import ReviewItem
from auditor.review.store import VerdictStore
from tests.review.cases import Clock, verdict

Make = Callable[..., VerdictStore]


def _flagged(store: VerdictStore) -> list[str]:
    return [item.item_id for item in store.page(limit=61).items]


def _ids(items: list[ReviewItem]) -> list[str]:
    return [item.item_id for item in items]


def test_waiting_items_follow_the_new_order(loaded: Make) -> None:
    store = loaded(audit_share=0.0)
    flagged = _flagged(store)
    assert store.reordering() == (None, 0)
    done = store.reorder(flagged[::-1], 0, "backwards")
    assert done.moved == 60  # 61 findings; the one in the middle stays
    assert store.reordering()[0] == done
    assert _ids(store.next_batch("ann", 10)) == flagged[::-1][:10]
    assert store.next_ranked(5) == flagged[::-1][:5]


def test_nothing_in_a_hand_moves_and_nothing_is_lost(loaded: Make) -> None:
    store = loaded(audit_share=0.2)
    ann = store.next_batch("ann", 15)
    store.submit("ann", [verdict(item) for item in ann[:5]])
    before = store.audit_stream().item_ids.tolist()
    store.reorder(_flagged(store)[::-1], 5, "backwards")
    assert store.next_batch("ann", 10) == ann[5:]
    assert store.audit_stream().item_ids.tolist() == before
    seen = _ids(ann[:5])
    while batch := store.next_batch("ann", 20):
        assert len(store.submit("ann", [verdict(item) for item in batch]).accepted) == len(batch)
        seen += _ids(batch)
    assert len(seen) == len(set(seen))
    assert set(seen) == set(_flagged(store)) | set(before)


def test_a_reviewer_whose_cursor_is_past_still_gets_what_moved_forward(loaded: Make) -> None:
    store = loaded(audit_share=0.0, reviewers_per_item=2)
    flagged = _flagged(store)
    ann = store.next_batch("ann", 30)
    store.submit("ann", [verdict(item) for item in ann])
    store.reorder(flagged[::-1], 30, "backwards")
    # What ann has judged is still open to others, in the new order among what waits.
    assert set(_ids(store.next_batch("ann", 31))) == set(flagged) - set(_ids(ann))
    assert _ids(store.next_batch("bob", 3)) == flagged[::-1][:3]


def test_claims_that_ran_out_come_back_at_their_place(loaded: Make, clock: Clock) -> None:
    store = loaded(audit_share=0.0, lease_seconds=60.0)
    ann = store.next_batch("ann", 3)
    store.reorder(_flagged(store)[::-1], 0, "backwards")
    clock.now += 61
    assert _ids(store.next_batch("bob", 3)) == _ids(ann)  # they kept the first places


def test_back_to_the_order_of_the_run(loaded: Make) -> None:
    store = loaded(audit_share=0.0)
    flagged = _flagged(store)
    store.reorder(flagged[::-1], 0, "backwards")
    ann = store.next_batch("ann", 4)
    store.reorder(None, 0, "the run's order")
    rest = [i for i in flagged if i not in set(_ids(ann))]
    assert _ids(store.next_batch("bob", 57)) == rest
    assert store.reorder(None, 0, "again").moved == 0


def test_what_leaves_the_frame_is_told_by_the_order_of_the_run(loaded: Make) -> None:
    store = loaded(audit_share=0.0)
    flagged = _flagged(store)
    store.reorder(flagged[::-1], 0, "backwards")
    store.submit("ann", [verdict(item) for item in store.next_batch("ann", 10)])
    assert len(store.audit_stream().ranked_done) == 0
    by_id = {item.item_id: item for item in store.page(limit=61).items}
    store.submit("bob", [verdict(by_id[i]) for i in flagged[:3]])
    assert store.audit_stream().ranked_done.tolist() == flagged[:3]
    rest = [by_id[i] for i in flagged if i not in set(flagged[:3]) | set(flagged[::-1][:10])]
    store.submit("bob", [verdict(item) for item in rest])
    assert store.audit_stream().ranked_done.tolist() == flagged
