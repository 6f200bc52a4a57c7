"""What was acknowledged is in the store, whatever happens to the disk, the clock, the rights and the processes.

Restarts of PostgreSQL, many processes: `test_load`. Power cuts: `test_log`, `test_verify`, `test_checksums`. A run that
is killed: `tests/e2e/test_kill.py`; its full disk and rights: `tests/e2e/test_bad_input.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from auditor.core.errors import StorageError
from auditor.review import schema
from auditor.review.carry_over import carry_over
from auditor.review.loading import QueuePlan
from auditor.review.store import VerdictStore
from tests.review.cases import make_run, verdict

PLAN = QueuePlan(overlap=0.0, audit_size=0, control_share=0.0)


def stored(where: str | Path) -> list[str]:
    with VerdictStore.open(where) as store:
        store.load_run(make_run())
        assert store.verify(make_run()) == []
        return store.database.read(lambda c: list(c.scalars(sa.select(schema.events.c.event_uuid))))


@pytest.mark.parametrize("trouble", ["PRAGMA max_page_count=1", "PRAGMA query_only=ON"])
def test_a_full_disk_or_lost_rights_acknowledge_nothing_that_is_not_kept(trouble: str, tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    acknowledged: list[str] = []
    with VerdictStore.open(path) as store:
        store.load_run(make_run(), PLAN)
        batch = store.next_batch("ann", 50)
        acknowledged += store.submit("ann", [verdict(item) for item in batch[:5]]).accepted

        def in_trouble(connection: Any, *_: Any) -> None:
            connection.execute(trouble)

        store.database.engine.dispose()
        sa.event.listen(store.database.engine, "connect", in_trouble)
        waiting = [verdict(item) for item in batch[5:]]
        with pytest.raises(StorageError):
            for event in waiting * 40:
                acknowledged += store.submit("ann", [event | {"uuid": f"{len(acknowledged):032d}"}]).accepted
        store.database.engine.dispose()
        sa.event.remove(store.database.engine, "connect", in_trouble)
        acknowledged += store.submit("ann", waiting).accepted  # the outbox comes again
    assert sorted(stored(path)) == sorted(acknowledged)
    assert len(acknowledged) >= 50


def test_a_clock_that_goes_back_changes_no_verdict(where: str) -> None:
    times = iter([900.0, 500.0, 100.0, 50.0, 20.0, 10.0])
    with VerdictStore.open(where, clock=lambda: next(times)) as store:
        store.load_run(make_run(), PLAN)
        item = store.page(limit=1).items[0]
        for what in ("given", "unsure", "neither"):
            store.submit("ann", [verdict(item, what)])
        assert store.votes().verdicts.tolist() == ["neither"]
        assert store.progress().verdicts == 1
        assert store.verify(make_run()) == []


KILLED = """
import os, signal, sys
from auditor.review.carry_over import carry_over
from auditor.review.store import VerdictStore
with VerdictStore.open(sys.argv[1]) as old, VerdictStore.open(sys.argv[2]) as new:
    submit, sent = new.submit, []
    def dying(*arguments):
        done = submit(*arguments)
        sent.append(done)
        if len(sent) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    new.submit = dying
    carry_over(old, new)
"""


def test_an_import_that_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    with VerdictStore.open(old) as store:
        store.load_run(make_run(), PLAN)
        for name in ("ann", "bob", "eve"):
            store.submit(name, [verdict(item) for item in store.page(limit=4).items])
    with VerdictStore.open(new) as store:
        store.load_run(make_run(), PLAN)
    done = subprocess.run([sys.executable, "-c", KILLED, old, new], cwd=os.getcwd(), check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(stored(new)) == 8
    with VerdictStore.open(old) as source, VerdictStore.open(new) as target:
        again = carry_over(source, target)
    assert (again.accepted, again.repeated) == (4, 8)
    assert sorted(stored(new)) == sorted(stored(old))
