"""Many fits: the same result for any number of workers and after any interruption; errors come through."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import fitting_cases
import numpy as np
import pytest
from fitting_cases import MeanTrainer, fold_tasks, small_data

from auditor.core.errors import LabelError, ResourceError, StorageError, UsageError
from auditor.core.progress import SilentProgress
from auditor.train.base import FitResult, TrainingData
from auditor.train.crossval import run_tasks
from auditor.train.results import data_hash, load_result, save_result, task_key
from tests.running import forked


class Recorder(SilentProgress):
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def start(self, task: str, total: float, unit: str = "") -> None:
        self.events.append(("start", task))

    def finish(self, task: str, note: str = "") -> None:
        self.events.append(("finish", f"{task} {note}"))


def test_stored_results_are_not_fitted_again(tmp_path: Path) -> None:
    data, calls = small_data(), tmp_path / "calls"
    trainer = MeanTrainer(calls=str(calls))
    first = run_tasks(trainer, data, fold_tasks(data), folder=tmp_path / "run")
    recorder = Recorder()
    again = run_tasks(trainer, data, fold_tasks(data), folder=tmp_path / "run", progress=recorder)
    assert len(calls.read_text().splitlines()) == 4
    assert recorder.events[1] == ("finish", "fold-0 stored")
    for a, b in zip(first, again, strict=True):
        assert a.probabilities.tobytes() == b.probabilities.tobytes()
        assert (a.history, a.seconds, a.details, a.dynamics) == (b.history, b.seconds, b.details, b.dynamics)
    # Another recipe, other labels, other pixels, another task: everything again.
    relabelled = replace(data, labels=(data.labels + 1) % 3)
    pixels = data.features.copy()
    pixels[-1, -1, -1, -1] ^= 1
    run_tasks(replace(trainer, mode="else"), data, fold_tasks(data), folder=tmp_path / "run")
    run_tasks(trainer, relabelled, fold_tasks(data), folder=tmp_path / "run")
    run_tasks(trainer, replace(data, features=pixels), fold_tasks(data), folder=tmp_path / "run")
    run_tasks(trainer, replace(data, features=pixels), fold_tasks(data, 3), folder=tmp_path / "run")
    assert len(calls.read_text().splitlines()) == 4 * 4 + 3


def test_damaged_results_are_fitted_again(tmp_path: Path) -> None:
    data, calls = small_data(), tmp_path / "calls"
    trainer = MeanTrainer(calls=str(calls))
    run_tasks(trainer, data, fold_tasks(data), folder=tmp_path / "run")
    results = tmp_path / "run" / "results"
    raw = bytearray((results / "fold-0.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (results / "fold-0.npz").write_bytes(raw)
    (results / "fold-1.json").write_text("{")
    (results / "fold-2.npz").unlink()
    run_tasks(trainer, data, fold_tasks(data), folder=tmp_path / "run")
    assert [line.split()[0] for line in calls.read_text().splitlines()[4:]] == ["fold-0", "fold-1", "fold-2"]


def test_workers_share_the_images_and_report(tmp_path: Path) -> None:
    data, calls = small_data(), tmp_path / "calls"
    alone = run_tasks(MeanTrainer(), data, fold_tasks(data))
    recorder = Recorder()
    shared = run_tasks(
        MeanTrainer(calls=str(calls)), data, fold_tasks(data), workers=2, progress=recorder, folder=tmp_path / "run"
    )
    for a, b in zip(alone, shared, strict=True):
        assert a.probabilities.tobytes() == b.probabilities.tobytes()
        assert a.details["mean"] == b.details["mean"]
        assert b.details["mapped"], "images must reach a worker as a memory map"
    pids = {line.split()[1] for line in calls.read_text().splitlines()}
    assert str(os.getpid()) not in pids
    assert len(pids) <= 2
    ends = [("finish", "all "), *(("finish", f"fold-{k} done") for k in range(4))]
    assert sorted(e for e in recorder.events if e[0] == "finish") == ends
    assert not (tmp_path / "run" / "shared").exists()


def test_texts_and_tables_reach_workers_too() -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": np.arange(60.0), "b": pd.Categorical(["x", "y"] * 30)})
    data = TrainingData("table", frame[["a"]], np.arange(60) % 2, 2)
    plan = fold_tasks(data, 2)
    a, b = run_tasks(MeanTrainer(), replace(data, features=frame["a"].to_numpy()), plan, workers=2)
    assert a.probabilities.shape == b.probabilities.shape == (30, 2)
    texts = TrainingData("text", ["one", "two"] * 3, np.arange(6) % 2, 2)
    table = TrainingData("table", frame, np.arange(60) % 2, 2)
    assert data_hash(texts) != data_hash(replace(texts, features=["onet", "wo"] + ["one", "two"] * 2))
    recoded = frame.assign(b=pd.Categorical(["y", "x"] * 30))
    assert data_hash(table) != data_hash(replace(table, features=recoded))
    assert data_hash(table) == data_hash(replace(table, features=frame.copy()))
    assert data_hash(table) != data_hash(replace(table, features=frame.rename(columns={"a": "c"})))


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_reach_the_caller_as_they_are(tmp_path: Path, workers: int) -> None:
    data = small_data()
    with pytest.raises(LabelError) as caught:
        run_tasks(MeanTrainer(mode="label"), data, fold_tasks(data), workers=workers, folder=tmp_path)
    assert caught.value.what == "the label is odd."
    assert caught.value.way_out == "Make it even."
    with pytest.raises((RuntimeError, ZeroDivisionError), match="a bug") as bug:
        run_tasks(MeanTrainer(mode="bug"), data, fold_tasks(data), workers=workers, folder=tmp_path)
    if workers == 2:
        assert "in fit" in "".join(bug.value.__notes__)


def test_a_killed_worker_is_reported(tmp_path: Path) -> None:
    data = small_data()
    with pytest.raises(ResourceError, match="SIGKILL") as caught:
        run_tasks(MeanTrainer(mode="killed"), data, fold_tasks(data), workers=2, folder=tmp_path)
    assert "fewer workers" in str(caught.value.way_out)


def test_bad_calls(tmp_path: Path) -> None:
    data = small_data()
    task = fold_tasks(data)[0]
    with pytest.raises(UsageError, match="workers must be"):
        run_tasks(MeanTrainer(), data, [task], workers=0)
    with pytest.raises(UsageError, match="names repeat"):
        run_tasks(MeanTrainer(), data, [task, task])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(tmp_path: Path) -> None:
    data = small_data()
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permission"):
        run_tasks(MeanTrainer(), data, fold_tasks(data), folder=tmp_path / "run")


def test_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is not here")
    result = FitResult(np.ones((2, 2), np.float32), None, [], 0.0)
    (tmp_path / f".a.npz.tmp-{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="no space"):
        save_result(tmp_path, "a", "key", result)
    assert load_result(tmp_path, "a", "key") is None


def _script(body: str) -> list[str]:
    folder = str(Path(__file__).parent)
    head = "import sys, numpy as np\nfrom pathlib import Path\n" + f"sys.path.insert(0, {folder!r})\n"
    return [sys.executable, "-c", head + body]


def test_interrupt_stops_the_workers_at_once(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    body = (
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import fitting_cases as t\n"
        f"trainer = t.MeanTrainer(mode='slow', calls={str(calls)!r})\n"
        "data = t.small_data()\n"
        "t.run_tasks(trainer, data, t.fold_tasks(data), workers=2)\n"
    )
    process = subprocess.Popen(_script(body), stderr=subprocess.PIPE, start_new_session=True)
    pids = _wait_for_lines(calls, 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert errors.count(b"Traceback") == 1, "workers must not print tracebacks of their own"
    _assert_gone(pids)


def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    body = (
        "import fitting_cases as t\n"
        f"trainer = t.MeanTrainer(mode='slow', calls={str(calls)!r})\n"
        "data = t.small_data()\n"
        f"t.run_tasks(trainer, data, t.fold_tasks(data), workers=2, folder=Path({str(tmp_path / 'run')!r}))\n"
    )
    process = subprocess.Popen(_script(body), start_new_session=True)
    pids = _wait_for_lines(calls, 2)
    process.kill()
    process.wait()
    _assert_gone(pids)


def _wait_for_lines(path: Path, count: int) -> list[int]:
    while not path.exists() or len(path.read_text().splitlines()) < count:
        time.sleep(0.05)
    return [int(line.split()[-1]) for line in path.read_text().splitlines()]


def _assert_gone(pids: list[int]) -> None:
    while any(map(_running, pids)):  # far longer than the test may take, if nobody ends them
        time.sleep(0.05)


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def unbroken(cifar_piece: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[FitResult]]:
    """A folder with a piece of CIFAR-10 and a finished training of one worker, and its results."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("unbroken")
    np.savez(folder / "piece.npz", x=cifar_piece.features[:400], y=cifar_piece.labels[:400])
    return folder, fitting_cases.run(folder, 1, SilentProgress())


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_in_the_middle_of_an_epoch_changes_nothing(
    unbroken: tuple[Path, list[FitResult]], tmp_path: Path, workers: int
) -> None:
    whole, results = unbroken
    os.link(whole / "piece.npz", tmp_path / "piece.npz")
    moments = {1: ["fold-0 1.3", "fold-1 2."], 2: ["fold-1 2."]}[workers]
    for moment in moments:
        done = forked(fitting_cases.killed_run, tmp_path, workers, environ={"KILL_AT": moment})
        done.join()
        assert done.exitcode == -signal.SIGKILL
    recorder = fitting_cases.Epochs()
    continued = fitting_cases.run(tmp_path, 1, recorder)
    assert recorder.first["fold-1"] >= 1, "finished epochs must be kept"
    for a, b in zip(results, continued, strict=True):
        assert a.probabilities.tobytes() == b.probabilities.tobytes()
        assert a.dynamics is not None
        assert b.dynamics is not None
        assert a.dynamics.train_given.tobytes() == b.dynamics.train_given.tobytes()
        assert a.dynamics.heldout_logsumexp.tobytes() == b.dynamics.heldout_logsumexp.tobytes()
        assert [r["train_loss"] for r in a.history] == [r["train_loss"] for r in b.history]
    files = [(folder / "run" / "results" / "fold-0.npz").read_bytes() for folder in (whole, tmp_path)]
    assert files[0] == files[1]
    assert json.loads((tmp_path / "run/results/fold-0.json").read_text())["schema"] == 1


@pytest.mark.slow
def test_image_networks_do_not_depend_on_the_number_of_workers(
    unbroken: tuple[Path, list[FitResult]], tmp_path: Path
) -> None:
    whole, results = unbroken
    os.link(whole / "piece.npz", tmp_path / "piece.npz")
    for a, b in zip(results, fitting_cases.run(tmp_path, 2, SilentProgress()), strict=True):
        assert a.probabilities.tobytes() == b.probabilities.tobytes()
        assert a.dynamics is not None
        assert b.dynamics is not None
        assert a.dynamics.train_other.tobytes() == b.dynamics.train_other.tobytes()


def test_weights_are_part_of_the_key_and_refused_where_they_would_be_passed_over(tmp_path: Path) -> None:
    data = small_data()
    task = fold_tasks(data)[0]
    even = replace(task, weights=np.ones(len(task.train)))
    keys = [task_key(MeanTrainer(), "content", each) for each in (task, even, replace(task, weights=2 * even.weights))]
    assert len(set(keys)) == 3
    with pytest.raises(UsageError, match="same weight"):
        run_tasks(MeanTrainer(), data, [even])
