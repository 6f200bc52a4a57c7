"""Every bad input gets its own clear error and exit code, and loses nothing."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.core.errors import AuditorError
from auditor.runs import layout
from auditor.runs.lock import locked
from tests.e2e.conftest import Cli

RNG = np.random.default_rng(0)


def _good(n: int = 200, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % k
    probabilities = np.full((n, k), 0.1 / (k - 1))
    probabilities[np.arange(n), labels] = 0.9
    return probabilities, labels


def _call(cli: Cli, tmp_path: Path, probabilities: np.ndarray, labels: np.ndarray, code: int, *more: str) -> str:
    np.save(tmp_path / "p.npy", probabilities)
    np.save(tmp_path / "y.npy", labels)
    done = cli("find-errors", "--pred-probs", "p.npy", "--labels", "y.npy", "--out", "run", *more, check=code)
    assert code == 0 or "Error:" in done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-0.2, "negative"), (0.4, "sum")])
def test_bad_probability_names_its_row(cli: Cli, tmp_path: Path, value: float, word: str) -> None:
    import re

    probabilities, labels = _good()
    probabilities[17, 0] = value
    message = _call(cli, tmp_path, probabilities, labels, 3)
    assert "17" in message
    assert re.search(word, message)


def test_wrong_shape(cli: Cli, tmp_path: Path) -> None:
    probabilities, labels = _good()
    assert "199" in _call(cli, tmp_path, probabilities[:199], labels, 3)
    assert "shape" in _call(cli, tmp_path, probabilities.ravel(), labels, 3)


def test_labels_outside_the_classes(cli: Cli, tmp_path: Path) -> None:
    probabilities, labels = _good()
    labels[5] = 7
    assert "7" in _call(cli, tmp_path, probabilities, labels, 3)


def test_one_class(cli: Cli, tmp_path: Path) -> None:
    probabilities, labels = _good()
    assert "one class" in _call(cli, tmp_path, probabilities, np.zeros_like(labels), 3)


def test_permuted_class_order_is_refused_with_both_orders(cli: Cli, tmp_path: Path) -> None:
    probabilities, labels = _good()
    message = _call(cli, tmp_path, probabilities[:, [1, 2, 0]], labels, 3, "--class-names", "ant,bee,cat")
    assert "ant" in message
    assert "bee" in message
    assert "order" in message


def test_a_pickle_is_never_opened(cli: Cli, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "exploded"),))

    (tmp_path / "p.npy").write_bytes(pickle.dumps(Bomb()))
    np.save(tmp_path / "y.npy", _good()[1])
    assert "pickle" in cli("find-errors", "--pred-probs", "p.npy", "--labels", "y.npy", check=3).stderr
    assert not (tmp_path / "exploded").exists()


def test_unknown_names_suggest_the_nearest(cli: Cli) -> None:
    assert "'cifar10'" in cli("find-errors", "cifar1O", check=2).stderr
    assert "Did you mean" in cli("find-errors", "digits", "--model", "resnet81", check=2).stderr
    assert "budget" in cli("find-errors", "digits", "--budget", "huge", check=2).stderr
    assert "rule" in cli("find-errors", "digits", "--rule", "prune", check=2).stderr
    cli("find-errors", "digits", "--nonsense", check=2)


def test_unknown_split(cli: Cli) -> None:
    assert "no split 'test'" in cli("find-errors", "digits", "--audit", "test", check=2).stderr


def test_nothing_to_audit(cli: Cli) -> None:
    assert "nothing to audit" in cli("find-errors", check=2).stderr


def test_empty_folder(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in cli("find-errors", tmp_path / "empty", check=3).stderr


def test_offline_and_absent_names_the_missing_file(cli: Cli, tmp_path: Path) -> None:
    message = cli(
        "find-errors", "cifar10", "--data-dir", tmp_path, "--offline", check=4, AUDITOR_HOME=str(tmp_path)
    ).stderr
    assert "test-00000-of-00001.parquet" in message
    assert str(tmp_path) in message


def test_a_run_folder_of_other_data_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    probabilities, labels = _good()
    probabilities[0] = [0.05, 0.9, 0.05]
    assert "Next:" in _call(cli, tmp_path, probabilities, labels, 0)
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.is_file()}
    other, other_labels = _good(300)
    assert "belongs to other data" in _call(cli, tmp_path, other, other_labels, 3)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.is_file()} == before


def test_a_folder_that_is_no_run_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    for more in ([], ["--fresh"]):
        done = cli("find-errors", "digits", "--out", "run", *more, check=None)
        assert done.returncode in (2, 3)
        assert (tmp_path / "run" / "thesis.txt").read_text() == "precious"


def _lock_as_nobody(folder: Path, answer: Any) -> None:
    """In a child process: become an ordinary user where the tests run as root, whom no permission stops."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        locked(folder).__enter__()
    except AuditorError as error:
        answer.send((error.exit_code, error.what))
    else:
        answer.send((0, "no error"))


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork, to change the user of a started interpreter")
def test_no_permission_is_exit_4() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # every user can reach it, unlike pytest's own
        Path(folder).chmod(0o555)
        here, there = multiprocessing.get_context("fork").Pipe()
        child = multiprocessing.get_context("fork").Process(target=_lock_as_nobody, args=(Path(folder) / "run", there))
        child.start()
        child.join(60)
        code, what = here.recv()
    assert code == 4
    assert "permission denied" in what


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk needs root")
def test_a_full_disk_is_exit_4_and_resumes(cli: Cli, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this system lets nobody mount a small disk")
    try:
        command = ("find-errors", "digits", "--budget", "smoke", "--folds", "2", "--out", disk / "run")
        done = cli(*command, check=4)
        assert "no space is left" in done.stderr
        assert not (disk / "run" / layout.MANIFEST).exists()
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        cli(*command, "--quiet")
        assert (disk / "run" / layout.MANIFEST).exists()
    finally:
        subprocess.run(["umount", str(disk)], check=False)
