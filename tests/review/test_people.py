"""One person under every spelling of the name: for new verdicts, and in stores that hold several spellings."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from auditor.review import events, people, queue
from auditor.review.agreement import reviewer_reports
from auditor.review.carry_over import carry_over
from auditor.review.loading import QueuePlan
from auditor.review.people import person_key
from auditor.review.readout import PageFilter
from auditor.review.store import VerdictStore
from tests.review.cases import Clock, make_run, undo, verdict
from tests.review.test_migrations import make_old

Make = Callable[..., VerdictStore]

SPELLINGS = ("Ann Lee", "ann lee", " ANN  LEE ", "ａｎｎ lee")


def test_spellings_of_one_name_have_one_key() -> None:
    assert {person_key(name) for name in SPELLINGS} == {"ann lee"}
    assert person_key("STRASSE") == person_key("straße")
    assert len({person_key(name) for name in ("ann", "anna", "ann.", "än", "ﬁ ann")}) == 5


def test_a_person_is_shown_under_the_first_spelling_and_does_not_agree_with_herself(loaded: Make) -> None:
    store = loaded(overlap=1.0, audit_share=0.0)
    item = store.next_batch(SPELLINGS[0], 1)[0]
    first = verdict(item, "given")
    assert store.submit(SPELLINGS[1], [first]).accepted
    assert store.submit(SPELLINGS[2], [first]).repeated == (first["uuid"],)
    assert store.submit(SPELLINGS[3], [verdict(item, "suggested")]).accepted
    assert store.progress().by_reviewer == {"Ann Lee": 1}
    assert store.progress().judged_twice == store.progress().disagreements == 0
    assert store.votes().reviewer_names == ("Ann Lee",)
    # The item wants a second reviewer, who is not the same one under another spelling.
    for name in SPELLINGS:
        assert item.item_id not in {i.item_id for i in store.next_batch(name, 5)}
    assert item.item_id in {i.item_id for i in store.next_batch("bob", 5)}
    assert [store.known_as(name) for name in (*SPELLINGS, "Bob", "new ")] == ["Ann Lee"] * 4 + ["bob", "new"]
    assert store.release("ANN LEE") == 5
    assert store.verify(None) == []


def test_who_gave_a_verdict_takes_it_back_under_any_spelling(loaded: Make) -> None:
    store = loaded()
    first = verdict(store.next_batch("Ann", 1)[0])
    store.submit("Ann", [first])
    assert store.submit("ann", [undo(first)]).accepted
    assert store.progress().verdicts == 0


@pytest.fixture
def old(where: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> VerdictStore:
    """A store from when ``Ann`` and ``ann`` were two people: both judged three items, differing on one of them."""
    with monkeypatch.context() as patch:
        for module in (people, events, queue):
            patch.setattr(module, "person_key", str, raising=False)
        with VerdictStore.open(where, clock=clock) as store:
            store.load_run(make_run(), QueuePlan(overlap=1.0, audit_size=0, control_share=0.0))
            items = store.next_batch("ann", 3)
            assert store.next_batch("Ann", 4)[:3] == items
            store.submit("ann", [verdict(item, "given") for item in items])
            store.submit("Ann", [verdict(items[0]), verdict(items[1]), verdict(items[2], "both")])
            store.submit("Ann", [verdict(store.next_batch("Ann", 1)[0], "neither")])
            store.submit("bob", [verdict(items[0], "given")])
            assert store.progress().by_reviewer == {"ann": 3, "Ann": 4, "bob": 1}
    make_old(where, "0004")
    return VerdictStore.open(where, clock=clock)


def test_two_spellings_in_an_old_store_become_one_person(old: VerdictStore) -> None:
    with old as store:
        assert store.progress().by_reviewer == {"Ann": 4, "bob": 1}
        assert (store.progress().judged, store.progress().judged_twice, store.progress().disagreements) == (4, 1, 0)
        assert [store.known_as(name) for name in ("ann", "ANN", "bob")] == ["Ann", "Ann", "bob"]
        assert {r.reviewer: r.agreement.n for r in reviewer_reports(store.votes())} == {"Ann": 1, "bob": 1}
        first, second, third, fourth = store.page(PageFilter(reviewer="Ann")).items
        assert [i.verdicts for i in (first, second, third, fourth)] == [
            {"Ann": "given", "bob": "given"},
            {"Ann": "given"},
            {"Ann": "both"},
            {"Ann": "neither"},
        ]
        # All events are still there, as they were said.
        said = store.state(second.item_id)
        assert said is not None
        assert [e["reviewer"] for e in said.events] == ["ann", "Ann"]
        # Two reviewers are wanted, and there was one: bob gets what she judged, she herself does not.
        assert store.verify(make_run()) == []
        assert {i.place for i in store.next_batch("bob", 3)} == {second.place, third.place, fourth.place}
        assert not {i.place for i in store.next_batch("ann", 20)} & {i.place for i in (first, second, third, fourth)}
        assert store.submit("ann", [undo({"uuid": said.events[0]["event_uuid"]})]).accepted
        assert store.verify(make_run()) == []


def test_an_old_store_is_carried_over_as_one_person(old: VerdictStore, tmp_path: object) -> None:
    with old as source, VerdictStore.open(f"{tmp_path}/new.sqlite") as target:
        target.load_run(make_run())
        assert carry_over(source, target).accepted == 5
        assert target.progress().by_reviewer == {"Ann": 4, "bob": 1}


def test_a_name_that_stands_for_another_person_is_a_fault(loaded: Make) -> None:
    store = loaded()
    for name in ("ann", "bob"):
        store.submit(name, [verdict(item) for item in store.next_batch(name, 2)])
    store.database.write(lambda c: c.execute(sa.text("UPDATE reviewers SET person = 'ann' WHERE reviewer = 'bob'")))
    assert "the reviewer 'bob' is taken for another person" in store.verify(None)
