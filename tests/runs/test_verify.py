"""What a run wrote is read only while it is what was written."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.core.errors import AuditorError, UnreadableError
from auditor.runs import layout
from auditor.runs.run import Run, open_run
from auditor.runs.verify import DAMAGED, INTACT, NOT_COMPARED, REBUILT, verify_files
from tests.conftest import AUDIT, DigitsRun
from tests.running import call, made_once
from tests.runs.complete import complete


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
    layout.REFIT_PROBS: lambda run: run.pred_probs,
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
    call(*AUDIT, "--out", digits_run.path, "--quiet")
    call("verify", digits_run.path)


@pytest.fixture(scope="session")
def complete_run(digits_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder in which every command has written that writes there."""

    def make(folder: Path) -> None:
        shutil.copytree(digits_source / "run", folder / "run")
        complete(folder / "run")

    return made_once(tmp_path_factory, "complete-run", make) / "run"


#: Damage to these is not told, and why it need not be.
MADE_AGAIN = {
    r"work/.*": "decoded pixels and other derived data, compared before they are used",
    r"(.*/)?[^/]*\.lock": "empty: only whether a process holds it counts",
}
#: Files that say what others held; what is damaged is told of them, and what they recorded cannot be compared any more.
RECORDS = re.compile(
    r"stages/.*|(tasks|benchmark/fits)/.*\.json|benchmark/benchmark-manifest\.json|improvement/improvement\.json"
)


def states_of(folder: Path) -> dict[str, str]:
    done = call("verify", folder, "--json", check=None)
    if not done.stdout:  # the manifest itself
        assert done.returncode == 3
        return {layout.MANIFEST: DAMAGED}
    return {row["file"]: row["state"] for row in done.document["files"]}


@pytest.mark.parametrize("damage", [flip, cut, zero])
def test_damage_to_every_file_of_a_complete_run_is_told(
    damage: Callable[[Path], None], complete_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(complete_run, folder)
    assert set(states_of(folder).values()) == {INTACT}
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    names = {name for name in names if not any(re.fullmatch(pattern, name) for pattern in MADE_AGAIN)}
    assert {"patch.labelpatch.jsonl", "report.md", "report.json", layout.P_WRONG, layout.DETECTORS} < names
    assert {"review.sqlite", "benchmark/benchmark.json", "benchmark/report.html", "stages/train.json"} < names
    records = {name for name in names if RECORDS.fullmatch(name)}
    for part in ({layout.MANIFEST}, records, names - records - {layout.MANIFEST}):
        for name in part:
            damage(folder / name)
        told = {file for file, state in states_of(folder).items() if state == DAMAGED}
        assert {name for name in part if name.replace("review.sqlite", "verdict store") not in told} == set()
        shutil.copytree(complete_run, folder, dirs_exist_ok=True)
        for stale in folder.glob("review.sqlite-*"):
            stale.unlink()


def test_what_no_hash_was_recorded_of_is_named(digits_run: DigitsRun) -> None:
    for name in ("notes.txt", "benchmark/mine.csv", "work/pictures/ab/x.webp", ".report.md.tmp-77"):
        (digits_run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (digits_run.path / name).write_text("x")
    states = states_of(digits_run.path)
    assert {file for file, state in states.items() if state == NOT_COMPARED} == {"notes.txt", "benchmark/mine.csv"}
    assert states["work/pictures/"] == states[".report.md.tmp-77"] == REBUILT


def test_a_store_moved_aside_is_looked_at_too(complete_run: Path, tmp_path: Path) -> None:
    shutil.copytree(complete_run, tmp_path / "run")
    aside = tmp_path / "run" / "review-20260101T000000.sqlite"
    shutil.copy2(tmp_path / "run" / "review.sqlite", aside)
    assert states_of(tmp_path / "run")[aside.name] == INTACT
    cut(aside)
    assert states_of(tmp_path / "run")[aside.name] == DAMAGED
