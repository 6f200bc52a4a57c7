"""kill -9 at random moments: the run continues and ends with byte-equal findings."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from auditor.runs import layout
from tests.e2e.conftest import Cli

KILLS = 20


def _command(data: str, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "auditor", "find-errors", data, "--out", str(out), "--quiet", *more]


def _kill_until_done(command: list[str], out: Path, cwd: Path, whole: float) -> int:
    """Kill the run (with its workers) `KILLS` times at random moments; return how many kills hit it alive."""
    chance = random.Random(7)
    hit = 0
    for _ in range(KILLS):
        process = subprocess.Popen(command, cwd=cwd, start_new_session=True, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.2, whole))
        if process.poll() is None:
            hit += 1
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
        if (out / layout.MANIFEST).exists() and process.returncode == 0:
            # Finished: forget the last stages, so that later kills meet work again.
            for name in ("findings", "train"):
                (out / layout.STAGES / f"{name}.json").unlink(missing_ok=True)
            (out / layout.MANIFEST).unlink()
    return hit


def test_killed_runs_end_with_byte_equal_findings(cli: Cli, tmp_path: Path) -> None:
    begin = time.perf_counter()
    subprocess.run(_command("digits", tmp_path / "unbroken"), cwd=tmp_path, check=True)
    whole = time.perf_counter() - begin
    out = tmp_path / "broken"
    hit = _kill_until_done(_command("digits", out), out, tmp_path, whole)
    assert hit >= KILLS // 2
    subprocess.run(_command("digits", out), cwd=tmp_path, check=True)
    for name in (layout.FINDINGS, layout.SCORES, layout.PRED_PROBS, layout.AUDITED):
        assert (out / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()
    assert not list(out.rglob("*.tmp-*")), "half-written files were left behind"
