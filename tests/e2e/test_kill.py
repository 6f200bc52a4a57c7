"""kill -9 in the middle of its writes: the run continues and ends with byte-equal findings."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditor.runs import layout
from tests.running import call, forked

#: More on request.
KILLS = int(os.environ.get("AUDITOR_KILLS", "10"))


def _run(out: Path, rename: int | None, after: bool) -> None:
    """In a process of its own: the command, killed just before or just after its `rename`-th rename of a file."""
    count = 0

    def dying(move: Callable[..., Any]) -> Callable[..., Any]:
        def moved(*args: Any, **kwargs: Any) -> None:
            nonlocal count
            count += 1
            if count == rename and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            move(*args, **kwargs)
            if count == rename:
                os.kill(os.getpid(), signal.SIGKILL)

        return moved

    # Whatever is finished becomes visible by a rename: these are the moments that matter.
    os.replace, os.rename = dying(os.replace), dying(os.rename)  # type: ignore[assignment]
    call("find-errors", "digits", "--budget", "smoke", "--folds", "2", "--out", out, "--quiet")


def _finished(out: Path, rename: int | None = None, after: bool = False) -> bool:
    process = forked(_run, out, rename, after)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def test_killed_runs_end_with_byte_equal_findings(tmp_path: Path) -> None:
    unbroken, out = tmp_path / "unbroken", tmp_path / "broken"
    assert _finished(unbroken)
    chance = random.Random(7)
    killed = 0
    while killed < KILLS:
        if _finished(out, rename=chance.randint(1, 6), after=chance.random() < 0.5):
            # Finished: forget the last stages, so that later kills meet work again.
            for name in ("findings", "train"):
                (out / layout.STAGES / f"{name}.json").unlink()
            (out / layout.MANIFEST).unlink()
        else:
            killed += 1
    assert _finished(out)
    for name in (layout.FINDINGS, layout.SCORES, layout.PRED_PROBS, layout.AUDITED):
        assert (out / name).read_bytes() == (unbroken / name).read_bytes()
    assert not list(out.rglob("*.tmp-*")), "half-written files were left behind"
