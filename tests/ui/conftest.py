"""A real run to review."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="streamlit is not installed")

from auditor.ui import workspace as workspaces
from auditor.ui.config import ReviewConfig, configure
from auditor.ui.workspace import Workspace
from tests.ui.runs import finished_digits


@pytest.fixture(scope="session")
def digits_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over digits."""
    return finished_digits(tmp_path_factory)


@pytest.fixture
def digits(digits_source: Path, tmp_path: Path) -> Path:
    """A copy of it without verdicts."""
    shutil.copytree(digits_source, tmp_path / "digits")
    return tmp_path / "digits"


@pytest.fixture
def ws(digits: Path) -> Iterator[Workspace]:
    """The process's workspace on it."""
    configure(ReviewConfig(run=str(digits), reviewer="ann"))
    opened = workspaces.workspace()
    assert opened is not None
    yield opened
    workspaces.close_workspace()
    configure(ReviewConfig())
