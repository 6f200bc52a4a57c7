"""Commands as a user gives them, in an empty working folder and with no network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.running import Done, call

Cli = Callable[..., Done]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """``cli("find-errors", "digits", ...)`` in the test's folder."""
    return partial(call, cwd=tmp_path)
