"""Workers need nothing of the caller's script; whatever ends them reaches the caller, and nobody waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.core.errors import LabelError, ResourceError
from auditor.core.processes import in_processes
from tests.core.squaring import Job

BIG = bytes(1 << 20)  # more than a pipe holds


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_task_has_its_result_and_events(workers: int) -> None:
    events: list[Any] = []
    results = dict(in_processes(partial(Job, ballast=BIG), range(7), workers, events.append))
    assert {task: square for task, (square, _) in results.items()} == {k: k * k for k in range(7)}
    assert sorted(events) == [("seen", k) for k in range(7)]
    assert (os.getpid() in {pid for _, pid in results.values()}) == (workers == 1)


def test_no_task_no_result() -> None:
    assert list(in_processes(Job, [], 2)) == []


@pytest.mark.parametrize(
    ("mode", "error", "match"),
    [
        ("refuse", LabelError, "the label is odd"),
        ("bug", RuntimeError, "ZeroDivisionError: a bug"),
        ("killed", ResourceError, "SIGKILL"),
        ("dies at its start", ResourceError, "SIGKILL"),
        ("exit", ResourceError, "exit code 7"),
    ],
)
def test_what_ends_a_worker_reaches_the_caller(mode: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        list(in_processes(partial(Job, mode, BIG), range(7), 2))
    if mode == "bug":
        assert "in __call__" in "".join(caught.value.__notes__)


def test_a_job_that_cannot_be_loaded_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text("def begin(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="only_here"):
        list(in_processes(only_here.begin, range(3), 2))


def test_workers_end_when_the_caller_stops_asking() -> None:
    results = in_processes(Job, iter(range(10**9)), 2)
    pids = {pid for _, (_, (_, pid)) in zip(range(20), results, strict=False)}
    results.close()  # type: ignore[attr-defined]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


SCRIPT = """
print("top of the script", flush=True)
import numpy as np
from auditor.train.base import FitResult, FitTask, TrainingData
from auditor.train.crossval import run_tasks

class Constant:
    kind = "image"
    needs_device = False
    def recipe(self): return {"name": "constant"}
    def fit(self, data, task, progress, checkpoints):
        return FitResult(np.full((len(task.predict), 2), .5, np.float32), None, [], 0.0)

data = TrainingData("image", np.zeros((20, 4, 4, 3), np.uint8), np.arange(20) % 2, 2)
rows = np.arange(20)
tasks = [FitTask(f"fold-{k}", rows[rows % 2 != k], rows[rows % 2 == k], 0) for k in range(2)]
print(len(run_tasks(Constant(), data, tasks, workers=2)), "fits", flush=True)
"""
#: Another caller of the same workers; what the main module is makes no difference to it.
MEASURES = """
from auditor.core.progress import SilentProgress
from auditor.data.sources import FileSource
from auditor.quality import measures
measures.LEAST_FOR_WORKERS = 1
print(len(measures.measure_images(FileSource(PATHS), SilentProgress(), workers=2)), "measured", flush=True)
"""


@pytest.mark.parametrize("how", ["script", "stdin", "-c", "repl"])
def test_a_script_without_a_main_guard_runs_once(how: str, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    measures = MEASURES.replace("PATHS", repr([str(tmp_path / "a.png")] * 2))
    body = SCRIPT + (measures if how == "script" else "")
    (tmp_path / "script.py").write_text(body)
    arguments = {"script": ["script.py"], "stdin": ["-"], "-c": ["-c", body], "repl": ["-i", "-q"]}[how]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=body if how in ("stdin", "repl") else None,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["top of the script", "2 fits", *["2 measured"] * (how == "script")]
