"""The contract of the verdict store, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.core.errors import DataError, ResourceError, RunError, UsageError
from auditor.review.events import MOST_EVENTS
from auditor.review.loading import QueuePlan
from auditor.review.readout import PageFilter
from auditor.review.store import VerdictStore
from tests.review.cases import CLASSES, make_run, undo, verdict

Make = Callable[..., VerdictStore]


def _current(store: VerdictStore, item_id: str) -> dict[str, str]:
    state = store.state(item_id)
    assert state is not None
    return dict(state.item.verdicts)


def test_a_verdict_is_kept_with_all_it_carries(loaded: Make, clock: Any) -> None:
    store = loaded(audit_share=0.0)
    item = store.next_batch("ann", 1)[0]
    event = verdict(item, "suggested", ms=640)
    result = store.submit("ann", [event])
    assert (result.accepted, result.repeated, result.refused) == ((event["uuid"],), (), ())
    state = store.state(item.item_id)
    assert state is not None
    (kept,) = state.events
    expected = {
        "event_uuid": event["uuid"],
        "kind": "verdict",
        "reviewer": "ann",
        "verdict": "suggested",
        "ms": 640,
        "shown_label": item.given,
        "shown_suggested": item.suggested,
        "client_time": 1_700_000_000.5,
        "server_time": clock.now,
        "stream": "ranked",
    }
    assert {k: kept[k] for k in expected} == expected


def test_repeats_are_harmless(loaded: Make) -> None:
    store = loaded()
    events = [verdict(item) for item in store.next_batch("ann", 5)]
    store.submit("ann", events)
    again = store.submit("ann", [*events, *events])
    assert again.accepted == ()
    assert again.refused == ()
    assert len(again.repeated) == 10
    assert store.progress().verdicts == 5
    # The same event twice in one message.
    extra = verdict(store.next_batch("ann", 1)[0])
    assert store.submit("ann", [extra, extra]).repeated == (extra["uuid"],)
    assert store.progress().verdicts == 6


def test_one_reviewer_cannot_flood_an_item(loaded: Make) -> None:
    store = loaded()
    first, second = store.next_batch("ann", 2)
    changes = [verdict(first, "given" if k % 2 else "unsure") for k in range(MOST_EVENTS + 2)]
    head, tail = changes[: MOST_EVENTS - 1], changes[MOST_EVENTS - 1 :]
    assert not store.submit("ann", head).refused
    result = store.submit("ann", tail)  # one more fits
    assert result.accepted == (tail[0]["uuid"],)
    assert [uuid for uuid, _ in result.refused] == [event["uuid"] for event in tail[1:]]
    assert {reason for _, reason in result.refused} == {
        f"this reviewer has sent {MOST_EVENTS} verdicts and undos on this item"
    }
    late = undo(tail[0])
    assert store.submit("ann", [late]).refused[0][0] == late["uuid"]
    assert store.submit("ann", tail[:1]).repeated == (tail[0]["uuid"],)
    assert _current(store, first.item_id) == {"ann": tail[0]["verdict"]}
    # Other items, and other people, are not held up.
    assert store.submit("ann", [verdict(second)]).accepted
    assert store.submit("ben", [verdict(first)]).accepted


def test_undo_brings_the_verdict_before_back(loaded: Make) -> None:
    store = loaded()
    item = store.next_batch("ann", 1)[0]
    first, second = verdict(item, "given"), verdict(item, "suggested")
    store.submit("ann", [first])
    store.submit("ann", [second])
    assert _current(store, item.item_id) == {"ann": "suggested"}
    back = undo(second)
    assert store.submit("ann", [back]).accepted == (back["uuid"],)
    assert _current(store, item.item_id) == {"ann": "given"}
    assert store.submit("ann", [back]).repeated == (back["uuid"],)
    store.submit("ann", [undo(first)])
    assert _current(store, item.item_id) == {}
    assert store.next_batch("ann", 1)[0].item_id == item.item_id  # it is in the hand again
    state = store.state(item.item_id)
    assert state is not None
    assert [e["kind"] for e in state.events] == ["verdict", "verdict", "retract", "retract"]


def test_a_verdict_replaces_only_the_one_that_it_knows_of(loaded: Make) -> None:
    store = loaded()
    item, second, third = store.next_batch("ann", 3)
    first = verdict(item, "given", replaces=None)
    assert store.submit("ann", [first]).accepted
    blind = verdict(item, "unsure", replaces=None)  # another tab, which has not seen the first
    result = store.submit("ann", [blind, verdict(second, "given", replaces=None)])
    assert result.conflicts == ((blind["uuid"], first["uuid"], "given"),)
    assert blind["uuid"] not in result.acknowledged
    assert len(result.accepted) == 1
    assert _current(store, item.item_id) == {"ann": "given"}
    assert store.submit("ANN", [blind | {"replaces": first["uuid"]}]).accepted
    assert _current(store, item.item_id) == {"ann": "unsure"}
    late = verdict(item, "both", replaces=first["uuid"])  # knows the first and not what came after it
    assert store.submit("ann", [late]).conflicts == ((late["uuid"], blind["uuid"], "unsure"),)
    # The same verdict is none about which to ask; nor is one on an item whose verdict was taken back meanwhile.
    assert store.submit("ann", [verdict(item, "unsure", replaces=None)]).conflicts == ()
    taken_back = verdict(third, "given", replaces=None)
    again = [taken_back, undo(taken_back), verdict(third, "both", replaces=None)]
    assert len(store.submit("ann", again).accepted) == 3
    # Other people's verdicts are their own.
    assert store.submit("bob", [verdict(item, "neither", replaces=None)]).accepted
    assert store.verify(None) == []


def test_own_verdicts_are_found_by_words_the_latest_first(loaded: Make, clock: Any) -> None:
    store = loaded()
    items = store.page(limit=8).items
    for k, item in enumerate(items):
        clock.now += 1
        store.submit("ann" if k < 6 else "bob", [verdict(item, "given" if k % 2 else "neither")])
    correction = verdict(items[0], "unsure")
    store.submit("Ann", [correction])
    found = store.judged_by("ANN")
    assert [v.item_id for v in found] == [i.item_id for i in (items[0], *items[5:0:-1])]
    assert (found[0].verdict, found[0].given, found[0].server_time) == ("unsure", items[0].given, clock.now)
    assert [v.item_id for v in store.judged_by("ann", "NEITHER")] == [items[4].item_id, items[2].item_id]
    for words in (items[3].item_id, f"{items[3].given} {items[3].item_id[-4:]}"):
        assert [v.item_id for v in store.judged_by("ann", words)] == [items[3].item_id]
    assert store.judged_by("ann", "100%_") == store.judged_by("eve") == []
    assert [v.event for v in store.judged_by("ann", before=found[3].event, limit=2)] == [v.event for v in found[4:6]]


def test_verdict_undo_and_new_verdict_in_one_message_keep_their_order(loaded: Make) -> None:
    store = loaded()
    item = store.next_batch("ann", 1)[0]
    first = verdict(item, "given")
    batch = [first, undo(first), verdict(item, "neither"), verdict(item, "unsure")]
    assert len(store.submit("ann", batch).accepted) == 4
    assert _current(store, item.item_id) == {"ann": "unsure"}
    assert store.progress().by_verdict == {"unsure": 1}


def test_refusals_name_their_reason_and_spare_the_rest(loaded: Make) -> None:
    store = loaded()
    items = store.next_batch("ann", 6)
    own = verdict(items[0])
    store.submit("ann", [own])
    others_undo = undo(own)
    wrong_label = next(c for c in CLASSES if c != items[1].given)
    bad = {
        "unknown item": verdict(items[1], item_id="sha256:of-another-run"),
        "label shown": verdict(items[1], shown_label=wrong_label),
        "suggestion shown": verdict(items[1], shown_suggested=None),
        "unknown verdict": verdict(items[1], "looks fine"),
        "unknown class": verdict(items[1], "other:<script>alert(1)</script>"),
        "another event": verdict(items[2], uuid=own["uuid"]),
        "no such verdict": undo(verdict(items[2])),
        "malformed": {"uuid": "../../etc/passwd"},
        "texts": verdict(items[1], item_id=7),
    }
    good = verdict(items[3])
    result = store.submit("ann", [*bad.values(), good])
    assert result.accepted == (good["uuid"],)
    reasons = [reason for _, reason in result.refused]
    assert len(reasons) == len(bad)
    for word in set(bad) - {"texts"}:
        assert any(word in reason for reason in reasons), word
    ((uuid, reason),) = store.submit("bob", [others_undo]).refused
    assert (uuid, "only the reviewer" in reason) == (others_undo["uuid"], True)
    ((_, reason),) = store.submit("bob", [verdict(items[0], uuid=own["uuid"])]).refused
    assert "another event" in reason
    assert store.progress().verdicts == 2


def test_an_item_without_suggestion_takes_no_verdict_about_one(loaded: Make) -> None:
    store = loaded()
    state = store.state("sha256:broken")
    assert state is not None
    item = state.item
    assert (item.suggested, item.code, item.score) == (None, "DQ001", None)
    result = store.submit("ann", [verdict(item, "suggested"), verdict(item, "both"), verdict(item, "bad_item")])
    assert (len(result.accepted), len(result.refused)) == (1, 2)


def test_a_class_that_is_given_or_suggested_is_called_so(loaded: Make) -> None:
    store = loaded()
    items = store.next_batch("ann", 3)
    third = next(c for c in CLASSES if c not in (items[2].given, items[2].suggested))
    events = [
        verdict(items[0], f"other:{items[0].given}"),
        verdict(items[1], f"other:{items[1].suggested}"),
        verdict(items[2], f"other:{third}"),
    ]
    assert len(store.submit("ann", events).accepted) == 3
    assert store.progress().by_verdict == {"given": 1, "suggested": 1, f"other:{third}": 1}


def test_imported_votes_may_speak_of_another_guess(loaded: Make) -> None:
    store = loaded()
    item = store.page().items[0]
    third = next(c for c in CLASSES if c not in (item.given, item.suggested))
    event = verdict(item, "suggested", shown_suggested=third)
    assert store.submit("crowd-1", [event]).refused
    assert store.submit("crowd-1", [event], origin="import").accepted
    assert store.submit("crowd-1", [event], origin="import").repeated
    assert _current(store, item.item_id) == {"crowd-1": f"other:{third}"}


def test_events_cannot_be_changed(loaded: Make) -> None:
    store = loaded()
    store.submit("ann", [verdict(store.next_batch("ann", 1)[0])])
    for statement in ("UPDATE events SET verdict = 'given'", "DELETE FROM events"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            store.database.write(lambda c, s=statement: c.execute(sa.text(s)))
    assert store.progress().verdicts == 1


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.integers(),
            st.text(),
            st.dictionaries(
                st.sampled_from(["uuid", "kind", "target", "item_id", "verdict", "shown_label", "ms", "client_time"]),
                st.one_of(
                    st.none(),
                    st.text(),
                    st.integers(),
                    st.floats(),
                    st.just("0" * 36),
                    st.just("verdict"),
                    st.lists(st.integers()),
                    st.sampled_from(["retract", "sha256:broken", "cat", "a\0b", "\ud800"]),
                ),
            ),
        ),
        max_size=12,
    )
)
def test_no_batch_crashes(shared_store: VerdictStore, batch: list[Any]) -> None:
    before = shared_store.progress().verdicts
    result = shared_store.submit("mallory", batch)
    assert len(result.acknowledged) == len(batch)
    assert shared_store.progress().verdicts - before in range(len(batch) + 1)


@pytest.fixture
def shared_store(loaded: Make) -> VerdictStore:
    return loaded()


@pytest.mark.parametrize("name", ["", "  ", "a" * 201, "a\nb", None])
def test_reviewers_need_a_name(loaded: Make, name: Any) -> None:
    store = loaded()
    with pytest.raises(UsageError):
        store.next_batch(name)
    with pytest.raises(UsageError):
        store.submit(name, [])


def test_hostile_names_are_only_text(loaded: Make) -> None:
    store = loaded()
    for name in ("'; DROP TABLE events; --", "<script>alert(1)</script>", "../../x", "Ünï 🐈"):
        event = verdict(store.next_batch(name, 1)[0])
        assert store.submit(name, [event]).accepted
        assert store.progress().by_reviewer[name] == 1


def test_a_run_is_loaded_once_and_only_one(loaded: Make, where: str) -> None:
    store = loaded()
    item = store.next_batch("ann", 1)[0]
    store.submit("ann", [verdict(item)])
    store.load_run(make_run(200, 60), QueuePlan(seed=5))
    assert store.plan.seed == 0
    with VerdictStore.open(where) as again:
        assert again.loaded
        assert again.progress().verdicts == 1
        again.load_run(make_run(name="renamed"))
        with pytest.raises(RunError, match="on other data"):
            again.load_run(make_run(seed=1))


def test_bad_tables_and_empty_stores_are_refused(where: str) -> None:
    with VerdictStore.open(where) as store:
        assert not store.loaded
        with pytest.raises(RunError, match="empty"):
            store.next_batch("ann")
        run = make_run(20, 5)
        run.scores.loc[3, "id"] = run.scores.loc[7, "id"]
        with pytest.raises(DataError, match="twice"):
            store.load_run(run)
        with pytest.raises(DataError, match="no item"):
            store.load_run(make_run(20, 5), controls={"nowhere": "given"})
        with pytest.raises(DataError, match="no item"):
            store.load_run(make_run(20, 5), detections={"knn": ["nowhere"]})  # type: ignore[dict-item]
        assert not store.loaded  # nothing was left half loaded


def test_pages_walk_through_everything_once(loaded: Make) -> None:
    store = loaded()
    for order in ("place", "score"):
        seen, after = [], None
        while True:
            page = store.page(PageFilter(order=order), after, 17)
            seen += [item.item_id for item in page.items]
            after = page.after
            if after is None:
                break
        expected = 201 if order == "place" else 200  # the undecodable item has no score
        assert len(seen) == len(set(seen)) == expected
    run = make_run(200, 60)
    first = store.page(limit=61).items
    assert [i.item_id for i in first] == list(run.findings["id"])


def test_filters_agree_with_the_tables(where: str) -> None:
    run = make_run(200, 60)
    with VerdictStore.open(where) as store:
        store.load_run(run, detections={"knn": run.scores["id"].to_numpy()[10:30]})
        judged = store.page(limit=20).items
        store.submit("ann", [verdict(i, "suggested") for i in judged[:12]])
        store.submit("bob", [verdict(i, "given") for i in judged[6:12]])
        s = run.scores
        expected = {
            PageFilter(given="cat", suggested="dog"): ((s.given == "cat") & (s.suggested == "dog")).sum(),
            PageFilter(flagged=True): 61,
            PageFilter(code="DQ001"): 1,
            PageFilter(min_score=0.0, max_score=2.0): s.score.between(0, 2).sum(),
            PageFilter(min_score=0.0, given="cat"): ((s.score >= 0) & (s.given == "cat")).sum(),
            PageFilter(detector="knn"): 20,
            PageFilter(reviewer="bob"): 6,
            PageFilter(verdict="suggested"): 12,
            PageFilter(verdict="given", reviewer="ann"): 0,
            PageFilter(reviewed=True): 12,
            PageFilter(reviewed=False): 189,
            PageFilter(split="train"): 0,
        }
        for wanted, n in expected.items():
            assert len(store.page(wanted, limit=300).items) == n, wanted
        assert store.page(PageFilter(reviewer="bob")).items[0].verdicts == {"ann": "suggested", "bob": "given"}
        for limit in (0, 1001):
            with pytest.raises(UsageError):
                store.page(limit=limit)


def test_disagreements_end_with_adjudication(loaded: Make) -> None:
    store = loaded()
    items = store.page(limit=3).items
    store.submit("ann", [verdict(i, "given") for i in items])
    store.submit("bob", [verdict(items[0], "given"), verdict(items[1], "suggested"), verdict(items[2], "both")])
    found = store.disagreements()
    assert [d.item_id for d in found] == [items[1].item_id, items[2].item_id]
    assert found[0].verdicts == {"ann": "given", "bob": "suggested"}
    assert [d.place for d in store.disagreements(after=found[0].place)] == [found[1].place]
    store.submit("eve", [verdict(items[1], "suggested")], origin="adjudication")
    assert [d.item_id for d in store.disagreements()] == [items[2].item_id]
    assert store.progress().disagreements == 1
    with pytest.raises(UsageError):
        store.submit("eve", [], origin="nonsense")


def test_progress_counts_what_holds(loaded: Make) -> None:
    store = loaded(audit_share=0.0)
    batch = store.next_batch("ann", 10)
    events = [verdict(i, "suggested" if k < 4 else "unsure") for k, i in enumerate(batch)]
    store.submit("ann", [*events, undo(events[0])])
    store.submit("bob", [verdict(batch[5], "given")])
    progress = store.progress()
    assert (progress.items, progress.flagged, progress.audit_total) == (201, 61, 40)
    assert (progress.judged, progress.verdicts, progress.judged_twice) == (9, 10, 1)
    assert progress.by_verdict == {"suggested": 3, "unsure": 6, "given": 1}
    assert progress.by_reviewer == {"ann": 9, "bob": 1}
    assert (progress.ranked_done, progress.ranked_total, progress.disagreements) == (9, 61, 1)
    drawn, judged = store.audit_stream().item_ids.tolist(), set(store.votes().item_ids)
    assert progress.audit_done == len(set(drawn) & judged)
    assert progress.audit_counted == len(list(takewhile(judged.__contains__, drawn)))
    states = [store.state(item) for item in drawn[:3]]
    store.submit("ann", [verdict(state.item) for state in states if state is not None])
    assert store.progress().audit_counted >= 3
    _finish(store, drawn)
    assert store.progress().audit_counted == store.progress().audit_done == 40


def _finish(store: VerdictStore, drawn: list[str]) -> None:
    states = [store.state(item) for item in drawn]
    store.submit("ann", [verdict(state.item) for state in states if state is not None])


def test_votes_come_as_arrays(loaded: Make) -> None:
    store = loaded()
    assert len(store.votes().items) == 0
    items = store.page(limit=2).items
    store.submit("bob", [verdict(items[1], "given", ms=None)])
    store.submit("ann", [verdict(i, "both") for i in items])
    votes = store.votes()
    assert votes.reviewer_names == ("ann", "bob")
    assert votes.items.tolist() == [0, 1, 1]
    assert votes.verdicts.tolist() == ["both", "both", "given"]
    assert votes.item_ids.tolist() == [i.item_id for i in items]
    assert votes.suggested.tolist() == [i.suggested for i in items]
    assert (votes.ms[:2] == 800).all()
    assert np.isnan(votes.ms[2])


@pytest.mark.parametrize("where", ["nowhere/run", "mysql://x/y", "sqlite+what://x", "no-such-run"])
def test_wrong_places_are_explained(where: str) -> None:
    with pytest.raises((UsageError, RunError)) as caught:
        VerdictStore.open(where)
    assert caught.value.way_out


def test_an_absent_server_is_a_resource_error(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(ResourceError, match="cannot be reached"):
        VerdictStore.open(f"postgresql://me@/none?host={tmp_path}", patience=0.2)


def test_another_file_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(RunError, match="not a verdict store"):
        VerdictStore.open(path)


def test_columns_are_those_of_the_items_in_the_order_of_the_list(loaded: Callable[..., VerdictStore]) -> None:
    store = loaded(n=120, flagged=40)
    names = ("item_id", "given", "suggested", "score", "flagged")
    items = store.at(range(1, store.facts["n_items"] + 1))
    expected = [tuple(getattr(item, name) for name in names) for item in items]
    assert list(zip(*store.columns(names).to_pydict().values(), strict=True)) == expected
    assert None in store.columns(["suggested"])["suggested"].to_pylist()  # of the item without a score
    assert store.columns(["item_id"])["item_id"].to_pylist() == [item.item_id for item in items]
    with pytest.raises(KeyError):
        store.columns(["no such column"])
