"""A store is bound to the content of what was judged; verdicts go over to other data for unchanged items only."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from auditor.core.errors import RunError, UsageError
from auditor.review import schema
from auditor.review.additions import set_fact
from auditor.review.carry_over import carry_over
from auditor.review.loading import QueuePlan
from auditor.review.store import VerdictStore
from tests.review.cases import CLASSES, TableRun, make_run, undo, verdict

PLAN = QueuePlan(overlap=0.0, audit_size=0, control_share=0.0)


def changed(run: TableRun, content: list[str], given: list[str], renamed: list[str] = ()) -> TableRun:  # type: ignore[assignment]
    """The run over data in which some items have another content, label or id."""
    scores, findings, items = run.scores.copy(), run.findings.copy(), run.items.copy()
    items.loc[items["id"].isin(content), "content_hash"] += "-new"
    for table in (scores, findings):
        here = table["id"].isin(given)
        table.loc[here, "given"] = [CLASSES[(CLASSES.index(name) + 1) % 3] for name in table.loc[here, "given"]]
    for table in (scores, findings, items):
        table["id"] = [f"{name}-moved" if name in renamed else name for name in table["id"]]
    return replace(run, audited_content="v2", items=items, scores=scores, findings=findings)


def judged(store: VerdictStore, n: int = 10) -> list[str]:
    """Ids of `n` items that ann has found right, the last of which she has taken back."""
    batch = store.next_batch("ann", n)
    events = [verdict(item) for item in batch]
    assert len(store.submit("ann", events).accepted) == n
    assert store.submit("ann", [undo(events[-1])]).accepted
    return [item.item_id for item in batch]


def test_a_run_may_get_another_name(where: str) -> None:
    with VerdictStore.open(where) as store:
        store.load_run(make_run(), PLAN)
        judged(store)
        store.load_run(make_run(name="renamed"))
        assert store.progress().verdicts == 9


def test_a_store_of_other_data_is_refused_and_says_what_is_unchanged(where: str) -> None:
    with VerdictStore.open(where) as store:
        run = make_run()
        store.load_run(run, PLAN)
        ids = judged(store)
        for other, unchanged in (
            (changed(run, ids[:2], ids[2:3]), 6),
            (changed(run, [], [], ids[:4]), 9),
            (replace(make_run(seed=1), items=make_run(seed=1).items.assign(content_hash="other")), 0),
        ):
            with pytest.raises(RunError, match=f"{unchanged} of the 9 judged items"):
                store.load_run(other)
        assert store.progress().verdicts == 9


@pytest.mark.parametrize("same", [True, False])
def test_a_store_from_before_is_bound_when_it_is_opened(same: bool, where: str) -> None:
    run = make_run()
    with VerdictStore.open(where) as store:
        store.load_run(run, PLAN)
        judged(store)
        store.database.write(lambda c: c.execute(sa.delete(schema.meta).where(schema.meta.c.key == "content")))
        store.database.write(lambda c: set_fact(c, "identity", "of before"))
    with VerdictStore.open(where) as store:
        if not same:
            with pytest.raises(RunError, match="on other data"):
                store.load_run(changed(run, [], run.scores["id"].tolist()[:1]))
            return
        store.load_run(replace(run, id="renamed"))
        assert store.facts["content"] == run.audited_content
        with pytest.raises(RunError, match="on other data"):
            store.load_run(replace(run, audited_content="v2", items=run.items.assign(content_hash="x")))


def test_verdicts_go_over_for_unchanged_items_alone_and_once(where: str, tmp_path: Path) -> None:
    run = make_run()
    with VerdictStore.open(where) as old, VerdictStore.open(tmp_path / "new.sqlite") as new:
        old.load_run(run, PLAN)
        ids = judged(old)
        item = old.state(ids[5]).item  # type: ignore[union-attr]
        third = next(name for name in CLASSES if name not in (item.given, item.suggested))
        old.submit("bob", [verdict(item, "suggested")])
        old.submit("eve", [verdict(item, f"other:{third}")])
        now = changed(run, ids[:2], ids[2:3], ids[3:5])
        # The new model suggests the class that eve chose.
        for table in (now.scores, now.findings):
            table.loc[table["id"] == ids[5], "suggested"] = third
        new.load_run(now, PLAN)
        done = carry_over(old, new)
        assert (done.judged, done.unchanged, done.accepted, done.repeated, done.refused) == (9, 6, 8, 0, ())
        verdicts = dict(zip(_pairs(new), new.votes().verdicts.tolist(), strict=True))
        assert verdicts["bob", ids[5]] == f"other:{item.suggested}"
        assert verdicts["eve", ids[5]] == "suggested"
        assert {name for _, name in verdicts} == {f"{name}-moved" for name in ids[3:5]} | set(ids[5:9])
        again = carry_over(old, new)
        assert (again.accepted, again.repeated) == (0, 8)
        assert old.progress().verdicts == 11
        with pytest.raises(UsageError, match="own store"):
            carry_over(new, new)


def _pairs(store: VerdictStore) -> list[tuple[str, str]]:
    votes = store.votes()
    return [(votes.reviewer_names[r], votes.item_ids[i]) for r, i in zip(votes.reviewers, votes.items, strict=True)]


def test_a_class_that_is_gone_is_told(tmp_path: Path) -> None:
    run = make_run()
    with VerdictStore.open(tmp_path / "old.sqlite") as old, VerdictStore.open(tmp_path / "new.sqlite") as new:
        old.load_run(run, PLAN)
        item = next(i for i in old.next_batch("ann", 50) if "ship" not in (i.given, i.suggested))
        old.submit("ann", [verdict(item, "other:ship"), verdict(item, "other:ship", uuid="0" * 32)])
        new.load_run(replace(run, audited_content="v2", class_names=CLASSES[:2]), PLAN)
        done = carry_over(old, new)
        assert (done.accepted, len(done.refused)) == (0, 1)
        assert "unknown class 'ship'" in done.refused[0]
        assert json.dumps(done.refused)


def test_who_judged_and_when_stays_with_a_verdict(where: str, tmp_path: Path) -> None:
    times = iter(range(100, 200))
    with (
        VerdictStore.open(where, clock=lambda: float(next(times))) as old,
        VerdictStore.open(tmp_path / "new.sqlite") as new,
    ):
        run = make_run()
        old.load_run(run, PLAN)
        for name in ("ann", "bob"):
            for item in old.page(limit=2).items:
                old.submit(name, [verdict(item, "unsure", ms=77)])
        new.load_run(run, PLAN)
        assert carry_over(old, new).accepted == 4
        before, after = old.votes(), new.votes()
        assert after.server_time.tolist() == before.server_time.tolist()
        assert (after.server_time < 200).all()
        assert (after.reviewer_names, after.ms.tolist()) == (("ann", "bob"), [77.0] * 4)
        event = new.state(before.item_ids[0]).events[0]  # type: ignore[union-attr]
        assert (event["stream"], event["client_time"]) == ("import", 1_700_000_000.5)


def test_a_verdict_given_anew_since_is_not_taken_back(where: str, tmp_path: Path) -> None:
    with VerdictStore.open(where, clock=lambda: 1000.0) as old:
        run = make_run()
        old.load_run(run, PLAN)
        first, second, third = old.page(limit=3).items
        old.submit("ann", [verdict(item, "given") for item in (first, second, third)])
        with VerdictStore.open(tmp_path / "new.sqlite", clock=lambda: 2000.0) as new:
            new.load_run(run, PLAN)
            new.submit("ann", [verdict(first, "suggested")])
            new.submit("bob", [verdict(second, "suggested")])
            done = carry_over(old, new)
            assert (done.accepted, done.older) == (2, 1)
            assert new.state(first.item_id).item.verdicts == {"ann": "suggested"}  # type: ignore[union-attr]
            assert new.state(second.item_id).item.verdicts == {"ann": "given", "bob": "suggested"}  # type: ignore[union-attr]
