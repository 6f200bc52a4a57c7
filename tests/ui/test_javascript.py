"""The modules of the browser components that need no browser, by node's own test runner."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_the_modules_do_what_their_tests_say() -> None:
    node = shutil.which("node")
    if node is None:
        reason = "node is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    tests = sorted(map(str, HERE.glob("*.test.mjs")))
    done = subprocess.run(
        [node, "--no-warnings", "--test", *tests], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
