"""Many reviewers at once: nothing lost, nothing double, no lock error shown, also through a restart of the server."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from auditor.review import schema
from auditor.review.loading import QueuePlan
from auditor.review.store import VerdictStore
from tests.review.cases import make_run
from tests.review.load import Moments, check, run_reviewers
from tests.review.postgres import Server


def _prepare(where: str, n: int) -> None:
    with VerdictStore.open(where) as store:
        store.load_run(make_run(n, n - 1), QueuePlan(overlap=0.0, audit_size=n // 10, control_share=0.0))


def _judged(where: str) -> int:
    with VerdictStore.open(where) as store:
        return store.database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(schema.events))) or 0


def test_a_few_reviewers_at_once(where: str) -> None:
    _prepare(where, 300)
    outcomes, _ = run_reviewers(where, reviewers=4, wanted=40)
    check(where, outcomes, 4, 40)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_in_the_middle_loses_nothing(postgres: Server, mode: str) -> None:
    where = postgres.new_schema()
    _prepare(where, 400)

    def restart(moments: Moments) -> None:
        _wait_for(where, 20)
        _restart(postgres, mode, moments)

    outcomes, _ = run_reviewers(where, 4, 60, patience=0.2, meanwhile=restart)
    check(where, outcomes, 4, 60)
    assert sum(o["retries"] for o in outcomes) > 0


def _wait_for(where: str, verdicts: int) -> None:
    while _judged(where) < verdicts:
        time.sleep(0.05)


def _restart(postgres: Server, mode: str, moments: Moments) -> None:
    """Down until a reviewer has noticed."""
    postgres.stop(mode)
    moments.turned_away.clear()
    moments.down.set()
    moments.turned_away.wait()
    postgres.start()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_eight_reviewers_against_sqlite(tmp_path: object) -> None:
    where = f"{tmp_path}/review.sqlite"
    _prepare(where, 4500)
    outcomes, seconds = run_reviewers(where, reviewers=8, wanted=500, processes=4)
    check(where, outcomes, 8, 500)
    print(f"\nSQLite, 8 reviewers x 500: {seconds:.0f} s")  # noqa: T201


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("restarted", [False, True])
def test_twenty_reviewers_against_postgresql(postgres: Server, restarted: bool) -> None:
    where = postgres.new_schema()
    _prepare(where, 11_000)

    def restart(moments: Moments) -> None:
        for mode, verdicts in (("fast", 2000), ("immediate", 6000)):
            _wait_for(where, verdicts)
            _restart(postgres, mode, moments)

    outcomes, seconds = run_reviewers(
        where, reviewers=20, wanted=500, processes=4, patience=1.0, meanwhile=restart if restarted else None
    )
    check(where, outcomes, 20, 500)
    retries = sum(o["retries"] for o in outcomes)
    assert (retries > 0) == restarted
    print(f"\nPostgreSQL, 20 reviewers x 500: {seconds:.0f} s, {retries} repeats by clients")  # noqa: T201
