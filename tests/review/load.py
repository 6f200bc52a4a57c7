"""Reviewers as clients: each takes batches, judges, sends, and sends again what was not acknowledged."""

from __future__ import annotations

import multiprocessing
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event
from typing import Any

import sqlalchemy as sa

from auditor.core.errors import ResourceError
from auditor.review import schema
from auditor.review.store import VerdictStore
from tests.review.cases import verdict

Outcome = dict[str, Any]


@dataclass(frozen=True)
class Moments:
    """What the reviewers and whoever stops their server tell each other.

    Attributes
    ----------
    turned_away : Event
        Set by a reviewer who could not reach the database.
    down : Event
        Until it is set, no reviewer judges more than half of the items: so the server goes down in the middle.
    """

    turned_away: Event
    down: Event


def review(where: str, reviewer: str, wanted: int, patience: float, moments: Moments, per_message: int = 5) -> Outcome:
    """Judge `wanted` items; returns what the client knows: uuids by item, errors shown, retries.

    Every third message is sent twice, as a browser does that never saw the answer.
    """
    judged: dict[str, str] = {}
    shown: list[str] = []
    retries = 0
    deadline = time.monotonic() + 1500  # a loaded machine is slow; the test is about what is lost

    def insist(call: Callable[[], Any]) -> Any:
        nonlocal retries
        while True:
            try:
                return call()
            except ResourceError:  # the database is away; the outbox stays and is sent again
                retries += 1
                moments.turned_away.set()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    # Opening too: a client that starts while the database is away comes back.
    with insist(partial(VerdictStore.open, where, patience=patience)) as store:
        message = 0
        while len(judged) < wanted:
            batch = insist(partial(store.next_batch, reviewer, min(20, wanted - len(judged))))
            if not batch:
                shown.append("the queue ran dry")
                break
            for start in range(0, len(batch), per_message):
                part = batch[start : start + per_message]
                events = [verdict(item, "suggested", uuid=str(uuid.uuid4())) for item in part]
                for _ in range(2 if message % 3 == 0 else 1):
                    result = insist(partial(store.submit, reviewer, events))
                    shown += [reason for _, reason in result.refused]
                judged |= {e["item_id"]: e["uuid"] for e in events}
                message += 1
                if len(judged) >= wanted // 2:
                    moments.down.wait()
    return {"reviewer": reviewer, "judged": judged, "shown": shown, "retries": retries}


def _process(where: str, names: list[str], wanted: int, patience: float, moments: Moments, answers: Any) -> None:
    found: list[Any] = []

    def one(name: str) -> None:
        try:
            found.append(review(where, name, wanted, patience, moments))
        except BaseException as error:  # noqa: BLE001 - a failed client must be seen by the test, whatever it died of
            found.append({"reviewer": name, "judged": {}, "shown": [repr(error)], "retries": 0})

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(found)


def run_reviewers(
    where: str,
    reviewers: int,
    wanted: int,
    processes: int = 1,
    patience: float = 15.0,
    meanwhile: Callable[[Moments], None] | None = None,
) -> tuple[list[Outcome], float]:
    """Let `reviewers` work at once, spread over processes; returns what each knows, and the seconds."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    moments = Moments(context.Event(), context.Event())
    names = [f"reviewer-{i:02d}" for i in range(reviewers)]
    workers = [
        context.Process(target=_process, args=(where, names[p::processes], wanted, patience, moments, answers))
        for p in range(processes)
    ]
    started = time.monotonic()
    for worker in workers:
        worker.start()
    if meanwhile is not None:
        meanwhile(moments)
    moments.down.set()
    outcomes = [outcome for _ in workers for outcome in answers.get(timeout=1700)]
    for worker in workers:
        worker.join()
    return outcomes, time.monotonic() - started


def check(where: str, outcomes: list[Outcome], reviewers: int, wanted: int) -> None:
    """Nothing lost, nothing double, nothing shown: what the clients know is exactly what the store holds."""
    assert len(outcomes) == reviewers
    assert [o["shown"] for o in outcomes] == [[]] * reviewers
    sent = {uid: (o["reviewer"], item) for o in outcomes for item, uid in o["judged"].items()}
    assert len(sent) == reviewers * wanted
    with VerdictStore.open(where) as store:
        e, i = schema.events.c, schema.items.c
        query = sa.select(e.event_uuid, e.reviewer, i.item_id).join(schema.items, i.item == e.item)
        rows = store.database.read(lambda c: c.execute(query).all())
        assert len(rows) == len(sent)
        assert {row.event_uuid: (row.reviewer, row.item_id) for row in rows} == sent
        # No overlap was planned, so no item was given to two.
        assert len({item for _, item in sent.values()}) == len(sent)
        progress = store.progress()
        assert progress.verdicts == progress.judged == len(sent)
        assert set(progress.by_reviewer.values()) == {wanted}
        q = schema.queue.c
        is_open = sa.case((q.taken < q.wanted, 1), else_=0)
        per_item = sa.select(schema.queue).where((q.taken > q.wanted) | (q.open != is_open))
        assert store.database.read(lambda c: c.execute(per_item).all()) == []
