"""A real run to review."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="streamlit is not installed")

from auditor.ui import workspace as workspaces
from auditor.ui.access import session_key
from auditor.ui.config import ReviewConfig, configure
from auditor.ui.workspace import Workspace
from tests.conftest import DigitsRun


@pytest.fixture(autouse=True)
def _main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    # Streamlit's AppTest leaves its script there, which processes started by later tests would import as their own.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The key of the reviewer's sessions lies in the cache.
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "cache"))
    session_key.cache_clear()


@pytest.fixture
def digits(digits_run: DigitsRun) -> Path:
    """A finished run over digits without verdicts."""
    return digits_run.path


@pytest.fixture
def ws(digits: Path) -> Iterator[Workspace]:
    """The process's workspace on it."""
    configure(ReviewConfig(run=str(digits), reviewer="ann"))
    opened = workspaces.workspace()
    assert opened is not None
    yield opened
    workspaces.close_workspace()
    configure(ReviewConfig())
