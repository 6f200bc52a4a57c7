"""Parts of the flagged list: what comes from them, who they belong to, and that the audit sample does not notice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sqlalchemy as sa

from auditor.core.errors import DataError
from auditor.review import schema
from auditor.review.parts import Pair
from auditor.review.readout import PageFilter, ReviewItem
from auditor.review.store import VerdictStore
from tests.review.cases import Clock, verdict

Make = Callable[..., VerdictStore]


def _flagged(store: VerdictStore, given: str | None, suggested: str | None) -> list[str]:
    """Flagged items of a pair that are no draws, in the order of the list."""
    drawn = set(store.audit_stream().item_ids)
    page = store.page(PageFilter(given=given, suggested=suggested, flagged=True), limit=1000)
    return [item.item_id for item in page.items if item.item_id not in drawn]


def _work(store: VerdictStore, reviewer: str, part: list[Pair] | None, n: int = 7) -> list[ReviewItem]:
    done: list[ReviewItem] = []
    while batch := store.next_batch(reviewer, n, part=part):
        assert len(store.submit(reviewer, [verdict(item) for item in batch]).accepted) == len(batch)
        done += batch
    return done


@pytest.mark.parametrize("pair", [("cat", "dog"), ("cat", None), (None, "ship")])
def test_a_part_is_the_flagged_items_of_its_classes(loaded: Make, pair: Pair) -> None:
    store = loaded(n=300, flagged=150, audit_size=60)
    expected = _flagged(store, *pair)
    assert len(expected) > 10
    assert store.waiting([pair]) == len(expected)
    assert [item.item_id for item in _work(store, "ann", [pair])] == expected
    assert set(store.votes().streams) == {"ranked"}
    assert store.waiting([pair]) == 0


def test_several_pairs_come_in_the_order_of_the_list(loaded: Make) -> None:
    store = loaded(n=300, flagged=150, audit_size=60)
    part: list[Pair] = [("ship", "cat"), ("cat", "dog")]
    ids = [item.item_id for item in _work(store, "ann", part)]
    assert set(ids) == {*_flagged(store, *part[0]), *_flagged(store, *part[1])}
    assert [p.place for p in store.page(limit=1000).items if p.item_id in set(ids)] == sorted(
        item.place for item in store.page(limit=1000).items if item.item_id in set(ids)
    )


def test_the_audit_sample_does_not_notice_a_part(loaded: Make) -> None:
    """Neither its draws, nor their probabilities and order, nor what of it is handed out changes."""
    store = loaded(n=400, flagged=200, audit_size=80)
    before = store.audit_stream()
    _work(store, "ann", [("cat", None), ("dog", None)])
    after = store.audit_stream()
    assert after.item_ids.tolist() == before.item_ids.tolist()
    assert np.array_equal(after.probability, before.probability)
    assert store.progress().audit_done == 0
    drawn, people = set(before.item_ids), schema.reviewers.c
    cursors = sa.select(people.ranked_cursor, people.audit_cursor).where(people.reviewer == "ann")
    assert store.database.read(lambda c: c.execute(cursors).one()) == (0, 0)
    assert drawn <= {i.item_id for i in _work(store, "bob", None)}
    assert store.verify(None) == []


def test_a_hand_of_a_part_holds_nothing_else(loaded: Make, clock: Clock) -> None:
    store = loaded(n=300, flagged=150, audit_size=60)
    common = {i.item_id for i in store.next_batch("ann", 10)}
    part: list[Pair] = [("cat", "dog")]
    hand = store.next_batch("ann", 5, part=part)
    assert {(i.given, i.suggested) for i in hand} == {("cat", "dog")}
    assert store.next_batch("ann", 5, part=part) == hand
    assert not {i.item_id for i in store.next_batch("bob", 40)} & ({i.item_id for i in hand} | common)
    clock.now += 10_000
    assert {i.item_id for i in store.next_batch("eve", 400)} >= {i.item_id for i in hand}


def test_what_is_assigned_comes_to_that_reviewer_alone(loaded: Make) -> None:
    store = loaded(n=300, flagged=150, audit_size=60)
    pair: Pair = ("cat", "dog")
    theirs = set(_flagged(store, *pair))
    store.next_batch("bob", 30)  # the cursor of bob passes items that are nobody's yet
    store.release("bob")
    store.assign("Ann", pair)
    assert store.assigned() == {"Ann": [pair]}
    assert not {i.item_id for i in store.next_batch("bob", 40)} & theirs
    assert store.next_batch("eve", 10, part=[pair]) == []
    store.release("bob")
    mine = store.next_batch("ann", 4, part=store.assigned()["Ann"])
    assert {i.item_id for i in mine} <= theirs
    store.assign("Bob", pair)  # from now on another one's
    assert store.assigned() == {"bob": [pair]}
    store.release("ann")
    assert not {i.item_id for i in store.next_batch("ann", 200)} & theirs
    store.release("ann")
    store.assign(None, pair)
    assert store.assigned() == {}
    assert {i.item_id for i in _work(store, "bob", None)} >= theirs
    assert store.verify(None) == []


def test_draws_with_assigned_classes_still_come_to_everybody(loaded: Make) -> None:
    store = loaded(n=300, flagged=150, audit_size=60)
    for pair in (("cat", None), ("dog", None), ("ship", None)):
        store.assign("ann", pair)
    drawn = set(store.audit_stream().item_ids)
    assert {i.item_id for i in _work(store, "bob", None)} == drawn


@pytest.mark.parametrize("pair", [(None, None), ("cat", "lynx"), ("lynx", None)])
def test_a_part_needs_classes_of_the_run(loaded: Make, pair: Pair) -> None:
    store = loaded()
    with pytest.raises(DataError):
        store.next_batch("ann", 5, part=[pair])
    with pytest.raises(DataError):
        store.assign("ann", pair)
    assert store.assigned() == {}
