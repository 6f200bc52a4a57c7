"""Running the real command in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]


def _cli_in(folder: Path) -> Cli:
    def call(*arguments: str | Path, check: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "auditor", *map(str, arguments)],
            cwd=folder,
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


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """``cli("find-errors", "digits", ...)`` in an empty working folder, with no network."""
    return _cli_in(tmp_path)


@pytest.fixture(scope="session")
def _finished_digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("digits")
    done = _cli_in(folder)("find-errors", "digits", "--json", "--out", "run")
    return folder / "run", done.stdout, done.stderr


@dataclass(frozen=True)
class DigitsRun:
    """A finished run over digits in a folder of the test's own, and what the command printed."""

    path: Path
    document: dict[str, Any]
    stderr: str


@pytest.fixture
def digits_run(_finished_digits: tuple[Path, str, str], tmp_path: Path) -> DigitsRun:
    """The run is made once per session and copied to ``run`` in the test's working folder."""
    source, out, err = _finished_digits
    shutil.copytree(source, tmp_path / "run")
    return DigitsRun(tmp_path / "run", json.loads(out), err)


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON document a ``--json`` call printed."""
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1, done.stdout[:500]
    return json.loads(lines[0])
