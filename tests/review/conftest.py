"""A store on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from auditor.review.loading import QueuePlan
from auditor.review.store import VerdictStore
from tests.review.cases import Clock, make_run
from tests.review.postgres import Server, find_binaries

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running server; skipped where PostgreSQL or its driver is not installed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    pytest.importorskip("psycopg")
    server = Server(binaries)
    yield server
    server.remove()


@pytest.fixture(params=DATABASES)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store can be made: a file, and a PostgreSQL database."""
    if request.param == "sqlite":
        return str(tmp_path / "review.sqlite")
    return request.getfixturevalue("postgres").new_schema()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loaded(where: str, clock: Clock) -> Iterator[Callable[..., VerdictStore]]:
    """Makes a store with a small run and the given `QueuePlan` options."""
    opened: list[VerdictStore] = []

    def make(n: int = 200, flagged: int = 60, controls: dict[str, str] | None = None, **plan: object) -> VerdictStore:
        store = VerdictStore.open(where, clock=clock)
        opened.append(store)
        options = {"overlap": 0.0, "audit_size": 40, "control_share": 0.0} | plan
        store.load_run(make_run(n, flagged), QueuePlan(**options), controls)  # type: ignore[arg-type]
        return store

    yield make
    for store in opened:
        store.close()
