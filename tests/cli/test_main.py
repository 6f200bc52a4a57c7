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


@pytest.mark.parametrize(
    ("load", "environ", "policy"),
    [
        (0.4, {}, None),
        (1.1, {}, "PASSIVE"),
        (9.0, {}, "PASSIVE"),
        (9.0, {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        (9.0, {"GOMP_SPINCOUNT": "7"}, None),
    ],
)
def test_threads_sleep_while_they_wait_on_a_busy_machine(
    load: float, environ: dict[str, str], policy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr(opening, "list_datasets", lambda *_: seen.append(os.environ.get("OMP_WAIT_POLICY")) or [])
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    call("datasets", **environ)
    assert seen == [policy]


def test_a_system_that_tells_no_load_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getloadavg", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    call("datasets")
    assert "OMP_WAIT_POLICY" not in os.environ
