"""What a run wrote is read only while it is what was written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.core.errors import AuditorError, UnreadableError
from auditor.runs import layout
from auditor.runs.run import Run, open_run
from auditor.runs.verify import DAMAGED, INTACT, REBUILT, verify_files
from tests.conftest import DigitsRun
from tests.running import call


def flip(path: Path) -> None:
    """One bit in the middle, the times as before."""
    raw, stat = bytearray(path.read_bytes()), path.stat()
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


READERS: dict[str, Callable[[Run], object]] = {
    layout.ITEMS: lambda run: run.items,
    layout.SCORES: lambda run: run.scores,
    layout.FINDINGS: lambda run: run.findings,
    layout.FOLDS: lambda run: run.folds,
    layout.PRED_PROBS: lambda run: run.pred_probs,
    layout.AUDITED: lambda run: run.audited,
    layout.DYNAMICS: lambda run: run.dynamics(),
    layout.QUALITY: lambda run: run.quality,
}


@pytest.mark.parametrize("damage", [flip, cut, zero, Path.unlink])
def test_damage_to_any_file_that_is_read_is_told(damage: Callable[[Path], None], digits_run: DigitsRun) -> None:
    for name, read in READERS.items():
        path = digits_run.path / name
        shutil.copy2(path, digits_run.path / "kept")
        read(open_run(digits_run.path))
        damage(path)
        with pytest.raises(UnreadableError, match=name):
            read(open_run(digits_run.path))
        shutil.copy2(digits_run.path / "kept", path)


@pytest.mark.parametrize("damage", [flip, cut, zero])
def test_a_damaged_manifest_is_told(damage: Callable[[Path], None], digits_run: DigitsRun) -> None:
    damage(digits_run.path / layout.MANIFEST)
    with pytest.raises(AuditorError, match=r"manifest\.json"):
        open_run(digits_run.path)


def test_every_file_is_compared(digits_run: DigitsRun) -> None:
    before = verify_files(open_run(digits_run.path))
    assert {state.state for state in before} <= {INTACT, REBUILT}
    names = {state.file for state in before}
    assert {layout.CONFIG, layout.REPORT, layout.MANIFEST, "stages/train.json", "work/groups.npy"} <= names
    assert any(name.startswith("tasks/results/") and name.endswith(".npz") for name in names)
    shutil.rmtree(digits_run.path / layout.WORK)
    for name in names:
        if name.startswith("work/") or name == layout.MANIFEST:
            continue
        path = digits_run.path / name
        shutil.copy2(path, digits_run.path / "kept")
        zero(path)
        states = {state.file: state.state for state in verify_files(open_run(digits_run.path))}
        assert [file for file, state in states.items() if state == DAMAGED] == [name]
        assert states["work/groups.npy"] == REBUILT
        shutil.copy2(digits_run.path / "kept", path)


def test_the_command_names_what_is_damaged(digits_run: DigitsRun) -> None:
    done = call("verify", digits_run.path, "--json")
    assert (done.document["schema"], done.document["damaged"]) == ("auditor.verify/1", 0)
    flip(digits_run.path / layout.SCORES)
    (digits_run.path / "review.sqlite").touch()
    done = call("verify", digits_run.path, "--json", check=3)
    assert [row["file"] for row in done.document["files"] if row["state"] == DAMAGED] == [
        layout.SCORES,
        "verdict store",
    ]
    assert "2 of" in done.stderr
    assert (digits_run.path / "review.sqlite").stat().st_size == 0
    assert "nobody has judged" not in call("patch", "create", digits_run.path, check=3).stderr


def test_repeating_the_command_mends_a_run(digits_run: DigitsRun) -> None:
    zero(digits_run.path / layout.FINDINGS)
    cut(digits_run.path / layout.REPORT)
    call("find-errors", "digits", "--out", digits_run.path, "--quiet")
    call("verify", digits_run.path)
