"""Runs that several tests of the review app share; made once per session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["find_errors", "finished_digits"]

_made: dict[str, Path] = {}


def find_errors(*arguments: str) -> None:
    """The real command, without a network."""
    command = [sys.executable, "-m", "auditor", "find-errors", *arguments]
    environ = {**os.environ, "AUDITOR_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr


def finished_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over digits. Copy it before use."""
    if "digits" not in _made:
        folder = tmp_path_factory.mktemp("review-digits") / "run"
        find_errors("digits", "--out", str(folder))
        _made["digits"] = folder
    return _made["digits"]
