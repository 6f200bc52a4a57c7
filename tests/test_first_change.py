"""`docs/first-change.md` followed as it is written, in a copy of the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, DigitsRun

PAGE = (ROOT / "docs" / "first-change.md").read_text()
#: A file named in the line above a block is new; "below the line of `x`" says where a line goes in one that is there.
BLOCKS = re.findall(r"`([\w/.-]+\.\w+)`(?:, below the (?:line|row) of `(\w+)`)?:\n\n```\w*\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```\n(\.venv.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository with the change of the page."""
    tracked = (
        "auditor",
        "tests/__init__.py",
        "tests/conftest.py",
        "tests/running.py",
        "tests/contract",
        "tests/detect",
    )
    for name in (*tracked, "docs/detectors.md", "pyproject.toml"):
        source, target = ROOT / name, tmp_path / "copy" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            # With what Python and numba have compiled: it holds for files that did not change.
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.tmp*", "*.pyc.*"))
        else:
            shutil.copy(source, target)
    for name, below, text in BLOCKS:
        path = tmp_path / "copy" / name
        if not below:
            assert not path.exists(), f"{name} is there already"
            path.write_text(text)
            continue
        lines = path.read_text().splitlines(keepends=True)
        (place,) = [k for k, line in enumerate(lines) if re.match(rf'\s*(\| `{below}` \||"{below}": )', line)]
        path.write_text("".join([*lines[: place + 1], text, *lines[place + 1 :]]))
    return tmp_path / "copy"


def _run(copy: Path, command: str) -> subprocess.CompletedProcess[str]:
    program, *arguments = command.removeprefix(".venv/bin/").split()
    start = {"python": [], "auditor": ["-m", "auditor"], "ruff": ["-m", "ruff"]}[program]
    environ = {**os.environ, "PYTHONPATH": str(copy), "AUDITOR_OFFLINE": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, *start, *arguments], cwd=copy, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done


def test_the_page_leads_to_a_tested_detector(copy: Path, digits_run: DigitsRun) -> None:
    assert [name for name, *_ in BLOCKS] == [
        "auditor/detect/brier.py",
        "auditor/detect/registry.py",
        "tests/detect/test_brier.py",
        "docs/detectors.md",
    ]
    tests, find, flag, *checks = COMMANDS[COMMANDS.index(".venv/bin/auditor find-errors digits --out runs/first") - 1 :]
    told = _run(copy, f"{tests} -p no:cacheprovider -k brier").stdout
    assert int(re.search(r"(\d+) passed", told)[1]) > 10, "its own test and the contract"  # type: ignore[index]
    for path in ("auditor/detect/brier.py", "tests/detect/test_brier.py", "auditor/detect/registry.py"):
        _run(copy, f"ruff check {path}")
        _run(copy, f"ruff format --check {path}")
    # The run of the second command is at hand: `digits_run` comes from the same.
    assert find == ".venv/bin/auditor find-errors digits --out runs/first"
    shutil.copytree(digits_run.path, copy / "runs" / "first")
    flagged = json.loads(_run(copy, f"{flag} --json").stdout)
    assert "brier" in json.dumps(flagged)
    assert checks[:4] == subprocess.check_output([ROOT / ".ci" / "run", "--list"], text=True).splitlines()[2:]


def test_its_test_fails_where_the_score_is_wrong(copy: Path) -> None:
    path = copy / "auditor" / "detect" / "brier.py"
    path.write_text(path.read_text().replace("** 2)", "** 1)"))
    with pytest.raises(AssertionError, match="1 failed"):
        _run(copy, "python -m pytest -q -p no:cacheprovider tests/detect/test_brier.py")
