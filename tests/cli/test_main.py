"""Exit codes when the program fails, when the reader of its output goes away, and when output meets a full disk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.data import open as opening
from tests.running import call

FAULTS = [
    ValueError("a fault"),
    EOFError("ended"),
    OSError("lost"),
    RecursionError("deep"),
    BrokenPipeError("a socket"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_of_the_program_is_70_and_its_trace_is_kept(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise fault

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(opening, "list_datasets", broken)
    done = call("datasets", check=70)
    assert f"{type(fault).__name__}: {fault}" in done.stderr
    (report,) = re.findall(r"in (\S+auditor-crash-\S+\.txt)", done.stderr)
    assert "in broken" in Path(report).read_text()
    assert "Traceback" not in done.stderr


def _shell(line: str, folder: Path) -> list[int]:
    """Exit codes of a pipeline."""
    script = f'set +e; {line}; echo "${{PIPESTATUS[@]}}"'
    done = subprocess.run(
        ["bash", "-c", script.replace("auditor", f"{sys.executable} -m auditor")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return [int(code) for code in done.stdout.split()[-1 * (line.count("|") + 1) :]]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("auditor models --json | true", 0),
        ("auditor --help | true", 0),
        ("auditor models 2>&1 >/dev/null | true", 0),
        ("auditor show nowhere 2>&1 | true", 3),
        ("auditor models --nope 2>&1 | true", 2),
        ("auditor models --json > /dev/full", 4),
        ("auditor models --json >&-", 0),
    ],
)
def test_who_reads_the_output_decides_nothing(line: str, code: int, tmp_path: Path) -> None:
    assert _shell(line, tmp_path)[0] == code
