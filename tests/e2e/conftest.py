"""Running the real command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """``cli("find-errors", "digits", ...)`` in an empty working folder, with no network."""

    def call(*arguments: str | Path, check: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "auditor", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "AUDITOR_OFFLINE": "1", "NO_COLOR": "1", **env},
            timeout=300,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done

    return call


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON document a ``--json`` call printed."""
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1, done.stdout[:500]
    return json.loads(lines[0])
